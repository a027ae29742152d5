//! The log as its owner sees it.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};

use bytes::Bytes;
use parking_lot::Mutex;

use super::commit::Commit;
use super::disk::{Disk, SyncStats};
use super::header::{Checkpoint, SEGMENT_HEADER_BYTES, SegmentHeader};
use super::index::Index;
use super::options::{PAYLOAD_BYTES_MAX, SEGMENT_BYTES_MAX, VOTE_BYTES_MAX};
use super::queue::{Done, Job, Op, Queue};
use super::recovery::{self, Recovered};
use super::supply::Supply;
use super::writer::Writer;
use super::{Entry, Identity, OpenError, Options, Position, ReadPlan};

/// An open log. Calls take effect in memory at once and in the order made; the disk follows in
/// that order. Dropping it waits until all is on disk.
pub struct Wal {
    index: Arc<Mutex<Index>>,
    queue: Arc<Queue>,
    commit: Arc<Commit>,
    supply: Arc<Supply>,
    stats: Arc<SyncStats>,
    writer: Option<JoinHandle<()>>,
    supplier: Option<JoinHandle<()>>,
}

impl Wal {
    /// Whose log lies in `dir`; `None` if there is none. Changes nothing.
    pub fn identity(dir: &Path) -> Result<Option<Identity>, OpenError> {
        recovery::identity(dir)
    }

    /// Opens the log in `dir`, or begins one. Blocks on the disk.
    pub fn open(dir: &Path, identity: Identity, mut options: Options) -> Result<Self, OpenError> {
        // Room for a header and a few frames at least.
        let smallest = 2 * SEGMENT_HEADER_BYTES as u64;
        options.segment_bytes = options.segment_bytes.clamp(smallest, SEGMENT_BYTES_MAX);
        let disk = Arc::new(Disk::lock(dir, options)?);
        let recovered = match recovery::recover(&disk, identity)? {
            Some(recovered) => recovered,
            None => begin(&disk, identity).map_err(OpenError::io(dir, "begin the log"))?,
        };
        Self::start(disk, identity, recovered).map_err(OpenError::io(dir, "start the log"))
    }

    fn start(disk: Arc<Disk>, identity: Identity, recovered: Recovered) -> io::Result<Self> {
        let Recovered { first, slots, checkpoint, segments, offset, chain } = recovered;
        let ring_bytes = disk.options.ring_bytes;
        let index = Index::new(first, slots, checkpoint.clone(), &segments, ring_bytes);
        let index = Arc::new(Mutex::new(index));
        let segment = segments.last().expect("a log has a segment").clone();
        let queue = Arc::<Queue>::default();
        let (supply, supplier) = Supply::start(disk.clone())?;
        let stats = disk.stats.clone();
        let writer = Writer {
            disk: disk.clone(),
            identity,
            supply: supply.clone(),
            index: index.clone(),
            synced: segment.lsn(offset),
            noted: 0,
            segment,
            offset,
            buffer: Vec::new(),
            chain,
            checkpoint,
            reaped: None,
            placed: Vec::new(),
        };
        let thread = thread::Builder::new().name("wal-commit".into());
        let commit = Arc::new(Commit::new(writer, queue.clone(), disk));
        let committing = commit.clone();
        let writer = match thread.spawn(move || committing.run()) {
            Ok(writer) => Some(writer),
            Err(error) => {
                supply.close();
                return Err(error);
            }
        };
        Ok(Self { index, queue, commit, supply, stats, writer, supplier: Some(supplier) })
    }

    /// Adds entries, which must follow the last without a gap; an empty log begins where its first
    /// entry says. They can be read when this returns; `done` is called when the disk has them.
    pub fn append(&self, entries: Vec<Entry>, done: Done) -> io::Result<()> {
        self.enqueue(entries, done, Queue::push)
    }

    /// The same for a caller that may wait for the disk: few entries are on it, and `done` was
    /// called, when this returns, unless others are under way.
    pub fn append_here(&self, entries: Vec<Entry>, done: Done) -> io::Result<()> {
        self.enqueue(entries, done, Queue::push_quietly)?;
        self.commit.commit_here();
        Ok(())
    }

