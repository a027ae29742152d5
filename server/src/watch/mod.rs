//! Watching: subscribers, catch-up, progress, slow consumers.
//!
//! The apply path hands each committed revision to the [`Hub`]; the API opens a [`WatchStream`]
//! for each gRPC stream and awaits answers. A watcher is either *live*, served by the publisher
//! through the stream's bounded queue, or *behind*, served by the stream itself from the ring of
//! recent revisions or from the store's [`History`]. Both changes happen under the lock that
//! publishing takes, so no event is lost or repeated. A stream that does not keep up costs nobody
//! else anything: its watchers fall behind and catch up when it reads again.
//!
//! Nothing here is spawned; the part without waiting (all but `stream`) is tested against a model.

mod batch;
mod board;
mod event;
mod history;
mod hub;
mod index;
mod interval;
mod mailbox;
mod message;
mod ring;
mod session;
mod stream;
mod watcher;

pub use event::{Change, Committed, Event};
pub use history::{Chunk, History, HistoryError};
pub use hub::{Hub, Options, QUEUE_BYTES_DEFAULT, QUEUE_EVENTS_DEFAULT, RING_BYTES_DEFAULT, Stats};
pub use interval::IntervalTree;
pub use message::{Create, Ended, NO_WATCHER, Response};
pub use stream::WatchStream;

#[cfg(test)]
mod fixture_test;
#[cfg(test)]
mod model_test;
#[cfg(test)]
mod protocol_test;
#[cfg(test)]
mod stress_test;
