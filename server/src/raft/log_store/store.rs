//! Writing the log for RaftCore: every call only queues, save for the vote, which is waited for,
//! and for what the only voter appends: little else is to be done until the disk has it.

use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::{Arc, OnceLock};

use futures::Stream;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LeaderBoundedStreamError, LogState, RaftLogStorage};
use openraft::type_config::alias::LeaderIdOf;
use openraft::{EntryPayload, RaftLogReader};
use tokio::sync::oneshot;

use super::LogReader;
use super::codec;
use crate::raft::types::{Entry, LogId, StoredMembership, TypeConfig, Vote};
use crate::wal::Wal;

type MembershipHook = Box<dyn Fn(&StoredMembership) + Send + Sync>;
type Alone = Box<dyn Fn() -> bool + Send + Sync>;

/// openraft's view of the log. Clones are handles on the same log.
#[derive(Clone)]
pub struct LogStore {
    reader: LogReader,
    on_membership: Arc<OnceLock<MembershipHook>>,
    alone: Arc<OnceLock<Alone>>,
}

impl LogStore {
    pub fn new(wal: Arc<Wal>) -> Self {
        Self { reader: LogReader(wal), on_membership: Arc::default(), alone: Arc::default() }
    }

    /// Calls `hook` for every membership entry when it is appended: before anyone can read or
    /// replicate it, and long before it is committed. On RaftCore's task, so it must not block.
    /// At most one hook; later ones are ignored.
    pub fn on_membership(&self, hook: impl Fn(&StoredMembership) + Send + Sync + 'static) {
        if self.on_membership.set(Box::new(hook)).is_err() {
            tracing::warn!("the log store has a membership hook already");
        }
    }

    /// While `alone` says that this member is the only voter, RaftCore's task waits for the disk
    /// itself where that is quicker; learners hear of an entry that much later. At most one; later
    /// ones are ignored.
    pub fn wait_for_disk_while(&self, alone: impl Fn() -> bool + Send + Sync + 'static) {
        if self.alone.set(Box::new(alone)).is_err() {
            tracing::warn!("the log store knows already when it may wait for the disk");
        }
    }

    #[cfg(test)]
    pub(super) fn readable_end(&self) -> u64 {
        self.wal().range().end
    }

    fn wal(&self) -> &Wal {
        &self.reader.0
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        Ok(LogState {
            last_purged_log_id: self.wal().purged().map(codec::log_id),
            last_log_id: self.wal().last().map(codec::log_id),
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, durable) = oneshot::channel();
        let done = Box::new(move |result| drop(done.send(result)));
        self.wal().save_vote(codec::encode_vote(vote), done)?;
        durable.await.map_err(io::Error::other)?
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        if let Some(committed) = committed {
            self.wal().save_committed(codec::position(committed));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        Ok(self.wal().committed().map(codec::log_id))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let encode = |entry: Entry| {
            if let (EntryPayload::Membership(membership), Some(hook)) =
                (&entry.payload, self.on_membership.get())
            {
                hook(&StoredMembership::new(Some(entry.log_id()), membership));
            }
            codec::encode_entry(entry)
        };
        let entries = entries.into_iter().map(encode).collect();
        let done = Box::new(move |result| callback.io_completed(result));
        match self.alone.get().is_some_and(|alone| alone()) {
            true => self.wal().append_here(entries, done),
            false => self.wal().append(entries, done),
        }
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        self.wal().truncate_after(last.map(|last| last.index));
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        self.wal().purge(codec::position(upto));
        Ok(())
    }
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.reader.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.reader.limited_get_log_entries(start, end).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.reader.read_vote().await
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.reader.entries_stream(range).await
    }

    async fn leader_bounded_stream<RB>(
        &mut self,
        leader: LeaderIdOf<TypeConfig>,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, LeaderBoundedStreamError<TypeConfig>>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.reader.leader_bounded_stream(leader, range).await
    }
}