    fn enqueue(
        &self,
        entries: Vec<Entry>,
        done: Done,
        push: fn(&Queue, Job) -> Result<(), Job>,
    ) -> io::Result<()> {
        self.queue.wait_for_room();
        let mut index = self.index.lock();
        let first = entries.first().map_or(0, |entry| entry.index);
        let next = index.checkpoint.last.map_or(first, |last| last.index + 1);
        for (entry, expected) in entries.iter().zip(next..) {
            if entry.index != expected || entry.payload.len() > PAYLOAD_BYTES_MAX {
                let (found, bytes) = (entry.index, entry.payload.len());
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("entry {found} of {bytes} bytes cannot stand at index {expected}"),
                ));
            }
        }
        let mut tickets = entries.iter().map(|entry| index.append(entry));
        let first_ticket = tickets.next().unwrap_or(0);
        tickets.for_each(drop);
        let op = Op::Append { entries, first_ticket };
        let pushed = push(&self.queue, Job { op, durable: true, done: Some(done) });
        drop(index);
        refuse(pushed);
        Ok(())
    }

    /// Drops the entries after `index`; all of them for `None`. Not on disk before something
    /// later is: until then a power loss may bring them back.
    pub fn truncate_after(&self, index: Option<u64>) {
        let next = index.map_or(0, |index| index.saturating_add(1));
        let mut index = self.index.lock();
        if next >= index.next_index() {
            return;
        }
        let last = index.truncate(next);
        let next = last.map_or(0, |last| last.index + 1);
        let op = Op::Truncate { next, last };
        let pushed = self.queue.push(Job { op, durable: false, done: None });
        drop(index);
        refuse(pushed);
    }

    /// Drops the entries up to `upto`, and with time the segments that held them. It may lie
    /// beyond the last entry: the log is then empty and goes on behind it.
    pub fn purge(&self, upto: Position) {
        let mut index = self.index.lock();
        if index.checkpoint.purged.is_some_and(|purged| purged.index >= upto.index) {
            return;
        }
        index.purge(upto);
        let pushed = self.queue.push(Job { op: Op::Purge(upto), durable: true, done: None });
        drop(index);
        refuse(pushed);
    }

    /// Keeps a vote, at most [`VOTE_BYTES_MAX`] and not empty; `done` when the disk has it.
    pub fn save_vote(&self, vote: Bytes, done: Done) -> io::Result<()> {
        if vote.is_empty() || vote.len() > VOTE_BYTES_MAX {
            let text = format!("a vote of {} bytes: 1 to {VOTE_BYTES_MAX} allowed", vote.len());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let mut index = self.index.lock();
        index.checkpoint.vote = Some(vote.clone());
        let pushed = self.queue.push(Job { op: Op::Vote(vote), durable: true, done: Some(done) });
        drop(index);
        refuse(pushed);
        Ok(())
    }

    /// Notes what is committed. Written with what comes next, never waited for.
    pub fn save_committed(&self, committed: Position) {
        let mut index = self.index.lock();
        index.checkpoint.committed = Some(committed);
        self.queue.set_committed(committed);
    }

    /// Calls `done` when all that was asked for before is on disk.
    pub fn flush(&self, done: Done) {
        refuse(self.queue.push(Job { op: Op::Flush, durable: true, done: Some(done) }));
    }

    pub fn vote(&self) -> Option<Bytes> {
        self.index.lock().checkpoint.vote.clone()
    }

    pub fn committed(&self) -> Option<Position> {
        self.index.lock().checkpoint.committed
    }

    pub fn purged(&self) -> Option<Position> {
        self.index.lock().checkpoint.purged
    }

    /// The last entry, or what was purged last if there is none.
    pub fn last(&self) -> Option<Position> {
        self.index.lock().checkpoint.last
    }

    /// Indexes of the entries there are.
    pub fn range(&self) -> Range<u64> {
        let index = self.index.lock();
        index.first..index.next_index()
    }

    /// The entries of `range` there are, as of now, ending early at `bytes_max` of payload but
    /// with at least one.
    pub fn plan(&self, range: Range<u64>, bytes_max: usize) -> ReadPlan {
        ReadPlan::new(&self.index.lock(), range, bytes_max)
    }

    /// The disk has no room for another segment: writes should be refused until it has. Raft's
    /// own records still find room.
    pub fn space_short(&self) -> bool {
        self.supply.is_short()
    }

    /// Bytes written to segments so far.
    pub fn written_bytes(&self) -> u64 {
        self.stats.written_bytes.load(Ordering::Relaxed)
    }

    /// Syncs so far, and their time in nanoseconds.
    pub fn syncs(&self) -> (u64, u64) {
        let count = self.stats.count.load(Ordering::Relaxed);
        (count, self.stats.nanos.load(Ordering::Relaxed))
    }
}

impl Drop for Wal {
    fn drop(&mut self) {
        self.queue.close();
        self.supply.hurry();
        join(self.writer.take());
        self.supply.close();
        join(self.supplier.take());
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the write-ahead log panicked");
    }
}

fn refuse(pushed: Result<(), Job>) {
    if let Err(job) = pushed {
        job.finish(Err(io::Error::other("the write-ahead log is closed")));
    }
}

fn begin(disk: &Disk, identity: Identity) -> io::Result<Recovered> {
    let spare = disk.make_spare(disk.options.segment_bytes)?;
    let checkpoint = Checkpoint::default();
    let header = SegmentHeader {
        identity,
        number: 1,
        base_lsn: SEGMENT_HEADER_BYTES as u64,
        file_bytes: spare.file_bytes,
        chain: 0,
        checkpoint: checkpoint.clone(),
    };
    let segments = vec![Arc::new(disk.activate(spare, &header)?)];
    let offset = SEGMENT_HEADER_BYTES as u64;
    Ok(Recovered { first: 0, slots: VecDeque::new(), checkpoint, segments, offset, chain: 0 })
}
