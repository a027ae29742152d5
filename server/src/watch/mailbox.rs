//! Where the publisher leaves a session's events: references, bounded by the publisher, taken out
//! all at once. The only state that both sides touch while events flow.

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::message::Ended;

/// One event for one watcher.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) slot: u64,
    pub(super) revision: i64,
    pub(super) event: Bytes,
}

/// A watcher the publisher no longer serves: it must catch up from `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) slot: u64,
    pub(super) next: i64,
}

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) deliveries: Vec<Delivery>,
    /// Of the deliveries' events.
    pub(super) bytes: usize,
    pub(super) behind: Vec<Behind>,
    pub(super) ended: Option<Ended>,
}

#[derive(Debug, Default)]
pub(super) struct Mailbox {
    contents: Mutex<Contents>,
    bell: Notify,
}

impl Mailbox {
    /// What is left of the bounds.
    pub(super) fn room(&self, events_max: usize, bytes_max: usize) -> (usize, usize) {
        let contents = self.contents.lock();
        let events = events_max.saturating_sub(contents.deliveries.len());
        (events, bytes_max.saturating_sub(contents.bytes))
    }

    /// Empties both lists into the mailbox and wakes the session.
    pub(super) fn put(&self, deliveries: &mut Vec<Delivery>, behind: &mut Vec<Behind>) {
        {
            let mut contents = self.contents.lock();
            contents.bytes += deliveries.iter().map(|delivery| delivery.event.len()).sum::<usize>();
            if contents.deliveries.is_empty() {
                std::mem::swap(&mut contents.deliveries, deliveries);
            } else {
                contents.deliveries.append(deliveries);
            }
            contents.behind.append(behind);
        }
        self.bell.notify_one();
    }

    pub(super) fn end(&self, why: Ended) {
        self.contents.lock().ended.get_or_insert(why);
        self.bell.notify_one();
    }

    /// Everything that is there; `spare` is an empty list whose memory is used for what comes.
    pub(super) fn take(&self, spare: Vec<Delivery>) -> Contents {
        debug_assert!(spare.is_empty());
        let mut contents = self.contents.lock();
        let ended = contents.ended.clone();
        let next = Contents { deliveries: spare, ended, ..Contents::default() };
        std::mem::replace(&mut contents, next)
    }

    /// Returns at once when something came since the last return. Cancel-safe.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
