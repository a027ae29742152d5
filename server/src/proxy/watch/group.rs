//! The watches of one share: one task that owns their feeds, lets clients in and out, and hands
//! round what the feeds bring.

use std::sync::Arc;
use std::time::Duration;

use portunus_proto::etcdserverpb::ResponseHeader;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::board::Board;
use super::feed::{Feed, Number};
use super::line::Line;
use super::member::Member;
use super::news::{Batch, Letter, News, Seat};
use super::share::Share;
use crate::proxy::metrics;

/// News that a feed may have ahead of its group; what is beyond stays with the member.
const NEWS_AHEAD: usize = 16;
/// How often a feed is asked how far it is, so that one without events is not taken up again from a
/// revision that has been compacted meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// What clients want of a group.
pub enum Command {
    Join(Member),
    Leave(Seat),
    /// The client wants to know how far its watch is.
    Report(Seat),
}

/// Serves one share until nobody watches it any more.
pub async fn run(
    board: Arc<Board>,
    share: Arc<Share>,
    mut commands: mpsc::UnboundedReceiver<Command>,
) {
    let (sender, mut news) = mpsc::channel(NEWS_AHEAD);
    let mut group = Group { board, share, sender, lines: Vec::new(), numbers: 0 };
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            command = commands.recv() => match command {
                Some(Command::Join(member)) => group.join(member),
                Some(Command::Leave(seat)) => group.leave(seat),
                Some(Command::Report(seat)) => group.report(seat),
                None => return,
            },
            Some((number, news)) = news.recv() => group.hear(number, news),
            _ = look.tick() => group.look(),
        }
        if group.lines.is_empty() && group.board.close(&group.share, &commands) {
            return;
        }
    }
}

struct Group {
    board: Arc<Board>,
    share: Arc<Share>,
    sender: mpsc::Sender<(Number, News)>,
    lines: Vec<Line>,
    numbers: Number,
}

impl Group {
    fn join(&mut self, mut member: Member) {
        let from = member.from;
        let line = match from {
            0 => self.lines.iter_mut().find(|line| line.live),
            _ => self.lines.iter_mut().find(|line| line.takes(from)),
        };
        match line {
            None => self.open(member),
            Some(line) if from == 0 => {
                line.waiting.join(member);
                line.ask();
            }
            Some(line) => {
                if let Some(header) = line.header() {
                    member.confirm(header);
                }
                line.members.push(member);
            }
        }
    }

    /// A feed of the member's own; others may come in later.
    fn open(&mut self, member: Member) {
        self.numbers += 1;
        let (questions, asked) = mpsc::unbounded_channel();
        let feed = Feed {
            number: self.numbers,
            board: self.board.clone(),
            share: self.share.clone(),
            next: member.from,
            attempt: 0,
            group: self.sender.clone(),
        };
        let task = tokio::spawn(feed.run(asked));
        self.lines.push(Line::new(self.numbers, member, questions, task));
    }

    fn leave(&mut self, seat: Seat) {
        for line in &mut self.lines {
            line.remove(seat);
        }
        self.lines.retain(Line::is_used);
    }

    fn report(&mut self, seat: Seat) {
        // One that lags is not here; its stream asks again when it has come back.
        let line = self.lines.iter_mut().find(|line| line.has(seat));
        if let Some(line) = line {
            line.waiting.report(seat);
            line.ask();
        }
    }

    fn look(&mut self) {
        for line in &mut self.lines {
            line.waiting.look();
            line.ask();
        }
    }

    fn hear(&mut self, number: Number, news: News) {
        // A feed that was given up may have something left.
        let Some(place) = self.lines.iter().position(|line| line.number == number) else { return };
        let line = &mut self.lines[place];
        match news {
            News::Begun { header, next, attempt } => line.begin(header, next, attempt),
            News::Events { batch, next } => {
                line.advance(batch.header, next);
                line.hand_round(&batch);
                count(&batch, line.members.len());
            }
            News::Mark { header, next } => {
                line.advance(header, next);
                line.mark(header, next);
            }
            News::Progress { header, next } => {
                line.advance(header, next);
                line.live = true;
                line.progress(header);
            }
            News::Refused(refusal) => {
                let mut line = self.lines.swap_remove(place);
                line.members.iter().for_each(|member| member.refuse(&refusal));
                // They asked for something else than what was refused.
                line.waiting.take().joining.into_iter().for_each(|member| self.join(member));
                return;
            }
            News::Failed(status) => {
                let mut line = self.lines.swap_remove(place);
                let waiting = line.waiting.take().joining;
                for member in line.members.iter().chain(&waiting) {
                    member.mailbox.put(Letter::Ended(status.clone()));
                }
                return;
            }
        }
        self.merge(number);
        self.lines.retain(Line::is_used);
    }

    /// A feed that has caught up and another that has are one from now on: the clients of the one
    /// that is ahead wait for the other.
    fn merge(&mut self, number: Number) {
        let live = |line: &Line| line.live && line.next != 0;
        let Some(this) = self.lines.iter().position(|line| line.number == number && live(line))
        else {
            return;
        };
        let other = self.lines.iter().position(|line| line.number != number && live(line));
        let Some(other) = other else { return };
        let ahead = |a: usize, b: usize| self.lines[a].next > self.lines[b].next;
        let (from, to) = match ahead(this, other) {
            true => (this, other),
            false if ahead(other, this) => (other, this),
            // The fewer go.
            false if self.lines[this].members.len() > self.lines[other].members.len() => {
                (other, this)
            }
            false => (this, other),
        };
        let into = self.lines[to].number;
        let gone = self.lines.swap_remove(from);
        if let Some(line) = self.lines.iter_mut().find(|line| line.number == into) {
            line.take_over(gone);
        }
    }
}

/// Events that were told to so many more clients than members were asked.
fn count(batch: &Batch, members: usize) {
    let more = (batch.events.len() * members.saturating_sub(1)) as u64;
    metrics::EVENTS_COALESCING.inc_by(more);
}

/// A header that speaks of `revision` where the one at hand is older.
pub fn at_least(header: ResponseHeader, revision: i64) -> ResponseHeader {
    ResponseHeader { revision: header.revision.max(revision), ..header }
}

#[cfg(test)]
#[path = "group_test.rs"]
mod tests;
