//! Which plugins are bound where, found by key: every write asks, so it costs a look-up per
//! distinct prefix length and not one per binding.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use bytes::Bytes;

use crate::effect::{Binding, Point};
use crate::types::{KeyRange, RangeEnd};

/// Plugins' names by point and prefix.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Prefixes {
    bound: BTreeMap<(Point, Bytes), BTreeSet<String>>,
    /// How many of those prefixes have this length.
    lengths: BTreeMap<(Point, usize), usize>,
}

impl Prefixes {
    pub fn add(&mut self, binding: &Binding) {
        let place = (binding.point, binding.prefix.clone());
        let plugins = self.bound.entry(place).or_default();
        if plugins.is_empty() {
            *self.lengths.entry((binding.point, binding.prefix.len())).or_default() += 1;
        }
        plugins.insert(binding.plugin.clone());
    }

    pub fn remove(&mut self, binding: &Binding) {
        let place = (binding.point, binding.prefix.clone());
        let Some(plugins) = self.bound.get_mut(&place) else { return };
        plugins.remove(&binding.plugin);
        if !plugins.is_empty() {
            return;
        }
        self.bound.remove(&place);
        let length = (binding.point, binding.prefix.len());
        if let Some(count) = self.lengths.get_mut(&length) {
            *count -= 1;
            if *count == 0 {
                self.lengths.remove(&length);
            }
        }
    }

    pub fn has(&self, point: Point) -> bool {
        self.lengths.range((point, 0)..=(point, usize::MAX)).next().is_some()
    }

    /// The plugins bound to `point` under whose prefix some key of `range` may lie, each with that
    /// prefix.
    pub fn over<'a>(
        &'a self,
        point: Point,
        range: &KeyRange,
    ) -> impl Iterator<Item = (&'a str, &'a Bytes)> {
        let mut found = Vec::new();
        if !range.is_empty() {
            self.above(point, &range.start, &mut found);
            self.within(point, range, &mut found);
        }
        found.into_iter()
    }

    /// Prefixes of `key`.
    fn above<'a>(&'a self, point: Point, key: &Bytes, found: &mut Vec<(&'a str, &'a Bytes)>) {
        for (_, length) in self.lengths.range((point, 0)..=(point, key.len())).map(|(at, _)| *at) {
            if let Some(((_, prefix), plugins)) =
                self.bound.get_key_value(&(point, key.slice(..length)))
            {
                found.extend(plugins.iter().map(|plugin| (plugin.as_str(), prefix)));
            }
        }
    }

    /// Prefixes that are themselves keys of the range, its first apart.
    fn within<'a>(&'a self, point: Point, range: &KeyRange, found: &mut Vec<(&'a str, &'a Bytes)>) {
        if range.end == RangeEnd::Single {
            return;
        }
        let from = Excluded((point, range.start.clone()));
        for ((on, prefix), plugins) in self.bound.range((from, Unbounded)) {
            if *on != point || !range.contains(prefix) {
                break;
            }
            found.extend(plugins.iter().map(|plugin| (plugin.as_str(), prefix)));
        }
    }
}
