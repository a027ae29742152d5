//! Plugins and their generations: put in place, taken away, brought back, switched. Also members'
//! words about themselves, and the level of effects that all members know.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::plugin_check;
use super::writer::Writer;
use super::{Deploy, Refusal, Reply, Rollback, SetMode, Undeploy};
use crate::effect::{
    Attributes, Binding, Effect, Plugin, PluginRecord, Point, TriggerState, TriggerStatus, hex,
};
use crate::limits::PLUGIN_GENERATIONS_KEPT;

pub(super) use super::plugin_check::check;

fn done(writer: &Writer<'_>) -> Reply {
    Reply::Done { revision: writer.head.revision }
}

/// Puts all plugins of the request in place, or none.
pub(super) fn deploy(writer: &mut Writer<'_>, request: &Deploy) -> Result<Reply, Refusal> {
    let start = start_of_triggers(writer, request)?;
    let registry = writer.head.registry();
    for plugin in &request.plugins {
        let brought = request.components.iter().any(|new| new.digest == plugin.digest);
        if !brought && !registry.components.contains_key(&plugin.digest) {
            return Err(Refusal::ComponentNotFound(hex(&plugin.digest)));
        }
    }
    plugin_check::room(registry, request)?;
    let records: Vec<_> = request.plugins.iter().filter_map(|p| deployed(writer, p)).collect();
    for component in &request.components {
        let named = records.iter().any(|record| record.current.digest == component.digest);
        if named && !writer.head.registry().components.contains_key(&component.digest) {
            writer.emit(Effect::ComponentStore(component.clone()));
        }
    }
    for record in records {
        put(writer, record, start);
    }
    drop_components(writer);
    Ok(done(writer))
}

/// The cursor that new triggers begin with.
fn start_of_triggers(writer: &Writer<'_>, request: &Deploy) -> Result<i64, Refusal> {
    match request.from_revision {
        None => Ok(writer.head.revision),
        Some(first) if first > writer.head.revision + 1 => Err(Refusal::FutureRevision),
        Some(first) => Ok(first.max(1) - 1),
    }
}

/// The record with the plugin as its newest generation; none when it is what is there.
fn deployed(writer: &Writer<'_>, plugin: &Plugin) -> Option<PluginRecord> {
    let mut content = plugin.clone();
    plugin_check::order(&mut content.bindings);
    content.restored = None;
    let Some(old) = writer.head.registry().plugins.get(&plugin.name) else {
        let current = Plugin { generation: 1, ..content };
        return Some(PluginRecord { current, previous: Vec::new() });
    };
    let same = old.current.digest == content.digest && old.current.bindings == content.bindings;
    (!same).then(|| next_generation(old, content))
}

/// `content` as the generation after `old`'s, which becomes the newest of the earlier ones.
fn next_generation(old: &PluginRecord, content: Plugin) -> PluginRecord {
    let current = Plugin { generation: old.current.generation + 1, ..content };
    let mut previous = Vec::with_capacity(PLUGIN_GENERATIONS_KEPT);
    previous.push(old.current.clone());
    previous.extend(old.previous.iter().take(PLUGIN_GENERATIONS_KEPT - 1).cloned());
    PluginRecord { current, previous }
}

/// Brings an earlier generation's content back, as a new generation.
pub(super) fn roll_back(writer: &mut Writer<'_>, request: &Rollback) -> Result<Reply, Refusal> {
    let old = record(writer, &request.name)?;
    let target = rollback_target(&old, request.to)?;
    let content =
        Plugin { restored: Some(target.restored.unwrap_or(target.generation)), ..target.clone() };
    let next = if old.current.restored.is_some() {
        // A copy is not worth a place: its original has one, or had its time.
        let current = Plugin { generation: old.current.generation + 1, ..content };
        PluginRecord { current, previous: old.previous }
    } else {
        next_generation(&old, content)
    };
    let start = writer.head.revision;
    put(writer, next, start);
    drop_components(writer);
    Ok(done(writer))
}

