//! The fake store's committed state: keys with their revisions, and what each revision changed.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::draft::Draft;
use crate::range::Span;
use crate::{Event, Item};

pub(crate) type Items = BTreeMap<Vec<u8>, Item>;

/// What one revision changed.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) number: i64,
    pub(crate) events: Vec<Event>,
    /// The triggers that led to it, the first one first.
    pub(crate) chain: Vec<String>,
}

/// A new store is at revision 1 and empty, as etcd's.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) items: Rc<Items>,
    pub(crate) revision: i64,
    /// Every revision up to this one has lost its events.
    pub(crate) compacted: i64,
    pub(crate) history: Vec<Revision>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self { items: Rc::default(), revision: 1, compacted: 0, history: Vec::new() }
    }

    /// Makes a decided state the newest, and returns what changed. Nothing takes no revision.
    pub(crate) fn commit(&mut self, draft: Draft, chain: Vec<String>) -> Vec<Event> {
        let events = draft.events();
        if !events.is_empty() {
            self.revision += 1;
            self.items = draft.items;
            self.history.push(Revision { number: self.revision, events: events.clone(), chain });
        }
        events
    }

    pub(crate) fn compact(&mut self, revision: i64) {
        self.compacted = self.compacted.max(revision.min(self.revision));
        self.history.retain(|past| past.number > self.compacted);
    }
}

pub(crate) fn is_within(key: &[u8], (start, end): &Span) -> bool {
    key >= &start[..] && end.as_ref().is_none_or(|end| key < &end[..])
}

/// The items of a range, in key order.
pub(crate) fn items_within<'a>(
    items: &'a Items,
    span: &'a Span,
) -> impl Iterator<Item = &'a Item> + 'a {
    items
        .range(span.0.clone()..)
        .map(|(_, item)| item)
        .take_while(|item| is_within(&item.key, span))
}
