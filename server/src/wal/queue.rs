//! What callers want written, in the order they asked, until somebody commits it.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{Entry, Position};

/// Callers wait beyond this many bytes. Raft bounds what it has in flight far below.
const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes written before one sync: keeps the wait of the first in a group in the low milliseconds.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Quiet time after which what needs no sync is written on its own.
const IDLE: Duration = Duration::from_millis(100);

/// Called once, by whoever committed it, when what it belongs to is on disk, or never will be.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// A change to the log.
pub enum Op {
    Append { entries: Vec<Entry>, first_ticket: u64 },
    Vote(Bytes),
    Truncate { next: u64, last: Option<Position> },
    Purge(Position),
    Flush,
}

impl Op {
    pub fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|entry| entry.payload.len()).sum(),
            _ => 0,
        }
    }
}

pub struct Job {
    pub op: Op,
    /// Whether the disk must have it before `done`.
    pub durable: bool,
    pub done: Option<Done>,
}

impl Job {
    pub fn finish(self, result: io::Result<()>) {
        if let Some(done) = self.done {
            done(result);
        }
    }
}

/// A group to be committed with one write and one sync. Empty when there was nothing for a while,
/// and at the end.
pub struct Group {
    pub jobs: Vec<Job>,
    pub committed: Option<Position>,
    pub closing: bool,
}

#[derive(Default)]
pub struct Queue {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    bytes: usize,
    /// The newest that is not written. It rides on the next group.
    committed: Option<Position>,
    /// What is on disk is not known by a frame yet.
    unsettled: bool,
    /// The thread waits for as long as it takes.
    asleep: bool,
    closing: bool,
    /// The thread is gone.
    ended: bool,
}

impl Queue {
    /// Waits while too much is queued. To be called before taking a lock that a commit needs.
    pub fn wait_for_room(&self) {
        let mut state = self.state.lock();
        while state.bytes > QUEUE_BYTES_MAX && !state.ended {
            self.room.wait(&mut state);
        }
    }

    /// Gives the job back when nobody will take it any more.
    pub fn push(&self, job: Job) -> Result<(), Job> {
        self.push_quietly(job)?;
        self.wake();
        Ok(())
    }

    /// The same without waking the thread.
    pub fn push_quietly(&self, job: Job) -> Result<(), Job> {
        let mut state = self.state.lock();
        if state.ended || state.closing {
            return Err(job);
        }
        state.bytes += job.op.bytes();
        state.jobs.push_back(job);
        Ok(())
    }

    /// There is work for the thread.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    pub fn set_committed(&self, committed: Position) {
        let mut state = self.state.lock();
        state.committed = Some(committed);
        if state.asleep {
            self.work.notify_one();
        }
    }

    /// A group was committed, and whether a frame says so.
    pub fn settled(&self, settled: bool) {
        let mut state = self.state.lock();
        state.unsettled = !settled;
        if state.asleep && state.unsettled {
            self.work.notify_one();
        }
    }

    /// Waits for work; unless all is settled, for a quiet while only.
    pub fn wait(&self) {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.closing && !state.ended {
            if !state.unsettled && state.committed.is_none() {
                state.asleep = true;
                self.work.wait(&mut state);
                state.asleep = false;
            } else if self.work.wait_for(&mut state, IDLE).timed_out() {
                break;
            }
        }
    }

    /// The next group; an empty one when nothing waits.
    pub fn take(&self) -> Group {
        let mut state = self.state.lock();
        let mut jobs = Vec::with_capacity(state.jobs.len());
        let mut bytes = 0;
        while bytes < GROUP_BYTES_MAX
            && let Some(job) = state.jobs.pop_front()
        {
            bytes += job.op.bytes();
            jobs.push(job);
        }
        state.bytes -= bytes;
        self.room.notify_all();
        let closing = state.closing && jobs.is_empty();
        Group { jobs, committed: state.committed.take(), closing }
    }

    /// The one job that waits, if it is only one and `fits`.
    pub fn take_only(&self, fits: impl FnOnce(&Op) -> bool) -> Option<Group> {
        let mut state = self.state.lock();
        if state.jobs.len() != 1
            || state.closing
            || !state.jobs.front().is_some_and(|job| fits(&job.op))
        {
            return None;
        }
        let job = state.jobs.pop_front()?;
        state.bytes -= job.op.bytes();
        Some(Group { jobs: vec![job], committed: state.committed.take(), closing: false })
    }

    pub fn close(&self) {
        self.state.lock().closing = true;
        self.work.notify_one();
    }

    /// The thread ends; answers what it leaves behind.
    pub fn end(&self) -> Vec<Job> {
        let mut state = self.state.lock();
        state.ended = true;
        state.bytes = 0;
        self.room.notify_all();
        state.jobs.drain(..).collect()
    }
}
