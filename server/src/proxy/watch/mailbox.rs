//! What waits for one client's stream. Whoever puts something in never waits: when too much is
//! there, events are refused, and the client's watch leaves the shared one.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::news::Letter;

/// Letters that may wait for a client before its watches are held to lag.
const LETTERS_MAX: usize = 4096;
/// Bytes of events of the same; they are shared with others, but may be held by this one alone.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// A mailbox.
#[derive(Default)]
pub struct Mailbox {
    contents: Mutex<Contents>,
    rung: Notify,
}

#[derive(Default)]
struct Contents {
    letters: VecDeque<Letter>,
    bytes: usize,
}

fn weight(letter: &Letter) -> usize {
    match letter {
        Letter::Events { batch, .. } => batch.bytes,
        _ => 0,
    }
}

impl Mailbox {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Puts in events, unless too much is there already. A mailbox without letters takes a batch of
    /// any size.
    #[must_use]
    pub fn offer(&self, letter: Letter) -> bool {
        let mut contents = self.contents.lock();
        let heavy = contents.bytes + weight(&letter) > BYTES_MAX && contents.bytes > 0;
        if heavy || contents.letters.len() >= LETTERS_MAX {
            return false;
        }
        contents.put(letter);
        drop(contents);
        self.rung.notify_one();
        true
    }

    /// Puts in what must arrive; there is a bounded number of such letters for each watch.
    pub fn put(&self, letter: Letter) {
        self.contents.lock().put(letter);
        self.rung.notify_one();
    }

    /// The next letter. Cancel-safe.
    pub async fn next(&self) -> Letter {
        loop {
            if let Some(letter) = self.contents.lock().take() {
                return letter;
            }
            self.rung.notified().await;
        }
    }
}

impl Contents {
    fn put(&mut self, letter: Letter) {
        self.bytes += weight(&letter);
        self.letters.push_back(letter);
    }

    fn take(&mut self) -> Option<Letter> {
        let letter = self.letters.pop_front()?;
        self.bytes -= weight(&letter);
        Some(letter)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::proxy::watch::news::Batch;

    fn events(bytes: usize) -> Letter {
        let event = Bytes::from(vec![0; bytes]);
        let batch = Arc::new(Batch::new(Default::default(), vec![(1, event)]));
        Letter::Events { seat: 1, batch, from: 0 }
    }

    #[tokio::test]
    async fn a_mailbox_is_full_by_bytes_or_by_number_until_it_is_read() {
        let mailbox = Mailbox::new();
        assert!(mailbox.offer(events(2 * BYTES_MAX)), "one of any size");
        assert!(!mailbox.offer(events(1)));
        mailbox.put(Letter::Lagging { seat: 1, from: 1 });
        assert!(matches!(mailbox.next().await, Letter::Events { .. }));
        assert!(mailbox.offer(events(1)), "there is room again");
        assert!(matches!(mailbox.next().await, Letter::Lagging { .. }), "in order");
        for _ in 1..LETTERS_MAX {
            assert!(mailbox.offer(events(0)));
        }
        assert!(!mailbox.offer(events(0)));
    }
}
