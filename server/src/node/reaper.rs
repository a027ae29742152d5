//! Frees old versions of the state on a thread of its own: what only they held may be thousands of
//! nodes, and raft's thread has heartbeats to send.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::applied::Version;

/// How long versions gather before they are freed together: a wake-up of the thread costs whoever
/// hands over more than freeing one costs here.
const GATHER: Duration = Duration::from_millis(25);

/// Takes versions nobody reads any more.
pub struct Reaper(Sender<Arc<Version>>);

impl Reaper {
    pub fn start() -> std::io::Result<Self> {
        let (give, take): (_, Receiver<Arc<Version>>) = channel();
        let thread = std::thread::Builder::new().name("reaper".into());
        thread.spawn(move || {
            while let Ok(version) = take.recv() {
                drop(version);
                std::thread::sleep(GATHER);
                take.try_iter().for_each(drop);
            }
        })?;
        Ok(Self(give))
    }

    pub fn take(&self, version: Arc<Version>) {
        // Without the thread it is freed here.
        drop(self.0.send(version));
    }
}
