//! One cluster under faults at a time: three members, their load and an election's deadlines want
//! the machine for themselves. What needs a single member only does not wait.

use tokio::sync::{Mutex, MutexGuard};

static TURN: Mutex<()> = Mutex::const_new(());

/// Waits for the turn and keeps it until dropped.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}
