//! Who leads, as this member knows it, and the watch over raft's health.

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use tokio::sync::watch;

use super::fatal::Fatal;
use super::network::PeerRaft;

/// What this member knows of the group's leader.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// Of this member's vote: it may be ahead of the leader's during an election.
    pub term: u64,
    pub leader: Option<u64>,
    /// This member leads in `term`.
    pub is_leader: bool,
}

/// Passes on every change, until raft stops; a stop nobody asked for is fatal.
pub(super) async fn follow(raft: PeerRaft, tell: watch::Sender<Leadership>, fatal: Fatal) {
    let mut metrics = raft.metrics();
    loop {
        let (leadership, running) = {
            let metrics = metrics.borrow_watched();
            let leader = metrics.current_leader;
            let is_leader = metrics.state == ServerState::Leader && leader == Some(metrics.id);
            let leadership = Leadership { term: metrics.current_term, leader, is_leader };
            (leadership, metrics.running_state.clone())
        };
        tell.send_if_modified(|current| {
            let changed = *current != leadership;
            if changed {
                *current = leadership;
            }
            changed
        });
        let reason = match running {
            Err(error) => error.to_string(),
            Ok(()) => match metrics.changed().await {
                Ok(()) => continue,
                Err(_) => "raft's task has ended".to_owned(),
            },
        };
        tell.send_modify(|last| {
            last.leader = None;
            last.is_leader = false;
        });
        return fatal.raise(&reason);
    }
}
