//! A snapshot in openraft's hands: a handle, never the bytes. Outgoing it is a source that is read
//! while it is sent; incoming it is a staged state that waits for its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::applier::{SnapshotSource, Staged};
use super::types::LogId;

pub enum SnapshotData {
    Outgoing(Outgoing),
    Incoming(Staged),
}

/// A source, and the promise that the log after its position stays for as long as it is read.
pub struct Outgoing {
    pub source: Box<dyn SnapshotSource>,
    pub pin: Pin,
}

/// Positions of snapshots that are being read. The log behind them must stay, or their receivers
/// would need the next snapshot at once.
#[derive(Clone, Default)]
pub struct Pins(Arc<Mutex<BTreeMap<u64, usize>>>);

impl Pins {
    pub fn pin(&self, last: Option<LogId>) -> Pin {
        let index = last.map_or(0, |last| last.index);
        *self.0.lock().entry(index).or_default() += 1;
        Pin { pins: self.clone(), index }
    }

    /// The lowest position pinned.
    pub fn lowest(&self) -> Option<u64> {
        self.0.lock().keys().next().copied()
    }
}

/// One pinned position, until dropped.
pub struct Pin {
    pins: Pins,
    index: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pins.0.lock();
        if let Some(count) = pins.get_mut(&self.index) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.index);
            }
        }
    }
}
