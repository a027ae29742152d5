//! A client's watch as its group knows it.

use std::sync::Arc;

use portunus_proto::etcdserverpb::ResponseHeader;

use super::mailbox::Mailbox;
use super::news::{Batch, Letter, Refusal, Seat};

/// A watch of a client.
pub struct Member {
    pub seat: Seat,
    pub mailbox: Arc<Mailbox>,
    /// The first revision it is to hear of; 0 is from now on.
    pub from: i64,
    /// The client has been told that the watch is there.
    pub created: bool,
    /// The client asked to hear of progress.
    pub progress_notify: bool,
}

impl Member {
    /// Tells the client, once, that its watch is there.
    pub fn confirm(&mut self, header: ResponseHeader) {
        if !self.created {
            self.created = true;
            self.mailbox.put(Letter::Created { seat: self.seat, header });
        }
    }

    /// Hands it events; `false` when its client does not keep up, who is told from where to go on.
    pub fn hand(&self, batch: &Arc<Batch>) -> bool {
        let Some(first) =
            batch.events.iter().map(|(revision, _)| *revision).find(|r| *r >= self.from)
        else {
            return true;
        };
        let letter = Letter::Events { seat: self.seat, batch: batch.clone(), from: self.from };
        if self.mailbox.offer(letter) {
            return true;
        }
        self.mailbox.put(Letter::Lagging { seat: self.seat, from: first });
        false
    }

    pub fn refuse(&self, refusal: &Refusal) {
        // A watch that had begun for its client has not failed at once, whatever its feed did.
        let at_once = refusal.at_once && !self.created;
        let refusal = Refusal { at_once, ..refusal.clone() };
        self.mailbox.put(Letter::Refused { seat: self.seat, refusal });
    }
}
