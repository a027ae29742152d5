//! What waits for the disk: batches in order, bounded in bytes, and the records in them, which are
//! served from here until the engine has them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::engine::record_bytes;
use super::error::Error;
use super::record::Record;
use super::writer::Control;
use crate::types::Revision;

/// What one or more applied log entries changed, written atomically or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Log index of the last entry in it. Never decreases from batch to batch.
    pub index: u64,
    /// Records by revision, ascending; above every revision written before.
    pub records: Vec<(Revision, Record)>,
    /// Rows by key, absolute; `None` removes. The last one for a key counts.
    pub rows: Vec<(Bytes, Option<Bytes>)>,
    /// Revisions that no longer count, all written before.
    pub forget: Vec<Revision>,
}

impl Batch {
    /// What it takes while it waits.
    pub fn bytes(&self) -> usize {
        let records = self.records.iter().map(|(_, r)| record_bytes(r.encoded_len()) as usize);
        let rows =
            self.rows.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Bytes::len));
        // A fixed part for the maps around each, so that empty batches are bounded too.
        let count = self.records.len() + self.rows.len() + 1;
        records.sum::<usize>() + rows.sum::<usize>() + self.forget.len() * 12 + count * 64
    }
}

/// How long batches gather before they are written together, unless there are many or somebody
/// waits: nothing is in a hurry behind the log, and a wake-up for each costs whoever hands over.
const GATHER: Duration = Duration::from_millis(25);
/// Batches of that size together are not held back.
const GATHERED_BYTES: usize = 256 * 1024;

/// How the writer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Write what waits and make a checkpoint.
    Orderly,
    /// Leave everything as it is; a restart replays the log.
    Now,
}

/// What the writer finds to do.
pub enum Work {
    /// Consecutive batches, up to the group's size.
    Batches(Vec<Batch>),
    Control(Control),
    Stop(Stop),
    /// Nothing within the time given.
    Nothing,
}

enum Job {
    Batch(Batch),
    Control(Control),
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    pending: BTreeMap<Revision, Record>,
    bytes: usize,
    /// Somebody waits for the writer, or there is enough to do: nothing more is gathered.
    urgent: bool,
    stop: Option<Stop>,
    ended: Option<Arc<str>>,
}

/// Shared by the callers and the writer.
pub struct Queue {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
    limit: usize,
}

impl Queue {
    pub fn new(limit: usize) -> Self {
        Self { state: Mutex::default(), work: Condvar::new(), room: Condvar::new(), limit }
    }

    /// Takes a batch; waits while the queue is full.
    pub fn push(&self, batch: Batch) -> Result<(), Error> {
        let bytes = batch.bytes();
        let mut state = self.state.lock();
        while state.bytes >= self.limit && state.ended.is_none() {
            self.room.wait(&mut state);
        }
        refuse_if_ended(&state)?;
        state.bytes += bytes;
        state.pending.extend(batch.records.iter().cloned());
        let sleeping = state.jobs.is_empty();
        state.jobs.push_back(Job::Batch(batch));
        let enough = state.bytes >= GATHERED_BYTES.min(self.limit / 2) && !state.urgent;
        state.urgent |= enough;
        if sleeping || enough {
            self.work.notify_one();
        }
        Ok(())
    }

    /// Has the writer do something after everything pushed so far.
    pub fn control(&self, control: Control) -> Result<(), Error> {
        let mut state = self.state.lock();
        refuse_if_ended(&state)?;
        state.jobs.push_back(Job::Control(control));
        state.urgent = true;
        self.work.notify_one();
        Ok(())
    }

    pub fn stop(&self, stop: Stop) {
        let mut state = self.state.lock();
        state.stop = Some(stop);
        state.urgent = true;
        self.work.notify_one();
    }

    /// The next thing to do, in order; waits at most `patience`.
    pub fn next(&self, patience: Duration, group_bytes: usize) -> Work {
        let mut state = self.state.lock();
        if state.jobs.is_empty() && state.stop.is_none() && !patience.is_zero() {
            self.work.wait_for(&mut state, patience);
            if !state.jobs.is_empty() && !state.urgent {
                self.work.wait_while_for(&mut state, |state| !state.urgent, GATHER);
            }
        }
        state.urgent = state.stop.is_some();
        if state.stop == Some(Stop::Now) {
            return Work::Stop(Stop::Now);
        }
        let (mut group, mut bytes) = (Vec::new(), 0);
        while bytes < group_bytes {
            match state.jobs.pop_front() {
                Some(Job::Batch(batch)) => {
                    bytes += batch.bytes();
                    group.push(batch);
                }
                Some(control) if !group.is_empty() => {
                    state.jobs.push_front(control);
                    break;
                }
                Some(Job::Control(control)) => return Work::Control(control),
                None => break,
            }
        }
        match (group.is_empty(), state.stop) {
            (false, _) => Work::Batches(group),
            (true, Some(stop)) => Work::Stop(stop),
            (true, None) => Work::Nothing,
        }
    }

    /// These batches are in the engine: they no longer wait.
    pub fn written(&self, batches: &[Batch]) {
        let mut state = self.state.lock();
        for batch in batches {
            state.bytes -= batch.bytes();
            for (revision, _) in &batch.records {
                state.pending.remove(revision);
            }
        }
        self.room.notify_all();
    }

    /// The writer is gone: nothing is taken any more, whoever waits learns why. Records that still
    /// wait stay readable.
    pub fn end(&self, why: &str) {
        let mut state = self.state.lock();
        state.ended = Some(why.into());
        state.jobs.clear();
        self.room.notify_all();
    }

    /// Why the writer has ended, for whoever lost its answer. The answer is lost a moment before
    /// the reason is known, so this waits for it.
    pub fn why_ended(&self) -> Error {
        let mut state = self.state.lock();
        loop {
            if let Some(why) = &state.ended {
                return Error::Stopped(why.clone());
            }
            self.room.wait(&mut state);
        }
    }

    pub fn pending_bytes(&self) -> usize {
        self.state.lock().bytes
    }

    pub fn record(&self, at: Revision) -> Option<Record> {
        self.state.lock().pending.get(&at).cloned()
    }

    /// At most `limit` waiting records from `from` on and below `to`, in order.
    pub fn records(
        &self,
        from: Revision,
        to: Revision,
        limit: usize,
    ) -> BTreeMap<Revision, Record> {
        let state = self.state.lock();
        let waiting = state.pending.range(from..to).take(limit);
        waiting.map(|(revision, record)| (*revision, record.clone())).collect()
    }
}

fn refuse_if_ended(state: &State) -> Result<(), Error> {
    match (&state.ended, state.stop) {
        (Some(why), _) => Err(Error::Stopped(why.clone())),
        (None, Some(_)) => Err(Error::Stopped("it is closing".into())),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
#[path = "queue_test.rs"]
mod tests;
