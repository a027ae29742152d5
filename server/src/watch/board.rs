//! What the publisher and the sessions share under one lock: the applied revision, the ring, the
//! index of live watchers. Decides, in one step with publishing, whether a watcher is live or
//! behind, which is why none ever misses or repeats an event. No waiting and no history here.

use std::collections::HashMap;
use std::sync::Arc;

use super::Options;
use super::event::Committed;
use super::index::{Index, Subscription, Wants};
use super::mailbox::{Behind, Delivery, Mailbox};
use super::message::Ended;
use super::ring::{ReadLimit, Ring};
use crate::types::KeyRange;

#[derive(Debug)]
pub(super) struct Board {
    pub(super) applied: i64,
    pub(super) compacted: i64,
    pub(super) watchers: usize,
    pub(super) delivered: u64,
    ring: Ring,
    index: Index,
    subscribers: Vec<Option<Subscriber>>,
    free: Vec<usize>,
    next_serial: u64,
    ended: Option<Ended>,
    queue_events_max: usize,
    queue_bytes_max: usize,
    /// Subscribers with something staged in this batch.
    touched: Vec<usize>,
    overflowed: Vec<(usize, u64)>,
}

/// A session as the publisher knows it.
#[derive(Debug)]
struct Subscriber {
    mailbox: Arc<Mailbox>,
    /// By slot: range and serial, to find the subscription in the index.
    live: HashMap<u64, (KeyRange, u64)>,
    staged: Vec<Delivery>,
    behind: Vec<Behind>,
    touched: bool,
    room_events: usize,
    room_bytes: usize,
    /// The last revision offered and whether it was let in: all of it or nothing.
    verdict: (i64, bool),
}

/// A watcher that asks where to go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Query<'a> {
    pub(super) slot: u64,
    /// All events below this revision are on their way.
    pub(super) next: i64,
    pub(super) range: &'a KeyRange,
    pub(super) wants: Wants,
}

/// What a watcher has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// Take its events from the chunk, then it is live: the publisher serves it from `from` on.
    Live { from: i64 },
    /// Take its events from the chunk, then ask again with this revision.
    Continue { next: i64 },
    /// Read the store up to and including this revision.
    History { to: i64 },
    /// What it needs next is gone.
    Compacted { at: i64 },
}

impl Board {
    pub(super) fn new(applied: i64, compacted: i64, options: &Options) -> Self {
        Self {
            applied,
            compacted,
            watchers: 0,
            delivered: 0,
            ring: Ring::new(applied, options.ring_bytes_max),
            index: Index::new(),
            subscribers: Vec::new(),
            free: Vec::new(),
            next_serial: 0,
            ended: None,
            queue_events_max: options.queue_events_max,
            queue_bytes_max: options.queue_bytes_max,
            touched: Vec::new(),
            overflowed: Vec::new(),
        }
    }

    pub(super) fn sessions(&self) -> usize {
        self.subscribers.len() - self.free.len()
    }

    pub(super) fn live(&self) -> usize {
        self.index.len()
    }

    /// Stages one revision; [`Board::flush`] hands it over. Revisions not above the applied one
    /// are known already (a replayed log) and are passed over.
    pub(super) fn publish(&mut self, committed: Arc<Committed>) {
        let revision = committed.revision();
        if revision <= self.applied {
            return;
        }
        self.dispatch(&committed);
        self.applied = revision;
        self.ring.push(committed);
    }

    fn dispatch(&mut self, committed: &Committed) {
        let revision = committed.revision();
        let Self { index, subscribers, touched, overflowed, delivered, .. } = self;
        let bounds = (self.queue_events_max, self.queue_bytes_max);
        for event in committed.events() {
            index.matching(event.key(), &mut |to| {
                if revision < to.from || !to.wants.admits(event) {
                    return;
                }
                let Some(subscriber) = &mut subscribers[to.session] else { return };
                if !subscriber.touched {
                    touched.push(to.session);
                }
                if subscriber.admits(revision, bounds) {
                    *delivered += 1;
                    subscriber.stage(to.slot, revision, event.encoded(revision, to.wants.prev_kv));
                } else {
                    overflowed.push((to.session, to.slot));
                }
            });
        }
        for (session, slot) in std::mem::take(&mut self.overflowed) {
            self.fall_behind(session, slot, revision);
        }
    }

    /// Hands what is staged to the sessions, one lock and one wake-up for each.
    pub(super) fn flush(&mut self) {
        for session in self.touched.drain(..) {
            if let Some(subscriber) = &mut self.subscribers[session] {
                subscriber.touched = false;
                subscriber.mailbox.put(&mut subscriber.staged, &mut subscriber.behind);
            }
        }
    }

    /// Does nothing when the watcher is not live (a second event of the same revision).
    fn fall_behind(&mut self, session: usize, slot: u64, next: i64) {
        let Some(subscriber) = &mut self.subscribers[session] else { return };
        if let Some((range, serial)) = subscriber.live.remove(&slot) {
            self.index.remove(&range, serial);
            subscriber.behind.push(Behind { slot, next });
        }
    }

