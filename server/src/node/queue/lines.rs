//! Those who wait for the same thing: consumers of one queue, or producers. While the first of them
//! must wait so must the others, so only the first is looked at when something changes, and the
//! next when it has left. Without this every item would wake every consumer.
//!
//! A front that is with plugins may be dropped there because its caller has gone. It is missed at
//! the next sweep, and whoever is behind it comes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Weak;

use bytes::Bytes;

use crate::node::answer::Call;

#[derive(Default)]
pub struct Lines {
    lines: HashMap<Bytes, Line>,
    behind: usize,
}

#[derive(Default)]
struct Line {
    front: u64,
    /// Ends with the front's call.
    alive: Weak<()>,
    behind: BTreeMap<u64, Call>,
}

impl Lines {
    /// How many stand behind others.
    pub fn len(&self) -> usize {
        self.behind
    }

    /// True when somebody else, who came before, stands at the front.
    pub fn must_wait(&self, line: &Bytes, order: u64) -> bool {
        self.lines.get(line).is_some_and(|line| line.front < order)
    }

    /// Stands behind the front there is.
    pub fn stand(&mut self, line: &Bytes, call: Call) {
        if let Some(line) = self.lines.get_mut(line) {
            self.behind += usize::from(line.behind.insert(call.order, call).is_none());
        }
    }

    /// Waits where it is looked at.
    pub fn lead(&mut self, line: Bytes, call: &mut Call) {
        let line = self.lines.entry(line).or_default();
        (line.front, line.alive) = (call.order, call.life());
    }

    /// Somebody left. If it was the front, here is who comes next.
    pub fn leave(&mut self, name: &Bytes, order: u64) -> Option<Call> {
        let line = self.lines.get_mut(name).filter(|line| line.front == order)?;
        while let Some((order, mut call)) = line.behind.pop_first() {
            self.behind -= 1;
            if !call.is_abandoned() {
                (line.front, line.alive) = (order, call.life());
                return Some(call);
            }
        }
        self.lines.remove(name);
        None
    }

    /// Forgets those behind whose callers have gone. Returns those whose fronts have.
    pub fn sweep(&mut self) -> Vec<Call> {
        let mut ahead = Vec::new();
        for (name, line) in &mut self.lines {
            let before = line.behind.len();
            line.behind.retain(|_, call| !call.is_abandoned());
            self.behind -= before - line.behind.len();
            if line.alive.strong_count() == 0 {
                ahead.push((name.clone(), line.front));
            }
        }
        ahead.into_iter().filter_map(|(name, order)| self.leave(&name, order)).collect()
    }

    /// All who stand behind.
    pub fn drain(&mut self) -> Vec<Call> {
        let Self { lines, .. } = std::mem::take(self);
        lines.into_values().flat_map(|line| line.behind.into_values()).collect()
    }
}

#[cfg(test)]
#[path = "lines_test.rs"]
mod tests;