fn rollback_target(record: &PluginRecord, to: Option<u64>) -> Result<&Plugin, Refusal> {
    let (current, plugin) = (&record.current, record.current.name.clone());
    match to {
        Some(generation) => {
            let kept = || record.previous.iter().map(|p| p.generation.to_string());
            let found = record.previous.iter().find(|p| p.generation == generation);
            found.ok_or_else(|| Refusal::GenerationNotKept {
                plugin,
                generation,
                kept: Some(kept().collect::<Vec<_>>().join(", "))
                    .filter(|kept| !kept.is_empty())
                    .unwrap_or_else(|| "none".into()),
            })
        }
        None => {
            let generation = current.restored.unwrap_or(current.generation);
            let found = record.previous.iter().find(|p| p.generation < generation);
            found.ok_or(Refusal::NoEarlierGeneration { plugin, generation })
        }
    }
}

pub(super) fn undeploy(writer: &mut Writer<'_>, request: &Undeploy) -> Result<Reply, Refusal> {
    let gone = record(writer, &request.name)?;
    writer.emit(Effect::PluginRemove { name: request.name.clone() });
    for binding in triggers(&gone.current) {
        writer.emit(Effect::TriggerDrop { binding: binding.id() });
    }
    drop_components(writer);
    Ok(done(writer))
}

/// Switches the modes of the current generation in place; the same again is no change.
pub(super) fn set_mode(writer: &mut Writer<'_>, request: &SetMode) -> Result<Reply, Refusal> {
    let old = record(writer, &request.name)?;
    let mut new = old.clone();
    let mut found = false;
    for binding in &mut new.current.bindings {
        if request.binding.as_ref().is_none_or(|id| *id == binding.id()) {
            found = true;
            binding.mode = request.mode;
        }
    }
    if let (Some(id), false) = (&request.binding, found) {
        return Err(Refusal::BindingNotFound(id.clone()));
    }
    if new != old {
        writer.emit(Effect::PluginPut(new));
    }
    Ok(done(writer))
}

fn record(writer: &Writer<'_>, name: &str) -> Result<PluginRecord, Refusal> {
    let found = writer.head.registry().plugins.get(name).cloned();
    found.ok_or_else(|| Refusal::PluginNotFound(name.to_owned()))
}

fn triggers(plugin: &Plugin) -> impl Iterator<Item = &Binding> {
    plugin.bindings.iter().filter(|binding| binding.point == Point::Trigger)
}

/// Puts a record in place. Triggers that stay keep their cursors, new ones begin at `start`.
fn put(writer: &mut Writer<'_>, record: PluginRecord, start: i64) {
    let before = writer.head.registry().plugins.get(&record.current.name);
    let before: BTreeSet<_> =
        before.iter().flat_map(|old| triggers(&old.current)).map(Binding::id).collect();
    let now: BTreeSet<_> = triggers(&record.current).map(Binding::id).collect();
    writer.emit(Effect::PluginPut(record));
    for binding in before.difference(&now) {
        writer.emit(Effect::TriggerDrop { binding: binding.clone() });
    }
    for binding in now.difference(&before) {
        let (binding, status) = (binding.clone(), TriggerStatus::Running);
        writer.emit(Effect::TriggerSet(TriggerState { binding, cursor: start, status }));
    }
}

/// Forgets the components that no generation names any more.
fn drop_components(writer: &mut Writer<'_>) {
    let registry = writer.head.registry();
    let generations = registry.plugins.values().flat_map(PluginRecord::generations);
    let named: BTreeSet<&Bytes> = generations.map(|plugin| &plugin.digest).collect();
    let unnamed = registry.components.keys().filter(|digest| !named.contains(digest));
    for digest in unnamed.cloned().collect::<Vec<_>>() {
        writer.emit(Effect::ComponentDrop { digest });
    }
}

/// Takes a member's word about itself; the same again is no change.
pub(super) fn publish(writer: &mut Writer<'_>, own: &Attributes) -> Reply {
    if writer.head.registry().members.get(&own.member) != Some(own) {
        writer.emit(Effect::Publish(own.clone()));
    }
    done(writer)
}

/// Never lowers it.
pub(super) fn raise_level(writer: &mut Writer<'_>, level: u32) -> Reply {
    if level > writer.head.feature_level {
        writer.emit(Effect::FeatureLevel(level));
    }
    done(writer)
}
