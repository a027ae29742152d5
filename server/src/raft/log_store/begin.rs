//! A log that begins behind a restored state.

use std::io;
use std::sync::mpsc::channel;

use super::codec;
use crate::raft::types::{LogId, Vote};
use crate::wal::Wal;

/// Has `log` go on behind `at`, in whose term this member has voted for `voted_for`. Returns when
/// it is on disk.
pub fn begin_log_behind(log: &Wal, at: LogId, voted_for: u64) -> io::Result<()> {
    log.purge(codec::position(at));
    let vote = Vote::new(at.leader_id.term, voted_for);
    let (done, durable) = channel();
    // The receiver waits below.
    let done = Box::new(move |result| drop(done.send(result)));
    log.save_vote(codec::encode_vote(&vote), done)?;
    durable.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::begin_log_behind;
    use crate::raft::log_id;
    use crate::raft::log_store::codec;
    use crate::wal::{Identity, Options, Position, Wal};

    #[test]
    fn the_log_begins_behind_the_state_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity { cluster: 1, member: 2 };
        let open = || Wal::open(dir.path(), identity, Options::default()).unwrap();
        begin_log_behind(&open(), log_id(1, 3), 2).unwrap();
        let log = open();
        let at = Some(Position { term: 1, index: 3 });
        assert_eq!((log.last(), log.purged(), log.range()), (at, at, 4..4));
        let vote = codec::decode_vote(log.vote().unwrap()).unwrap();
        assert_eq!((vote.leader_id.term, vote.leader_id.voted_for, vote.committed), (1, 2, false));
    }
}
