//! Who commits: the log's thread, or whoever appends, where that one may wait for the disk and
//! nothing else is under way. Handing a small entry to the thread and hearing back from it takes
//! two wake-ups, which together can last as long as the sync.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::disk::Disk;
use super::queue::{Group, Op, Queue};
use super::writer::Writer;

/// A group of more payload than this is left to the thread: much is going on, and then the sync of
/// one group should overlap with the making of the next.
const SMALL_BYTES: usize = 4096;

/// Shared by the thread and those who append.
pub struct Commit {
    queue: Arc<Queue>,
    disk: Arc<Disk>,
    /// Held while a group is committed and its callers are told, so that groups keep their order.
    writer: Mutex<Turn>,
}

struct Turn {
    writer: Writer,
    /// The disk has failed: nothing is written any more, and the thread ends with the next job.
    failed: bool,
}

impl Commit {
    pub fn new(writer: Writer, queue: Arc<Queue>, disk: Arc<Disk>) -> Self {
        Self { queue, disk, writer: Mutex::new(Turn { writer, failed: false }) }
    }

    /// The thread: commits what is queued until the log is closed or the disk fails.
    pub fn run(&self) {
        let _ended = EndGuard(self);
        loop {
            self.queue.wait();
            let mut turn = self.writer.lock();
            if turn.failed {
                return;
            }
            let group = self.queue.take();
            let closing = group.closing;
            self.commit(&mut turn, group);
            if closing || turn.failed {
                return;
            }
        }
    }

    /// Commits on this thread what was just queued if that is all there is, and little; otherwise
    /// the log's thread does.
    pub fn commit_here(&self) {
        if let Some(mut turn) = self.writer.try_lock()
            && !turn.failed
        {
            let writer = &turn.writer;
            let fits = |op: &Op| op.bytes() <= SMALL_BYTES && writer.has_room_for(op);
            let group = self.queue.take_only(fits);
            if let Some(group) = group {
                return self.commit(&mut turn, group);
            }
        }
        self.queue.wake();
    }

    fn commit(&self, turn: &mut Turn, group: Group) {
        let result = turn.writer.commit(&group);
        let failure = result.err().map(|halt| turn.writer.halted(halt));
        for job in group.jobs {
            job.finish(failure.clone().map_or(Ok(()), |reason| Err(io::Error::other(reason))));
        }
        if failure.is_some() {
            turn.failed = true;
            return;
        }
        turn.writer.reap();
        self.queue.settled(turn.writer.is_settled());
    }
}

/// Leaves nobody waiting when the thread ends, be it by a panic.
struct EndGuard<'a>(&'a Commit);

impl Drop for EndGuard<'_> {
    fn drop(&mut self) {
        let Commit { queue, disk, .. } = self.0;
        if std::thread::panicking() {
            (disk.options.on_fatal)("the write-ahead log's thread panicked");
        }
        for job in queue.end() {
            job.finish(Err(io::Error::other("the write-ahead log is closed")));
        }
    }
}
