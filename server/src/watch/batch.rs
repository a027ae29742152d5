//! Gathers one watcher's events into answers: capped in bytes, never cut within a revision but
//! into fragments that say so.

use bytes::Bytes;

use super::message::Response;

/// Tag and length around an event in the message.
const FRAMING_BYTES: usize = 6;

#[derive(Debug, Default)]
pub(super) struct Batch {
    events: Vec<Bytes>,
    bytes: usize,
    /// Of the last event.
    revision: i64,
    /// Where the last revision begins, in events and in bytes, and the revision before it.
    start: usize,
    start_bytes: usize,
    before: i64,
}

/// Whole revisions, ready to be sent.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) events: Vec<Bytes>,
    pub(super) revision: i64,
    bytes: usize,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Adds the next event; returns what came before its revision once both together are larger
    /// than `bytes_max`.
    pub(super) fn push(&mut self, revision: i64, event: Bytes, bytes_max: usize) -> Option<Full> {
        debug_assert!(revision >= self.revision, "revision {revision} after {}", self.revision);
        if revision != self.revision {
            self.before = self.revision;
            self.start = self.events.len();
            self.start_bytes = self.bytes;
            self.revision = revision;
        }
        let size = event.len() + FRAMING_BYTES;
        let full = (self.bytes + size > bytes_max && self.start > 0).then(|| {
            let tail = self.events.split_off(self.start);
            let events = std::mem::replace(&mut self.events, tail);
            let bytes = self.start_bytes;
            self.bytes -= bytes;
            (self.start, self.start_bytes) = (0, 0);
            Full { events, revision: self.before, bytes }
        });
        self.bytes += size;
        self.events.push(event);
        full
    }

    /// All that is left.
    pub(super) fn take(&mut self) -> Option<Full> {
        if self.is_empty() {
            return None;
        }
        let full = Full {
            events: std::mem::take(&mut self.events),
            revision: self.revision,
            bytes: self.bytes,
        };
        (self.bytes, self.start, self.start_bytes) = (0, 0, 0);
        Some(full)
    }
}

impl Full {
    pub(super) fn whole(self, watch_id: i64) -> Response {
        let Self { events, revision, .. } = self;
        Response { watch_id, revision, events, ..Response::default() }
    }

    /// In pieces up to `bytes_max`, or of one event where that alone is larger. Only a single
    /// revision is ever larger, so all pieces are of that one.
    pub(super) fn fragments(self, watch_id: i64, bytes_max: usize) -> Vec<Response> {
        if self.bytes <= bytes_max || self.events.len() < 2 {
            return vec![self.whole(watch_id)];
        }
        let mut pieces: Vec<Response> = Vec::new();
        let mut bytes = 0;
        for event in self.events {
            bytes += event.len() + FRAMING_BYTES;
            match pieces.last_mut() {
                Some(piece) if bytes <= bytes_max => piece.events.push(event),
                _ => {
                    bytes = event.len() + FRAMING_BYTES;
                    let events = vec![event];
                    let revision = self.revision;
                    let piece = Response { watch_id, revision, events, ..Response::default() };
                    pieces.push(Response { fragment: true, ..piece });
                }
            }
        }
        if let Some(last) = pieces.last_mut() {
            last.fragment = false;
        }
        pieces
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{Batch, FRAMING_BYTES, Full};

    fn event(len: usize) -> Bytes {
        Bytes::from(vec![0; len - FRAMING_BYTES])
    }

    fn shape(full: Option<Full>) -> Option<(usize, i64)> {
        full.map(|full| (full.events.len(), full.revision))
    }

    #[test]
    fn a_full_answer_ends_between_revisions() {
        let mut batch = Batch::default();
        assert_eq!(shape(batch.push(3, event(40), 100)), None);
        assert_eq!(shape(batch.push(4, event(40), 100)), None);
        assert_eq!(shape(batch.push(4, event(40), 100)), Some((1, 3)), "4 is not cut");
        assert_eq!(shape(batch.push(4, event(40), 100)), None, "one revision may be larger");
        assert_eq!(shape(batch.push(6, event(10), 100)), Some((3, 4)));
        assert_eq!(shape(batch.take()), Some((1, 6)));
        assert_eq!(shape(batch.take()), None);
    }

    #[test]
    fn fragments_are_small_and_the_last_one_says_so() {
        let mut batch = Batch::default();
        for len in [40, 40, 40, 200, 10] {
            assert!(batch.push(7, event(len), 100).is_none());
        }
        let pieces = batch.take().expect("five events").fragments(5, 100);
        let seen: Vec<(usize, bool)> =
            pieces.iter().map(|p| (p.events.len(), p.fragment)).collect();
        assert_eq!(seen, [(2, true), (1, true), (1, true), (1, false)]);
        assert!(pieces.iter().all(|piece| piece.watch_id == 5 && piece.revision == 7));
    }

    #[test]
    fn what_fits_is_not_cut() {
        let mut batch = Batch::default();
        batch.push(7, event(40), 100);
        batch.push(7, event(40), 100);
        let pieces = batch.take().expect("two events").fragments(5, 100);
        assert_eq!((pieces.len(), pieces[0].fragment), (1, false));
    }
}
