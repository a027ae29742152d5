//! Who must hear of a key. One look at each applied event finds the triggers whose prefix it lies
//! under and rings their bells; what happened they read for themselves, in their own time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::watch::Committed;

/// Rung when there are events for one trigger; remembers the first revision that it was rung for
/// since it was last listened to.
#[derive(Debug, Default)]
pub struct Bell {
    /// 0 for none.
    first: AtomicI64,
    rung: Notify,
}

impl Bell {
    fn ring(&self, revision: i64) {
        let first = self.first.compare_exchange(0, revision, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.rung.notify_one();
        }
    }

    /// The first revision with events since the last call, and a silent bell.
    pub fn take(&self) -> Option<i64> {
        Some(self.first.swap(0, Ordering::AcqRel)).filter(|revision| *revision != 0)
    }

    pub fn is_silent(&self) -> bool {
        self.first.load(Ordering::Acquire) == 0
    }

    /// Waits until it rings; may return once too often.
    pub async fn rung(&self) {
        while self.is_silent() {
            self.rung.notified().await;
        }
    }
}

/// The running triggers by prefix, and how far events were told.
#[derive(Debug, Default)]
pub struct Roster(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    by_prefix: HashMap<Bytes, Vec<Arc<Bell>>>,
    /// The lengths that those prefixes have, ascending.
    lengths: Vec<usize>,
    /// Every bell has rung for its events of the revisions above where it was entered, up to here.
    position: i64,
}

impl Roster {
    /// Begins to tell the events above `position`.
    pub fn starting_at(position: i64) -> Self {
        Self(Mutex::new(Inner { position, ..Inner::default() }))
    }

    pub fn position(&self) -> i64 {
        self.0.lock().position
    }

    /// Enters a trigger that stands at `cursor`. True when the bell will ring for everything it
    /// has not had; otherwise it must first look for itself.
    pub fn enter(&self, prefix: &Bytes, cursor: i64) -> (Arc<Bell>, bool) {
        let bell = Arc::new(Bell::default());
        let mut inner = self.0.lock();
        inner.by_prefix.entry(prefix.clone()).or_default().push(bell.clone());
        inner.measure();
        (bell, cursor >= inner.position)
    }

    pub fn leave(&self, prefix: &Bytes, bell: &Arc<Bell>) {
        let mut inner = self.0.lock();
        if let Some(bells) = inner.by_prefix.get_mut(prefix) {
            bells.retain(|other| !Arc::ptr_eq(other, bell));
            if bells.is_empty() {
                inner.by_prefix.remove(prefix);
                inner.measure();
            }
        }
    }

    /// Tells of the next revisions, all there are up to `up_to`.
    pub fn tell(&self, revisions: &[Arc<Committed>], up_to: i64) {
        let mut inner = self.0.lock();
        for committed in revisions {
            for event in committed.events() {
                inner.ring(event.key(), committed.revision());
            }
        }
        inner.position = inner.position.max(up_to);
    }

    /// Nobody knows any more what happened up to `up_to`: everyone must look for himself.
    pub fn tell_all(&self, up_to: i64) {
        let mut inner = self.0.lock();
        let from = inner.position + 1;
        inner.by_prefix.values().flatten().for_each(|bell| bell.ring(from));
        inner.position = inner.position.max(up_to);
    }
}

impl Inner {
    fn ring(&self, key: &[u8], revision: i64) {
        for len in self.lengths.iter().take_while(|len| **len <= key.len()) {
            if let Some(bells) = self.by_prefix.get(&key[..*len]) {
                bells.iter().for_each(|bell| bell.ring(revision));
            }
        }
    }

    fn measure(&mut self) {
        self.lengths = self.by_prefix.keys().map(Bytes::len).collect();
        self.lengths.sort_unstable();
        self.lengths.dedup();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::Roster;
    use crate::watch::{Change, Committed, Event};

    fn deleted(revision: i64, key: &'static str) -> Arc<Committed> {
        let change = Change::Delete { key: key.into() };
        Arc::new(Committed::new(revision, vec![Event::new(change, None)]))
    }

    #[test]
    fn a_bell_rings_for_its_own_prefix_and_remembers_the_first_revision() {
        let roster = Roster::starting_at(4);
        let (all, _) = roster.enter(&Bytes::new(), 4);
        let (a, _) = roster.enter(&"/a/".into(), 4);
        let (again, _) = roster.enter(&"/a/".into(), 4);
        let (ab, _) = roster.enter(&"/a/b".into(), 4);
        roster.tell(&[deleted(5, "/x"), deleted(7, "/a/c"), deleted(8, "/a/b")], 9);
        assert_eq!(
            [&all, &a, &again, &ab].map(|bell| bell.take()),
            [Some(5), Some(7), Some(7), Some(8)]
        );
        assert!(all.is_silent() && roster.position() == 9);
        roster.leave(&"/a/".into(), &a);
        roster.tell(&[deleted(10, "/a/c")], 10);
        assert_eq!([&a, &again, &ab].map(|bell| bell.take()), [None, Some(10), None]);
        roster.tell_all(20);
        assert_eq!([&all, &ab].map(|bell| bell.take()), [Some(10), Some(11)]);
    }

    #[test]
    fn who_stands_behind_what_was_told_must_look_for_himself() {
        let roster = Roster::starting_at(4);
        assert!(roster.enter(&"/a".into(), 4).1 && roster.enter(&"/a".into(), 6).1);
        assert!(!roster.enter(&"/a".into(), 3).1);
    }
}
