//! The applied state as readers see it: one version at a time, swapped whole, and the index it
//! stands at, to be waited for.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::machine::State;

/// One version of the applied state.
#[derive(Clone)]
pub struct Version {
    pub state: State,
    /// Log index of the last entry in it.
    pub index: u64,
}

/// Where the applier publishes and readers look.
pub struct Applied {
    version: ArcSwap<Version>,
    index: watch::Sender<u64>,
}

impl Applied {
    pub fn new(version: Version) -> Self {
        let (index, _) = watch::channel(version.index);
        Self { version: ArcSwap::from_pointee(version), index }
    }

    /// The newest version. Holding it keeps its memory alive, so hold it for one request only.
    pub fn load(&self) -> Arc<Version> {
        self.version.load_full()
    }

    /// Runs `read` on the newest version without touching its counter.
    pub fn with<T>(&self, read: impl FnOnce(&Version) -> T) -> T {
        read(&self.version.load())
    }

    /// Makes `version` the newest and wakes whoever waits for its index. Returns the one before,
    /// which the caller may drop where it does no harm.
    pub fn publish(&self, version: Version) -> Arc<Version> {
        let index = version.index;
        let old = self.version.swap(Arc::new(version));
        self.index.send_replace(index);
        old
    }

    /// Waits until everything up to `index` is applied here.
    pub async fn reached(&self, index: u64) {
        if self.with(|version| version.index) >= index {
            return;
        }
        let mut changes = self.index.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = changes.wait_for(|applied| *applied >= index).await;
    }

    /// Follows the applied index.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.index.subscribe()
    }
}