    /// The state is now that of a snapshot: what lies between is only in the store's history.
    pub(super) fn reset(&mut self, applied: i64, compacted: i64) {
        let next = self.applied + 1;
        self.compacted = self.compacted.max(compacted);
        if applied < next {
            return;
        }
        self.applied = applied;
        self.ring.reset(applied);
        for session in 0..self.subscribers.len() {
            let Some(subscriber) = &self.subscribers[session] else { continue };
            let slots: Vec<u64> = subscriber.live.keys().copied().collect();
            for slot in slots {
                self.fall_behind(session, slot, next);
            }
            if let Some(subscriber) = &mut self.subscribers[session]
                && !subscriber.behind.is_empty()
            {
                subscriber.touched = true;
                self.touched.push(session);
            }
        }
        self.flush();
    }

    /// What the ring holds from `from` on, and up to which revision that is all there is.
    pub(super) fn recent(&self, from: i64, max: usize) -> Option<(Vec<Arc<Committed>>, i64)> {
        if from <= self.ring.floor() {
            return None;
        }
        let limit = ReadLimit { revisions: max, bytes: usize::MAX };
        let (chunk, whole) = self.ring.read(from, limit);
        let last = chunk.last().map_or(from - 1, |last| last.revision());
        Some((chunk, if whole { self.applied.max(last) } else { last }))
    }

    pub(super) fn open(&mut self) -> (usize, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::default());
        if let Some(why) = &self.ended {
            mailbox.end(why.clone());
        }
        let subscriber = Subscriber::new(Arc::clone(&mailbox));
        let session = match self.free.pop() {
            Some(session) => session,
            None => {
                self.subscribers.push(None);
                self.subscribers.len() - 1
            }
        };
        self.subscribers[session] = Some(subscriber);
        (session, mailbox)
    }

    /// `watchers` is how many of them the session still counts.
    pub(super) fn close(&mut self, session: usize, watchers: usize) {
        self.watchers -= watchers;
        if let Some(subscriber) = self.subscribers[session].take() {
            for (range, serial) in subscriber.live.values() {
                self.index.remove(range, *serial);
            }
            self.free.push(session);
        }
    }

    pub(super) fn end(&mut self, why: &Ended) {
        self.ended.get_or_insert_with(|| why.clone());
        for subscriber in self.subscribers.iter().flatten() {
            subscriber.mailbox.end(why.clone());
        }
    }

    /// A watcher is gone; its deliveries under way are for the session to drop.
    pub(super) fn forget(&mut self, session: usize, slot: u64) {
        self.watchers -= 1;
        if let Some(subscriber) = &mut self.subscribers[session]
            && let Some((range, serial)) = subscriber.live.remove(&slot)
        {
            self.index.remove(&range, serial);
        }
    }

    /// Serves a new watcher, or one that has caught up, from `from` on, which is above the
    /// applied revision.
    pub(super) fn go_live(&mut self, session: usize, query: Query<'_>, from: i64) {
        debug_assert!(from > self.applied, "live from {from}, applied {}", self.applied);
        let Some(subscriber) = &mut self.subscribers[session] else { return };
        self.next_serial += 1;
        let Query { slot, range, wants, .. } = query;
        let serial = self.next_serial;
        subscriber.live.insert(slot, (range.clone(), serial));
        self.index.insert(range, Subscription { serial, session, slot, from, wants });
    }

    /// Tells each watcher its course, and returns the revisions for those that have it from the
    /// ring: a watcher takes from the chunk what is not below its `next`.
    pub(super) fn catch_up(
        &mut self,
        session: usize,
        queries: &[Query<'_>],
        limit: ReadLimit,
    ) -> (Vec<Course>, Vec<Arc<Committed>>) {
        let floor = self.ring.floor();
        let in_ring = queries.iter().map(|query| query.next).filter(|next| *next > floor);
        let (chunk, whole) =
            in_ring.min().map_or((Vec::new(), true), |from| self.ring.read(from, limit));
        let covered =
            if whole { self.applied } else { chunk.last().map_or(floor, |last| last.revision()) };
        let mut courses = Vec::with_capacity(queries.len());
        for query in queries {
            courses.push(match query.next {
                next if next > floor && whole => {
                    let from = next.max(covered + 1);
                    self.go_live(session, *query, from);
                    Course::Live { from }
                }
                next if next > floor => Course::Continue { next: next.max(covered + 1) },
                next if next < self.compacted => Course::Compacted { at: self.compacted },
                _ => Course::History { to: floor },
            });
        }
        (courses, chunk)
    }
}

impl Subscriber {
    fn new(mailbox: Arc<Mailbox>) -> Self {
        Self {
            mailbox,
            live: HashMap::new(),
            staged: Vec::new(),
            behind: Vec::new(),
            touched: false,
            room_events: 0,
            room_bytes: 0,
            verdict: (0, false),
        }
    }

    /// Decided once for each revision, so that a watcher gets all of it or nothing; the bounds
    /// are passed by at most one revision.
    fn admits(&mut self, revision: i64, (events_max, bytes_max): (usize, usize)) -> bool {
        if !self.touched {
            self.touched = true;
            (self.room_events, self.room_bytes) = self.mailbox.room(events_max, bytes_max);
        }
        if self.verdict.0 != revision {
            self.verdict = (revision, self.room_events > 0 && self.room_bytes > 0);
        }
        self.verdict.1
    }

    fn stage(&mut self, slot: u64, revision: i64, event: &bytes::Bytes) {
        self.room_events = self.room_events.saturating_sub(1);
        self.room_bytes = self.room_bytes.saturating_sub(event.len());
        self.staged.push(Delivery { slot, revision, event: event.clone() });
    }
}
