//! Raft's log over the write-ahead log: entries and votes in our own bytes, one file for both, in
//! one order. Appending encodes and enqueues and nothing else; the log's thread does the rest.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogReader, RaftLogStorage};
use openraft::{EntryPayload as Payload, LogState, OptionalSend};
use portunus_proto::portunus::peer::v1 as wire;
use prost::Message;
use tokio::sync::oneshot;

use super::network::{membership_from_wire, membership_to_wire, vote_from_wire, vote_to_wire};
use super::types::{Entry, LogId, Proposal, StoredMembership, TypeConfig, Vote, log_id};
use crate::wal::{self, Position, Wal};

/// Payload read at a time: what one append to a follower may carry, and what apply holds at once.
const READ_BYTES_MAX: usize = 2 * 1024 * 1024;

const BLANK: u8 = 0;
const EFFECTS: u8 = 1;
const MEMBERSHIP: u8 = 2;

/// Told the index of each membership that is appended, before anybody else can learn of it.
pub type OnMembership = Box<dyn Fn(u64) + Send + Sync>;

/// A member's log. Cloning shares it.
#[derive(Clone)]
pub struct LogStore(Arc<Inner>);

struct Inner {
    wal: Wal,
    on_membership: OnMembership,
}

impl LogStore {
    /// Opens the log in `dir`, or begins one.
    pub fn open(
        dir: &Path,
        identity: wal::Identity,
        options: wal::Options,
        on_membership: OnMembership,
    ) -> Result<Self, wal::OpenError> {
        let wal = Wal::open(dir, identity, options)?;
        Ok(Self(Arc::new(Inner { wal, on_membership })))
    }

    /// Index of the oldest entry that the log still holds; `None` when it has never held any.
    pub fn first_index(&self) -> Option<u64> {
        self.0.wal.last().map(|_| self.0.wal.range().start)
    }

    /// True for a log that was begun just now: a member that ever took part has voted.
    pub fn is_new(&self) -> bool {
        self.0.wal.vote().is_none() && self.0.wal.last().is_none()
    }

    /// The disk has no room for another segment.
    pub fn is_short_of_space(&self) -> bool {
        self.0.wal.space_short()
    }

    async fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let plan = self.0.wal.plan(range, bytes_max);
        let entries = match plan.is_in_memory() {
            true => plan.load()?,
            false => tokio::task::spawn_blocking(move || plan.load()).await??,
        };
        entries.into_iter().map(decode).collect()
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    /// All of the range, or an error: openraft takes a short answer for a damaged log.
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        self.read(bounds(&range), usize::MAX).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        let Some(bytes) = self.0.wal.vote() else { return Ok(None) };
        let vote = wire::Vote::decode(bytes).map_err(damaged)?;
        vote_from_wire(Some(vote)).map(Some).map_err(damaged)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        self.read(start..end, READ_BYTES_MAX).await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let id = |position: Position| log_id(position.term, position.index);
        Ok(LogState {
            last_purged_log_id: self.0.wal.purged().map(id),
            last_log_id: self.0.wal.last().map(id),
        })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        let (done, saved) = oneshot::channel();
        let bytes = vote_to_wire(*vote).encode_to_vec().into();
        // A caller that goes away no longer cares.
        self.0.wal.save_vote(bytes, Box::new(|result| drop(done.send(result))))?;
        saved.await.unwrap_or_else(|_| Err(io::Error::other("the log has stopped")))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        if let Some(committed) = committed {
            self.0.wal.save_committed(position(&committed));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.0.wal.committed().map(|at| log_id(at.term, at.index)))
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut encoded = Vec::new();
        for entry in entries {
            if let Payload::Membership(_) = &entry.payload {
                (self.0.on_membership)(entry.log_id.index);
            }
            encoded.push(encode(entry));
        }
        self.0.wal.append(encoded, Box::new(|result| callback.io_completed(result)))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.0.wal.truncate_after(last.map(|last| last.index));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.0.wal.purge(position(&upto));
        Ok(())
    }
}

fn bounds(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end + 1,
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

fn position(id: &LogId) -> Position {
    Position { term: id.leader_id.term, index: id.index }
}

fn encode(entry: Entry) -> wal::Entry {
    let Position { term, index } = position(&entry.log_id());
    let (tag, payload) = match entry.payload {
        Payload::Blank => (BLANK, Bytes::new()),
        Payload::Normal(Proposal(bytes)) => (EFFECTS, bytes),
        Payload::Membership(membership) => (
            MEMBERSHIP,
            membership_to_wire(&StoredMembership::new(None, &membership)).encode_to_vec().into(),
        ),
    };
    wal::Entry { term, index, tag, payload }
}

fn decode(entry: wal::Entry) -> io::Result<Entry> {
    let payload = match entry.tag {
        BLANK => Payload::Blank,
        EFFECTS => Payload::Normal(Proposal(entry.payload)),
        MEMBERSHIP => {
            let membership = wire::Membership::decode(entry.payload).map_err(damaged)?;
            Payload::Membership(membership_from_wire(membership).map_err(damaged)?.membership())
        }
        tag => return Err(damaged(format!("entry {} has the unknown tag {tag}", entry.index))),
    };
    Ok(Entry::new(log_id(entry.term, entry.index), payload))
}

fn damaged(why: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("raft's log: {}", why.to_string()))
}
