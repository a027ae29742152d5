//! The small, rarely changed part of the state: alarms, plugin bindings and components.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::effect::{Alarm, AlarmKind, Attributes, Binding};
use crate::types::MemberId;

/// Shared as a whole between versions of the state and copied when it changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    pub alarms: BTreeSet<Alarm>,
    /// By name.
    pub bindings: BTreeMap<String, Binding>,
    /// What each member has said of itself.
    pub members: BTreeMap<MemberId, Attributes>,
    /// Component bytes by their digest.
    pub components: BTreeMap<Bytes, Bytes>,
}

impl Registry {
    /// True when some member has raised an alarm of this kind.
    pub fn is_raised(&self, kind: AlarmKind) -> bool {
        self.alarms.iter().any(|alarm| alarm.kind == kind)
    }

    /// The bindings whose prefix `key` lies under, by name.
    pub fn bindings_of<'a>(&'a self, key: &'a [u8]) -> impl Iterator<Item = &'a Binding> {
        self.bindings.values().filter(move |binding| key.starts_with(&binding.prefix))
    }
}
