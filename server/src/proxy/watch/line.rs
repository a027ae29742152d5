//! A feed as its group sees it: how far it is, who hears it, who waits for it.

use std::sync::Arc;

use portunus_proto::etcdserverpb::ResponseHeader;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::feed::Number;
use super::group::at_least;
use super::member::Member;
use super::news::{Batch, Letter, Seat};
use super::waiting::Waiting;
use crate::proxy::metrics;

/// A feed with its clients.
pub struct Line {
    pub number: Number,
    /// The first revision that has not been told; 0 while it is not known.
    pub next: i64,
    /// It is where the member is, and not still reading what was before.
    pub live: bool,
    pub members: Vec<Member>,
    pub waiting: Waiting,
    /// The attempt that serves; 0 before the first.
    attempt: u64,
    last: Option<ResponseHeader>,
    questions: mpsc::UnboundedSender<u64>,
    task: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Line {
    pub fn new(
        number: Number,
        member: Member,
        questions: mpsc::UnboundedSender<u64>,
        task: JoinHandle<()>,
    ) -> Self {
        Self {
            number,
            next: member.from,
            live: member.from == 0,
            members: vec![member],
            waiting: Waiting::default(),
            attempt: 0,
            last: None,
            questions,
            task,
        }
    }

    /// Whether one that wants everything from `from` on finds it here, and not later than alone.
    pub fn takes(&self, from: i64) -> bool {
        self.next != 0 && (from == self.next || (self.live && from > self.next))
    }

    /// What a client that comes in now is told; `None` before the feed has begun.
    pub fn header(&self) -> Option<ResponseHeader> {
        self.last.map(|header| at_least(header, self.next - 1))
    }

    pub fn has(&self, seat: Seat) -> bool {
        self.members.iter().any(|member| member.seat == seat)
    }

    pub fn is_used(&self) -> bool {
        !self.members.is_empty() || self.waiting.joining() > 0
    }

    pub fn remove(&mut self, seat: Seat) {
        self.members.retain(|member| member.seat != seat);
        self.waiting.remove(seat);
    }

    /// Asks how far the feed is, if somebody waits for that and nobody has asked yet.
    pub fn ask(&mut self) {
        if self.attempt > 0 && self.waiting.ask() {
            let _ = self.questions.send(self.attempt);
        }
    }

    pub fn begin(&mut self, header: ResponseHeader, next: i64, attempt: u64) {
        self.attempt = attempt;
        self.advance(header, next);
        for member in &mut self.members {
            if member.from == 0 {
                member.from = next;
            }
            member.confirm(header);
        }
        self.waiting.lost();
        if !self.live {
            self.waiting.look();
        }
        self.ask();
    }

    pub fn advance(&mut self, header: ResponseHeader, next: i64) {
        self.last = Some(header);
        self.next = self.next.max(next);
    }

    /// Hands events to all; who does not keep up is let go.
    pub fn hand_round(&mut self, batch: &Arc<Batch>) {
        let before = self.members.len();
        self.members.retain(|member| member.hand(batch));
        metrics::LAGGING.inc_by((before - self.members.len()) as u64);
    }

    /// The answer to the last question: the feed has told everything before `next`.
    pub fn mark(&mut self, header: ResponseHeader, next: i64) {
        self.live = true;
        // A member that is behind the one before it says less than has been told.
        let header = at_least(header, next - 1);
        let line = self.waiting.answered();
        for mut member in line.joining {
            if member.from == 0 {
                member.from = next;
            }
            member.confirm(header);
            self.members.push(member);
        }
        for seat in line.reporting {
            if let Some(member) = self.members.iter().find(|member| member.seat == seat) {
                member.mailbox.put(Letter::Reached { seat, header });
            }
        }
        self.ask();
    }

    pub fn progress(&self, header: ResponseHeader) {
        let told = self.members.iter().filter(|member| member.progress_notify);
        for member in told.filter(|member| member.from <= self.next) {
            member.mailbox.put(Letter::Progress { seat: member.seat, header });
        }
    }

    /// Takes in the clients of a feed that is as far as this one, or ahead.
    pub fn take_over(&mut self, mut gone: Line) {
        let next = gone.next;
        for mut member in gone.members.drain(..) {
            member.from = member.from.max(next);
            self.members.push(member);
        }
        self.waiting.append(gone.waiting.take());
        self.ask();
    }
}
