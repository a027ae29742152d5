//! The thread that makes the next segment ahead of need and removes those no longer needed, so
//! that neither is waited for by a commit.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use super::disk::{Disk, Spare};

/// Pause before a segment that could not be made is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub struct Supply {
    state: Mutex<State>,
    /// For the thread.
    work: Condvar,
    /// For those who wait for a spare.
    made: Condvar,
    short: AtomicBool,
}

#[derive(Default)]
struct State {
    spare: Option<Spare>,
    /// The last spare is still under the one name there is for spares.
    taken: bool,
    /// The length the next spare must have, if more than the usual one.
    wanted_bytes: u64,
    /// Segments to remove, oldest first.
    doomed: VecDeque<PathBuf>,
    /// Nobody is to wait for a full disk any more.
    hurried: bool,
    closing: bool,
}

impl Supply {
    pub fn start(disk: Arc<Disk>) -> io::Result<(Arc<Self>, JoinHandle<()>)> {
        let supply = Arc::new(Self::default());
        let this = supply.clone();
        let thread = thread::Builder::new().name("wal-supply".into());
        Ok((supply, thread.spawn(move || this.run(&disk))?))
    }

    /// The next segment could not be made: the disk is full, or nearly. What is left of the
    /// current one is for raft's own records; nothing else should be written.
    pub fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    /// A spare of at least this length; waits for one while the disk is full. `None` when the log
    /// is to close and the disk is full still.
    pub fn take(&self, file_bytes: u64) -> Option<Spare> {
        let mut state = self.state.lock();
        state.wanted_bytes = file_bytes;
        loop {
            // One that is too short may have been ready, or in the making: it is made again.
            state.spare = state.spare.take().filter(|spare| spare.file_bytes >= file_bytes);
            if let Some(spare) = state.spare.take() {
                state.wanted_bytes = 0;
                state.taken = true;
                return Some(spare);
            }
            if state.hurried && self.is_short() {
                return None;
            }
            if !self.is_short() {
                // While it is, the thread tries again by itself.
                self.work.notify_one();
            }
            self.made.wait(&mut state);
        }
    }

    /// What was taken has become a segment: time to make another.
    pub fn renew(&self) {
        self.state.lock().taken = false;
        self.work.notify_one();
    }

    pub fn remove(&self, paths: impl Iterator<Item = PathBuf>) {
        self.state.lock().doomed.extend(paths);
        self.work.notify_one();
    }

    /// The log is about to close: whoever waits for a full disk gives up.
    pub fn hurry(&self) {
        self.state.lock().hurried = true;
        self.made.notify_all();
    }

    /// Ends the thread once what is to be removed is.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.work.notify_one();
    }

    fn run(&self, disk: &Disk) {
        let mut state = self.state.lock();
        loop {
            if let Some(path) = state.doomed.pop_front() {
                parking_lot::MutexGuard::unlocked(&mut state, || {
                    if let Err(error) = disk.remove(&path) {
                        // It stays until the next start finds it again; nothing depends on it.
                        tracing::warn!(%error, file = %path.display(), "cannot remove log segment");
                    }
                });
            } else if state.closing {
                return;
            } else if state.spare.is_none() && !state.taken {
                let file_bytes = state.wanted_bytes.max(disk.options.segment_bytes);
                let made =
                    parking_lot::MutexGuard::unlocked(&mut state, || disk.make_spare(file_bytes));
                self.note(&made);
                self.made.notify_all();
                match made {
                    Ok(spare) => state.spare = Some(spare),
                    Err(_) if state.closing || !state.doomed.is_empty() => {}
                    Err(_) => {
                        self.work.wait_for(&mut state, RETRY_INTERVAL);
                    }
                }
            } else {
                self.work.wait(&mut state);
            }
        }
    }

    fn note(&self, made: &io::Result<Spare>) {
        let was_short = self.short.swap(made.is_err(), Ordering::Relaxed);
        match made {
            Err(error) if !was_short => {
                tracing::error!(%error, "cannot make the next log segment, writes are refused");
            }
            Ok(_) if was_short => tracing::info!("there is room for the log again"),
            _ => {}
        }
    }
}
