//! A line on stderr that says how a run is going, while it does.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};

use crate::bench::recorder::Recorder;
use crate::bench::time::{Duration, now};

/// How often the line changes on a terminal.
const ON_TERMINAL: Duration = Duration::from_secs(1);
/// How often a new line comes anywhere else, where the old ones stay.
const IN_FILE: Duration = Duration::from_secs(10);

/// The thread behind the line.
#[derive(Debug)]
pub struct Progress {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Progress {
    /// Shows the sum of these recorders until [`Progress::stop`].
    pub fn start(recorders: Vec<Arc<Recorder>>) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let terminal = stderr().is_terminal();
            let every = if terminal { ON_TERMINAL } else { IN_FILE };
            let start = now();
            let (mut before, mut seen_at) = (0, start);
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let counts = recorders.iter().map(|recorder| recorder.counts());
                let (done, failed) = counts.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
                let at = now();
                let rate = (done - before) as f64 / (at - seen_at).as_secs_f64();
                let seconds = (at - start).as_secs();
                let line = format!("{seconds} s: {done} done, {rate:.0}/s, {failed} failed");
                (before, seen_at) = (done, at);
                // Progress that nobody can read is no reason to stop.
                let _ = match terminal {
                    true => write!(stderr(), "\r\x1b[K{line}"),
                    false => writeln!(stderr(), "{line}"),
                };
            }
            if terminal {
                let _ = write!(stderr(), "\r\x1b[K");
            }
        });
        Self { stop, thread }
    }

    /// Clears the line.
    pub fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}
