//! Components and bindings, and the level of effects that all members know.

use std::fmt::Write;

use super::writer::Writer;
use super::{Refusal, Reply};
use crate::effect::{Attributes, Binding, Component, Effect};
use crate::limits::COMPONENT_BYTES_MAX;
use bytes::Bytes;

pub(super) fn check_component(component: &Component) -> Result<(), Refusal> {
    let (bytes, max) = (component.bytes.len(), COMPONENT_BYTES_MAX);
    if bytes > max { Err(Refusal::ComponentTooLarge { bytes, max }) } else { Ok(()) }
}

pub(super) fn check_binding(binding: &Binding) -> Result<(), Refusal> {
    if binding.name.is_empty() { Err(Refusal::BindingUnnamed) } else { Ok(()) }
}

fn done(writer: &Writer<'_>) -> Reply {
    Reply::Done { revision: writer.head.revision }
}

/// Stores a component under its digest, which the caller has computed; again is no change.
pub(super) fn store(writer: &mut Writer<'_>, component: &Component) -> Reply {
    if !writer.head.registry().components.contains_key(&component.digest) {
        writer.emit(Effect::ComponentStore(component.clone()));
    }
    done(writer)
}

pub(super) fn drop_component(writer: &mut Writer<'_>, digest: &Bytes) -> Result<Reply, Refusal> {
    let registry = writer.head.registry();
    if !registry.components.contains_key(digest) {
        return Err(Refusal::ComponentNotFound(hex(digest)));
    }
    if let Some(binding) = registry.bindings.values().find(|binding| binding.digest == *digest) {
        let binding = binding.name.clone();
        return Err(Refusal::ComponentBound { digest: hex(digest), binding });
    }
    writer.emit(Effect::ComponentDrop { digest: digest.clone() });
    Ok(done(writer))
}

/// Binds a stored component, or binds anew under the same name; the same again is no change.
pub(super) fn bind(writer: &mut Writer<'_>, binding: &Binding) -> Result<Reply, Refusal> {
    let registry = writer.head.registry();
    if !registry.components.contains_key(&binding.digest) {
        return Err(Refusal::ComponentNotFound(hex(&binding.digest)));
    }
    if registry.bindings.get(&binding.name) != Some(binding) {
        writer.emit(Effect::Bind(binding.clone()));
    }
    Ok(done(writer))
}

pub(super) fn unbind(writer: &mut Writer<'_>, name: &str) -> Result<Reply, Refusal> {
    if !writer.head.registry().bindings.contains_key(name) {
        return Err(Refusal::BindingNotFound(name.to_owned()));
    }
    writer.emit(Effect::Unbind { name: name.to_owned() });
    Ok(done(writer))
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

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::with_capacity(2 * digest.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}
