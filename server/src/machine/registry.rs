//! The small, rarely changed part of the state: alarms, plugins and their components.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::prefixes::Prefixes;
use crate::effect::{Alarm, AlarmKind, Attributes, Binding, PluginRecord, Point};
use crate::types::{KeyRange, MemberId};

/// Shared as a whole between versions of the state and copied when it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    pub alarms: BTreeSet<Alarm>,
    /// By name.
    pub plugins: BTreeMap<String, PluginRecord>,
    /// What each member has said of itself.
    pub members: BTreeMap<MemberId, Attributes>,
    /// Component bytes by their digest.
    pub components: BTreeMap<Bytes, Bytes>,
    /// Of the plugins' current generations.
    prefixes: Prefixes,
}

impl Registry {
    /// True when some member has raised an alarm of this kind.
    pub fn is_raised(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// The bindings in force, whatever their mode, in order of plugin, point and prefix.
    pub fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.plugins.values().flat_map(|record| &record.current.bindings)
    }

    /// The binding of this id.
    pub fn binding(&self, id: &str) -> Option<&Binding> {
        let (name, _) = id.split_once('/')?;
        self.plugins.get(name)?.current.bindings.iter().find(|binding| binding.id() == id)
    }

    /// The bindings on a point under whose prefix some key of `ranges` may lie, whatever their
    /// mode, in order of plugin and prefix.
    pub fn bindings_over<'a>(
        &'a self,
        point: Point,
        ranges: &[KeyRange],
    ) -> impl Iterator<Item = &'a Binding> + use<'a> {
        let places: BTreeSet<_> =
            ranges.iter().flat_map(|range| self.prefixes.over(point, range)).collect();
        places.into_iter().filter_map(move |(plugin, prefix)| {
            let bindings = &self.plugins.get(plugin)?.current.bindings;
            bindings.iter().find(|binding| binding.point == point && binding.prefix == *prefix)
        })
    }

    /// Whether anything is bound to the point, in whatever mode.
    pub fn is_bound(&self, point: Point) -> bool {
        self.prefixes.has(point)
    }

    pub(super) fn put_plugin(&mut self, record: &PluginRecord) {
        self.remove_plugin(&record.current.name);
        record.current.bindings.iter().for_each(|binding| self.prefixes.add(binding));
        self.plugins.insert(record.current.name.clone(), record.clone());
    }

    pub(super) fn remove_plugin(&mut self, name: &str) {
        if let Some(record) = self.plugins.remove(name) {
            record.current.bindings.iter().for_each(|binding| self.prefixes.remove(binding));
        }
    }
}
