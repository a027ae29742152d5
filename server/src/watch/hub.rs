//! The hub: the apply path tells it what was committed, the API opens streams on it.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::board::Board;
use super::event::Committed;
use super::history::History;
use super::message::Ended;
use super::session::Session;
use super::stream::WatchStream;
use crate::limits;

/// Recent revisions kept for catching up. Most of it is shared with the store's own memory.
pub const RING_BYTES_DEFAULT: usize = 32 * 1024 * 1024;
/// Events waiting for one stream: some 1.5 s of the busiest single stream measured, 0.5 MiB of
/// references.
pub const QUEUE_EVENTS_DEFAULT: usize = 8192;
/// What these references may keep alive.
pub const QUEUE_BYTES_DEFAULT: usize = 8 * 1024 * 1024;
/// Reads of the history at once, over all streams: a storm of reconnecting clients must not take
/// all threads and the whole disk.
const SCANS_AT_ONCE: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `--watch-progress-notify-interval`.
    pub progress_interval: Duration,
    /// `--max-request-bytes`: an answer is closed, or cut into fragments, above it.
    pub response_bytes_max: usize,
    pub ring_bytes_max: usize,
    pub queue_events_max: usize,
    pub queue_bytes_max: usize,
}

impl Options {
    /// etcd's defaults, and ours for what etcd does not let one choose.
    pub fn standard() -> Self {
        Self {
            progress_interval: limits::WATCH_PROGRESS_INTERVAL,
            response_bytes_max: limits::REQUEST_BYTES_DEFAULT,
            ring_bytes_max: RING_BYTES_DEFAULT,
            queue_events_max: QUEUE_EVENTS_DEFAULT,
            queue_bytes_max: QUEUE_BYTES_DEFAULT,
        }
    }
}

/// Figures for the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub streams: usize,
    pub watchers: usize,
    /// Watchers that are catching up.
    pub slow_watchers: usize,
    /// Events handed to live watchers since the start.
    pub events: u64,
}

/// Cheap to clone; all clones are one hub.
#[derive(Clone, Debug)]
pub struct Hub(Arc<Shared>);

pub(super) struct Shared {
    pub(super) board: Mutex<Board>,
    pub(super) history: Arc<dyn History>,
    pub(super) scans: Arc<Semaphore>,
    pub(super) options: Options,
    published: watch::Sender<i64>,
}

impl Shared {
    /// Nobody need be there to hear.
    fn announce(&self, applied: i64) {
        self.published.send_if_modified(|known| std::mem::replace(known, applied) != applied);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Hub {
    /// Begins at a store whose newest revision is `applied`, compacted at `compacted`.
    pub fn new(applied: i64, compacted: i64, history: Arc<dyn History>, options: Options) -> Self {
        Self(Arc::new(Shared {
            board: Mutex::new(Board::new(applied, compacted, &options)),
            history,
            scans: Arc::new(Semaphore::new(SCANS_AT_ONCE)),
            options,
            published: watch::Sender::new(applied),
        }))
    }

    /// Revisions that were applied, in order; for the apply thread only. A batch costs every
    /// session at most one wake-up. Never waits for a consumer. Revisions not above the applied
    /// one are passed over.
    ///
    /// Readers may see a revision before or after its events; publish it before its answer is
    /// sent if a client must find its own write in `created`'s revision.
    pub fn publish(&self, batch: impl IntoIterator<Item = Arc<Committed>>) {
        let mut board = self.0.board.lock();
        for committed in batch {
            board.publish(committed);
        }
        board.flush();
        self.0.announce(board.applied);
    }

    /// The store is being compacted at `revision`. Comes before the first record is removed.
    pub fn compact(&self, revision: i64) {
        let mut board = self.0.board.lock();
        board.compacted = board.compacted.max(revision);
    }

    /// A snapshot took the place of the store, and the history already reads from it. Watchers go
    /// on from where they were through its history, or are cancelled as compacted.
    pub fn reset(&self, applied: i64, compacted: i64) {
        let mut board = self.0.board.lock();
        board.reset(applied, compacted);
        self.0.announce(board.applied);
    }

    /// Follows the revision up to which events can be read, for a reader of the server's own.
    pub fn follow(&self) -> watch::Receiver<i64> {
        self.0.published.subscribe()
    }

    /// Revisions from `from` on that are still in memory, at most `max`, and the revision up to
    /// which they are all there is; `None` when the history must be read for them.
    pub fn recent(&self, from: i64, max: usize) -> Option<(Vec<Arc<Committed>>, i64)> {
        self.0.board.lock().recent(from, max)
    }

    /// The history behind what is in memory. Reading it blocks.
    pub fn history(&self) -> Arc<dyn History> {
        Arc::clone(&self.0.history)
    }

    /// A turn at reading the history; see there how many there are.
    pub async fn turn_to_scan(&self) -> OwnedSemaphorePermit {
        let turn = Arc::clone(&self.0.scans).acquire_owned().await;
        turn.expect("the semaphore is never closed")
    }

    /// A new stream without watchers.
    pub fn open(&self) -> WatchStream {
        WatchStream::new(Session::open(Arc::clone(&self.0)))
    }

    /// Ends all streams, and those opened later, with this reason.
    pub fn close(&self, reason: impl Into<Cow<'static, str>>) {
        self.0.board.lock().end(&Ended::Closed(reason.into()));
    }

    /// The revision up to which watchers are served.
    pub fn applied(&self) -> i64 {
        self.0.board.lock().applied
    }

    pub fn stats(&self) -> Stats {
        let board = self.0.board.lock();
        Stats {
            streams: board.sessions(),
            watchers: board.watchers,
            slow_watchers: board.watchers - board.live(),
            events: board.delivered,
        }
    }

    #[cfg(test)]
    pub(super) fn session(&self) -> Session {
        Session::open(Arc::clone(&self.0))
    }
}
