//! Reading the log for apply and replication. What is in memory is answered at once; the disk is
//! read away from the runtime's threads.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::Arc;

use futures::stream::{self, Stream, StreamExt};
use openraft::RaftLogReader;
use openraft::errors::LeaderChanged;
use openraft::storage::LeaderBoundedStreamError;
use openraft::type_config::alias::LeaderIdOf;

use super::codec;
use crate::raft::types::{Entry, TypeConfig, Vote};
use crate::wal::Wal;

/// Payload read at once: bounds the memory of a follower that is far behind, and of a replay.
const READ_BYTES_MAX: usize = 2 * 1024 * 1024;

type Failure = LeaderBoundedStreamError<TypeConfig>;

/// A handle on the log for reading; as many as needed.
#[derive(Clone)]
pub struct LogReader(pub(super) Arc<Wal>);

impl LogReader {
    async fn read(&self, range: Range<u64>, bytes_max: usize) -> io::Result<Vec<Entry>> {
        let plan = self.0.plan(range, bytes_max);
        let entries = if plan.is_in_memory() {
            plan.load()?
        } else {
            tokio::task::spawn_blocking(|| plan.load()).await.map_err(io::Error::other)??
        };
        entries.into_iter().map(codec::decode_entry).collect()
    }

    fn vote(&self) -> io::Result<Option<Vote>> {
        self.0.vote().map(codec::decode_vote).transpose()
    }

    /// The next part of a range that is read in several.
    async fn part(&self, range: &mut Range<u64>) -> io::Result<Option<Vec<Entry>>> {
        let entries = self.read(range.clone(), READ_BYTES_MAX).await?;
        let Some(last) = entries.last() else { return Ok(None) };
        range.start = last.log_id.index + 1;
        Ok(Some(entries))
    }

    /// As `part`, if the vote was that of the leader all the while.
    async fn part_of(
        &self,
        leader: LeaderIdOf<TypeConfig>,
        range: &mut Range<u64>,
    ) -> Result<Option<Vec<Entry>>, Failure> {
        let check = || match self.vote()? {
            Some(vote) if vote.leader_id == leader && vote.committed => Ok(()),
            vote => Err(Failure::LeaderChanged(LeaderChanged::new(leader, vote))),
        };
        check()?;
        let entries = self.part(range).await?;
        check()?;
        Ok(entries)
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        self.read(bounded(&range), usize::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        self.read(start..end, READ_BYTES_MAX).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.vote()
    }

    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, io::Error>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let parts =
            stream::try_unfold((self.clone(), bounded(&range)), async |(reader, mut range)| {
                let part = reader.part(&mut range).await?;
                Ok(part.map(|entries| (entries, (reader, range))))
            });
        Box::pin(flat(parts))
    }

    async fn leader_bounded_stream<RB>(
        &mut self,
        leader: LeaderIdOf<TypeConfig>,
        range: RB,
    ) -> impl Stream<Item = Result<Entry, Failure>> + Send
    where
        RB: RangeBounds<u64> + Clone + Debug + Send,
    {
        let start = (self.clone(), bounded(&range));
        let parts = stream::try_unfold(start, move |(reader, mut range)| async move {
            let part = reader.part_of(leader, &mut range).await?;
            Ok(part.map(|entries| (entries, (reader, range))))
        });
        Box::pin(flat(parts))
    }
}

/// Parts of entries as entries; an error ends it.
fn flat<E>(
    parts: impl Stream<Item = Result<Vec<Entry>, E>>,
) -> impl Stream<Item = Result<Entry, E>> {
    parts.flat_map(|part| {
        let (entries, error) = match part {
            Ok(entries) => (entries, None),
            Err(error) => (Vec::new(), Some(Err(error))),
        };
        stream::iter(entries.into_iter().map(Ok).chain(error))
    })
}

fn bounded(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(last) => last.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}
