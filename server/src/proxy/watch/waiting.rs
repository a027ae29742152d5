//! Who waits to hear how far a feed is. One question at a time is on its way to the member; who
//! asks while it is gets the answer to the next, since the one on its way may be from before.

use super::member::Member;
use super::news::Seat;

/// Those who wait.
#[derive(Default)]
pub struct Waiting {
    /// For the answer that is on its way, when one is.
    now: Line,
    next: Line,
    asked: bool,
}

/// What the answer is for.
#[derive(Default)]
pub struct Line {
    /// Watches that begin there.
    pub joining: Vec<Member>,
    /// Watches whose clients asked.
    pub reporting: Vec<Seat>,
    /// The group wants to know for itself.
    pub own: bool,
}

impl Line {
    fn is_empty(&self) -> bool {
        self.joining.is_empty() && self.reporting.is_empty() && !self.own
    }

    fn append(&mut self, mut other: Line) {
        self.joining.append(&mut other.joining);
        self.reporting.append(&mut other.reporting);
        self.own |= other.own;
    }
}

impl Waiting {
    pub fn join(&mut self, member: Member) {
        self.next.joining.push(member);
    }

    pub fn report(&mut self, seat: Seat) {
        self.next.reporting.push(seat);
    }

    pub fn look(&mut self) {
        self.next.own = true;
    }

    /// Whether a question is to be sent now; it is then held to be on its way.
    #[must_use]
    pub fn ask(&mut self) -> bool {
        if self.asked || self.next.is_empty() {
            return false;
        }
        self.asked = true;
        self.now = std::mem::take(&mut self.next);
        true
    }

    /// The answer has come; those it is for.
    pub fn answered(&mut self) -> Line {
        self.asked = false;
        std::mem::take(&mut self.now)
    }

    /// The question was lost with its connection: who waited for it waits for the next.
    pub fn lost(&mut self) {
        self.asked = false;
        let lost = std::mem::take(&mut self.now);
        self.next.append(lost);
    }

    /// Everybody who waits, for another feed or for none.
    pub fn take(&mut self) -> Line {
        let mut all = std::mem::take(&mut self.now);
        all.append(std::mem::take(&mut self.next));
        all
    }

    /// Takes over those of another feed.
    pub fn append(&mut self, line: Line) {
        self.next.append(line);
    }

    /// Takes a watch out; `true` when it was here to join.
    pub fn remove(&mut self, seat: Seat) -> bool {
        let mut found = false;
        for line in [&mut self.now, &mut self.next] {
            let before = line.joining.len();
            line.joining.retain(|member| member.seat != seat);
            found |= line.joining.len() < before;
            line.reporting.retain(|waiting| *waiting != seat);
        }
        found
    }

    pub fn joining(&self) -> usize {
        self.now.joining.len() + self.next.joining.len()
    }
}
