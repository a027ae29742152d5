//! The way out when raft cannot go on: the process is to stop and say why.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Told the reason; expected to stop the process.
pub type FatalHook = Arc<dyn Fn(&str) + Send + Sync>;

/// Raises the hook at most once, and not at all once a shutdown has begun.
#[derive(Clone)]
pub struct Fatal {
    hook: FatalHook,
    silenced: Arc<AtomicBool>,
}

impl Fatal {
    pub fn new(hook: FatalHook) -> Self {
        Self { hook, silenced: Arc::default() }
    }

    pub fn raise(&self, reason: &str) {
        if !self.silenced.swap(true, Ordering::SeqCst) {
            tracing::error!(reason, "raft cannot go on");
            (self.hook)(reason);
        }
    }

    /// From now on the group is stopping on purpose.
    pub fn silence(&self) {
        self.silenced.store(true, Ordering::SeqCst);
    }
}
