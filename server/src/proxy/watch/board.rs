//! The groups by what their watches share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::group::{self, Command};
use super::news::Seat;
use super::share::Share;
use crate::proxy::forward::Forwarder;
use crate::proxy::namespace::Namespace;

/// All groups.
pub struct Board {
    /// Passes watches on as they are.
    pub forwarder: Forwarder,
    pub namespace: Option<Arc<Namespace>>,
    groups: Mutex<HashMap<Arc<Share>, mpsc::UnboundedSender<Command>>>,
    seats: AtomicU64,
}

impl Board {
    pub fn new(forwarder: Forwarder, namespace: Option<Arc<Namespace>>) -> Arc<Self> {
        let (groups, seats) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { forwarder, namespace, groups, seats })
    }

    /// A name for a watch.
    pub fn seat(&self) -> Seat {
        self.seats.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells the group of `share`, which begins with its first watch.
    pub fn tell(self: &Arc<Self>, share: &Arc<Share>, command: Command) {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(share) {
            // It closes only under this lock, so it is there.
            let _ = group.send(command);
        } else if matches!(command, Command::Join(_)) {
            let (sender, commands) = mpsc::unbounded_channel();
            let _ = sender.send(command);
            groups.insert(share.clone(), sender);
            tokio::spawn(group::run(self.clone(), share.clone(), commands));
        }
    }

    /// Takes a group off the board if nothing waits for it.
    pub fn close(&self, share: &Share, commands: &mpsc::UnboundedReceiver<Command>) -> bool {
        let mut groups = self.groups.lock();
        let closes = commands.is_empty();
        if closes {
            groups.remove(share);
        }
        closes
    }
}
