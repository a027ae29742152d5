//! Logs that are written before raft runs: one that begins behind a restored state, and one that
//! goes on with other members.

use std::io;
use std::sync::mpsc::channel;

use super::codec;
use crate::raft::types::{Entry, EntryPayload, LogId, StoredMembership, Vote, log_id};
use crate::wal::Wal;

/// Has `log` go on behind `at`, in whose term this member has voted for `voted_for`. Returns when
/// it is on disk.
pub fn begin_log_behind(log: &Wal, at: LogId, voted_for: u64) -> io::Result<()> {
    log.purge(codec::position(at));
    let vote = Vote::new(at.leader_id.term, voted_for);
    save_vote(log, &vote)
}

/// Ends `log` with an entry that makes `membership` the members, whoever they were, in a term of
/// its own in which this member has voted for itself. Nobody else agrees to it: what the others
/// have committed and this log lacks is lost. Returns when it is on disk.
pub fn append_membership(log: &Wal, own: u64, membership: &StoredMembership) -> io::Result<LogId> {
    let voted = log.vote().map(codec::decode_vote).transpose()?;
    let last = log.last();
    let term = last.map_or(0, |last| last.term).max(voted.map_or(0, |vote| vote.leader_id.term));
    let at = log_id(term + 1, last.map_or(0, |last| last.index) + 1);
    save_vote(log, &Vote::new(term + 1, own))?;
    let payload = EntryPayload::Membership(membership.membership());
    let entry = codec::encode_entry(Entry { log_id: at, payload });
    let (done, durable) = channel();
    // The receiver waits below.
    log.append(vec![entry], Box::new(move |result| drop(done.send(result))))?;
    durable.recv().map_err(io::Error::other)??;
    Ok(at)
}

fn save_vote(log: &Wal, vote: &Vote) -> io::Result<()> {
    let (done, durable) = channel();
    // The receiver waits below.
    let done = Box::new(move |result| drop(done.send(result)));
    log.save_vote(codec::encode_vote(vote), done)?;
    durable.recv().map_err(io::Error::other)?
}

#[cfg(test)]
mod tests {
    use super::{append_membership, begin_log_behind};
    use crate::raft::log_store::codec;
    use crate::raft::{EntryPayload, Peer, StoredMembership, log_id};
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

    #[test]
    fn the_log_goes_on_with_other_members_after_a_restart_too() {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity { cluster: 1, member: 2 };
        let open = || Wal::open(dir.path(), identity, Options::default()).unwrap();
        let alone = StoredMembership {
            log_id: None,
            voters: vec![[2].into()],
            peers: [(2, Peer { name: "m".into(), ..Peer::default() })].into(),
        };
        begin_log_behind(&open(), log_id(4, 9), 1).unwrap();
        let log = open();
        assert_eq!(append_membership(&log, 2, &alone).unwrap(), log_id(5, 10));
        assert_eq!(append_membership(&log, 2, &alone).unwrap(), log_id(6, 11));
        drop(log);
        let log = open();
        assert_eq!((log.last(), log.range()), (Some(Position { term: 6, index: 11 }), 10..12));
        let vote = codec::decode_vote(log.vote().unwrap()).unwrap();
        assert_eq!((vote.leader_id.term, vote.leader_id.voted_for, vote.committed), (6, 2, false));
        let entry =
            codec::decode_entry(log.plan(10..11, usize::MAX).load().unwrap().remove(0)).unwrap();
        let EntryPayload::Membership(members) = entry.payload else { panic!("{entry:?}") };
        assert_eq!(StoredMembership::new(None, &members), alone);
    }
}
