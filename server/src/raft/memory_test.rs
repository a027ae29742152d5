//! Stand-ins for what a group needs: a log and an applier in memory, which outlive the group that
//! uses them as a disk would.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::{Condvar, Mutex};

use super::applier::{Applier, Installer, Payload, SnapshotSource, Staged, Stager};
use super::types::{Entry, LogId, Outcome, StoredMembership, TypeConfig, Vote};

#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Records>>);

#[derive(Default)]
struct Records {
    vote: Option<Vote>,
    purged: Option<LogId>,
    entries: BTreeMap<u64, Entry>,
}

impl Log {
    /// Index of the first entry it holds.
    pub fn first(&self) -> Option<u64> {
        self.0.lock().entries.keys().next().copied()
    }
}

impl RaftLogReader<TypeConfig> for Log {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + Send>(
        &mut self,
        range: R,
    ) -> io::Result<Vec<Entry>> {
        Ok(self.0.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.0.lock().vote)
    }
}

impl RaftLogStorage<TypeConfig> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> io::Result<LogState<TypeConfig>> {
        let records = self.0.lock();
        let last = records.entries.values().next_back().map(|entry| entry.log_id);
        let last_log_id = last.or(records.purged);
        Ok(LogState { last_purged_log_id: records.purged, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.0.lock().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<TypeConfig>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries = entries.into_iter().map(|entry| (entry.log_id.index, entry));
        self.0.lock().entries.extend(entries);
        flushed.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let keep = last.map_or(0, |last| last.index + 1);
        self.0.lock().entries.split_off(&keep);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut records = self.0.lock();
        records.entries = records.entries.split_off(&(upto.index + 1));
        records.purged = Some(upto);
        Ok(())
    }
}

/// What an applier has applied: a list of values.
#[derive(Clone, Default)]
pub struct Values(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct State {
    last: Option<LogId>,
    membership: StoredMembership,
    values: Vec<Bytes>,
    installs: usize,
}

impl Values {
    pub fn list(&self) -> Vec<Bytes> {
        self.0.lock().values.clone()
    }

    pub fn installs(&self) -> usize {
        self.0.lock().installs
    }

    pub fn last_index(&self) -> Option<u64> {
        self.0.lock().last.map(|last| last.index)
    }
}

/// Holds up snapshot readers while it is shut.
#[derive(Clone, Default)]
pub struct Gate(Arc<(Mutex<(bool, usize)>, Condvar)>);

impl Gate {
    pub fn shut(&self) {
        self.0.0.lock().0 = true;
    }

    pub fn open(&self) {
        self.0.0.lock().0 = false;
        self.0.1.notify_all();
    }

    /// How many readers have come to it so far.
    pub fn arrived(&self) -> usize {
        self.0.0.lock().1
    }

    fn pass(&self) {
        let mut state = self.0.0.lock();
        state.1 += 1;
        self.0.1.wait_while(&mut state, |state| state.0);
    }
}

/// Appends values; a value that begins with `!` is void.
pub struct Memory {
    pub values: Values,
    pub gate: Gate,
    pub staging: Arc<AtomicUsize>,
}

impl Applier for Memory {
    fn applied(&self) -> (Option<LogId>, StoredMembership) {
        let state = self.values.0.lock();
        (state.last, state.membership.clone())
    }

    fn apply(&mut self, log_id: LogId, payload: Payload) -> Outcome {
        let mut state = self.values.0.lock();
        assert!(state.last < Some(log_id), "entries are applied once, in order");
        state.last = Some(log_id);
        match payload {
            Payload::Blank => {}
            Payload::Membership(membership) => state.membership = membership,
            Payload::Effects(value) if value.starts_with(b"!") => return Outcome::Void,
            Payload::Effects(value) => state.values.push(value),
        }
        Outcome::Applied
    }

    fn flush(&mut self) {}

    fn snapshot(&mut self) -> Box<dyn SnapshotSource> {
        let values = self.values.list().into_iter();
        Box::new(Source { values, gate: self.gate.clone() })
    }

    fn stager(&self) -> Box<dyn Stager> {
        Box::new(Staging(self.staging.clone()))
    }

    fn install(
        &mut self,
        last: Option<LogId>,
        membership: StoredMembership,
        staged: Staged,
    ) -> io::Result<()> {
        let values = staged.take::<Gathered>().values.clone();
        let mut state = self.values.0.lock();
        let installs = state.installs + 1;
        *state = State { last, membership, values, installs };
        Ok(())
    }
}

struct Source {
    values: std::vec::IntoIter<Bytes>,
    gate: Gate,
}

impl SnapshotSource for Source {
    fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        self.gate.pass();
        let mut chunk = BytesMut::new();
        for value in self.values.by_ref().take(10) {
            chunk.put_u32(value.len() as u32);
            chunk.put(value);
        }
        Ok((!chunk.is_empty()).then(|| chunk.freeze()))
    }
}

/// Counts what is being gathered or waits to be installed.
struct Staging(Arc<AtomicUsize>);

impl Stager for Staging {
    fn begin(&self, _last: Option<LogId>) -> io::Result<Box<dyn Installer>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Gathered { values: Vec::new(), count: self.0.clone() }))
    }
}

struct Gathered {
    values: Vec<Bytes>,
    count: Arc<AtomicUsize>,
}

impl Installer for Gathered {
    fn chunk(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while bytes.has_remaining() {
            let length = bytes.get_u32() as usize;
            self.values.push(bytes.copy_to_bytes(length));
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Staged> {
        Ok(Staged::new(*self))
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::SeqCst);
    }
}
