//! The bindings in force, indexed: which policies have a say in a write, which recipe a name
//! stands for. Made once for each set of bindings; a write under no bound prefix costs a lookup
//! for each length that bound prefixes have.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use crate::effect::{Binding, BindingId, Mode, Point};
use crate::machine::State;
use crate::node::policies::Plugged;
use crate::types::KeyRange;

/// A binding and its name for ever.
pub struct Named {
    pub id: BindingId,
    pub binding: Binding,
    /// What serves it on this member, once it is known.
    pub bound: OnceLock<Arc<dyn Plugged>>,
}

/// One version of the set of bindings.
#[derive(Default)]
pub struct Bindings {
    /// Write policies that are asked, in the order in which they are.
    policies: Vec<Arc<Named>>,
    /// Positions in `policies` by prefix.
    by_prefix: BTreeMap<Bytes, Vec<usize>>,
    /// The lengths that those prefixes have, ascending.
    lengths: Vec<usize>,
    /// By name of the plugin; a disabled one is found, to be refused by name.
    recipes: HashMap<String, Arc<Named>>,
    all: HashMap<BindingId, Arc<Named>>,
    /// Some plugin is asked about locks, or about queues.
    admits: bool,
    has_conditions: bool,
}

impl Bindings {
    pub fn of(state: &State) -> Self {
        let mut made = Self::default();
        for binding in state.registry().bindings() {
            let named = Arc::new(Named {
                id: binding.id(),
                binding: binding.clone(),
                bound: OnceLock::new(),
            });
            made.all.insert(named.id.clone(), Arc::clone(&named));
            match binding.point {
                Point::WritePolicy if binding.mode != Mode::Disabled => made.policies.push(named),
                Point::WritePolicy => {}
                Point::Recipe => {
                    made.recipes.entry(binding.plugin.clone()).or_insert(named);
                }
                Point::Trigger => {}
                Point::LockAdmission => made.admits |= binding.mode != Mode::Disabled,
                Point::QueueCondition => made.has_conditions = true,
            }
        }
        let order =
            |named: &Arc<Named>| (named.binding.plugin.clone(), named.binding.prefix.clone());
        made.policies.sort_by_cached_key(order);
        for (at, named) in made.policies.iter().enumerate() {
            made.by_prefix.entry(named.binding.prefix.clone()).or_default().push(at);
        }
        made.lengths = made.by_prefix.keys().map(Bytes::len).collect();
        made.lengths.sort_unstable();
        made.lengths.dedup();
        made
    }

    pub fn recipe(&self, plugin: &str) -> Option<&Arc<Named>> {
        self.recipes.get(plugin)
    }

    pub fn trigger(&self, id: &str) -> Option<&Arc<Named>> {
        self.all.get(id).filter(|named| named.binding.point == Point::Trigger)
    }

    /// The binding of this id, on whatever point it is asked.
    pub fn named(&self, id: &str) -> Option<&Arc<Named>> {
        self.all.get(id)
    }

    /// The policy at a place that [`Bindings::over`] names.
    pub fn policy(&self, at: usize) -> &Arc<Named> {
        &self.policies[at]
    }

    /// Whether some lock has a plugin that admits.
    pub fn admits(&self) -> bool {
        self.admits
    }

    /// Whether some queue may have a plugin in its condition.
    pub fn has_conditions(&self) -> bool {
        self.has_conditions
    }

    pub fn has_policies(&self) -> bool {
        !self.policies.is_empty()
    }

    /// The policies that have a say in a write of `key`, added to `places` in no order.
    pub fn over_key(&self, key: &[u8], places: &mut Vec<usize>) {
        for len in self.lengths.iter().take_while(|len| **len <= key.len()) {
            if let Some(found) = self.by_prefix.get(&key[..*len]) {
                places.extend(found);
            }
        }
    }

    /// The policies that have a say in writes somewhere in `ranges`, in the order in which they
    /// are asked.
    pub fn over(&self, ranges: &[KeyRange]) -> Vec<usize> {
        let mut places = Vec::new();
        if !self.has_policies() {
            return places;
        }
        for range in ranges {
            self.over_key(&range.start, &mut places);
            if !range.is_single() {
                let from = self.by_prefix.range(range.start.clone()..);
                let inside = from.take_while(|(prefix, _)| range.contains(prefix));
                inside.for_each(|(_, found)| places.extend(found));
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::Bindings;
    use crate::effect::{Binding, Effect, Mode, Plugin, PluginRecord, Point};
    use crate::machine::State;
    use crate::types::KeyRange;

    fn state(bindings: &[(&str, &'static str, Mode)]) -> State {
        let mut state = State::default();
        for (name, prefix, mode) in bindings {
            let record = state.registry().plugins.get(*name).cloned();
            let mut record = record.unwrap_or_else(|| PluginRecord {
                current: Plugin { name: (*name).into(), ..Plugin::default() },
                previous: Vec::new(),
            });
            record.current.bindings.push(Binding {
                plugin: (*name).into(),
                point: Point::WritePolicy,
                prefix: Bytes::from(*prefix),
                mode: *mode,
                ..Binding::default()
            });
            state.apply(&Effect::PluginPut(record), &mut Vec::new(), &mut Vec::new());
        }
        state
    }

    #[test]
    fn the_policies_over_a_range_are_those_whose_prefix_it_touches_in_their_order() {
        let all = [
            ("z", "", Mode::Enforce),
            ("b", "a/", Mode::Enforce),
            ("b", "a/b/", Mode::Monitor),
            ("a", "a/b/", Mode::Enforce),
            ("c", "b", Mode::Enforce),
            ("d", "a/", Mode::Disabled),
        ];
        let state = state(&all);
        let bindings = Bindings::of(&state);
        let ranges = [
            KeyRange::single("a/b/c"),
            KeyRange::single("a"),
            KeyRange::single("b"),
            KeyRange::prefix("a/"),
            KeyRange::from_wire("a/a".into(), "a/c".into()),
            KeyRange::from_wire("a/c".into(), "\0".into()),
            KeyRange::from_wire("c".into(), "b".into()),
        ];
        for range in &ranges {
            let found = bindings.over(std::slice::from_ref(range));
            let mut expected: Vec<(String, Bytes)> = state
                .registry()
                .bindings()
                .filter(|binding| binding.mode != Mode::Disabled)
                .filter(|binding| KeyRange::prefix(binding.prefix.clone()).overlaps(range))
                .map(|binding| (binding.plugin.clone(), binding.prefix.clone()))
                .collect();
            expected.sort();
            let name = |at: &usize| {
                let binding = &bindings.policy(*at).binding;
                (binding.plugin.clone(), binding.prefix.clone())
            };
            let mut found: Vec<_> = found.iter().map(name).collect();
            // An empty range has nothing to write, so it may name too many but never too few.
            found.retain(|named| !range.is_empty() || expected.contains(named));
            assert_eq!(found, expected, "{range:?}");
        }
    }
}
