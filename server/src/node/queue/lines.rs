//! Those who wait for the same thing: consumers of one queue, or producers. While the first of them
//! must wait so must the others, so only the first is looked at when something changes, and the
//! next when it has left. Without this every item would wake every consumer.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use crate::node::answer::Call;

#[derive(Default)]
pub struct Lines {
    lines: HashMap<Bytes, Line>,
    behind: usize,
}

struct Line {
    front: u64,
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
    pub fn lead(&mut self, line: Bytes, order: u64) {
        let line = self.lines.entry(line);
        line.or_insert_with(|| Line { front: order, behind: BTreeMap::new() }).front = order;
    }

    /// Somebody left. If it was the front, here is who comes next.
    pub fn leave(&mut self, name: &Bytes, order: u64) -> Option<Call> {
        let line = self.lines.get_mut(name).filter(|line| line.front == order)?;
        while let Some((order, call)) = line.behind.pop_first() {
            self.behind -= 1;
            if !call.is_abandoned() {
                line.front = order;
                return Some(call);
            }
        }
        self.lines.remove(name);
        None
    }

    /// Forgets those behind whose callers have gone.
    pub fn sweep(&mut self) {
        for line in self.lines.values_mut() {
            let before = line.behind.len();
            line.behind.retain(|_, call| !call.is_abandoned());
            self.behind -= before - line.behind.len();
        }
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
