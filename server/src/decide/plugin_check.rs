//! What a deploy may ask for: names, prefixes, grants and sizes. Every refusal names the value and
//! says what would do.

use std::collections::BTreeSet;

use super::{Deploy, Refusal};
use crate::effect::{Binding, Plugin, hex};
use crate::limits::{
    BINDINGS_MAX, COMPONENT_BYTES_MAX, DEPLOY_BYTES_MAX, PLUGIN_CONFIG_BYTES_MAX,
    PLUGIN_GRANTS_MAX, PLUGIN_NAME_BYTES_MAX,
};
use crate::machine::Registry;
use crate::types::KeyRange;

/// Checks that need nothing but the request.
pub(super) fn check(request: &Deploy) -> Result<(), Refusal> {
    check_sizes(request)?;
    let mut names = BTreeSet::new();
    for plugin in &request.plugins {
        let why = match check_plugin(plugin) {
            Ok(()) if names.insert(&plugin.name) => continue,
            Ok(()) => "it is named twice in one deploy: give each its own name".into(),
            Err(why) => why,
        };
        return Err(Refusal::InvalidPlugin { plugin: plugin.name.clone(), why });
    }
    Ok(())
}

fn check_sizes(request: &Deploy) -> Result<(), Refusal> {
    let sizes = || request.components.iter().map(|component| component.bytes.len());
    if let Some(bytes) = sizes().find(|bytes| *bytes > COMPONENT_BYTES_MAX) {
        return Err(Refusal::ComponentTooLarge { bytes, max: COMPONENT_BYTES_MAX });
    }
    let bytes: usize = sizes().sum();
    if bytes > DEPLOY_BYTES_MAX {
        return Err(Refusal::DeployTooLarge { bytes, max: DEPLOY_BYTES_MAX });
    }
    Ok(())
}

fn check_plugin(plugin: &Plugin) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let len = plugin.name.len();
    if len == 0 || len > PLUGIN_NAME_BYTES_MAX || !plugin.name.chars().all(allowed) {
        return Err(format!(
            "a name has 1 to {PLUGIN_NAME_BYTES_MAX} characters of a-z, 0-9 and \"-\""
        ));
    }
    if plugin.bindings.is_empty() {
        return Err("it is bound nowhere: give it a point and a prefix".into());
    }
    let mut places = BTreeSet::new();
    for binding in &plugin.bindings {
        let place = || format!("{} under {:?}", binding.point, shown(&binding.prefix));
        check_binding(plugin, binding).map_err(|why| format!("{}: {why}", place()))?;
        if !places.insert((binding.point, &binding.prefix)) {
            return Err(format!("{} is bound twice: bind it once", place()));
        }
    }
    Ok(())
}

fn check_binding(plugin: &Plugin, binding: &Binding) -> Result<(), String> {
    if binding.plugin != plugin.name || binding.digest != plugin.digest {
        return Err(format!(
            "it belongs to {:?} with component {}",
            binding.plugin,
            hex(&binding.digest)
        ));
    }
    let config = binding.config.len();
    if config > PLUGIN_CONFIG_BYTES_MAX {
        return Err(format!(
            "its configuration has {config} bytes, {PLUGIN_CONFIG_BYTES_MAX} are allowed"
        ));
    }
    let grants = [("read", &binding.grants.read), ("write", &binding.grants.write)];
    for (kind, ranges) in grants {
        if ranges.len() > PLUGIN_GRANTS_MAX {
            let count = ranges.len();
            return Err(format!("{count} {kind} grants, {PLUGIN_GRANTS_MAX} are allowed"));
        }
        if let Some(empty) = ranges.iter().find(|range| covers_nothing(range)) {
            return Err(format!("the {kind} grant {} covers no key", shown_range(empty)));
        }
    }
    Ok(())
}

/// The empty key is none.
fn covers_nothing(range: &KeyRange) -> bool {
    range.is_empty() || (range.is_single() && range.start.is_empty())
}

/// Refuses a deploy after which there were too many bindings.
pub(super) fn room(registry: &Registry, request: &Deploy) -> Result<(), Refusal> {
    let replaced = |name: &String| request.plugins.iter().any(|plugin| plugin.name == *name);
    let kept = registry.plugins.iter().filter(|(name, _)| !replaced(name));
    let kept: usize = kept.map(|(_, record)| record.current.bindings.len()).sum();
    let asked: usize = request.plugins.iter().map(|plugin| plugin.bindings.len()).sum();
    let (bindings, max) = (kept + asked, BINDINGS_MAX);
    if bindings > max { Err(Refusal::TooManyBindings { bindings, max }) } else { Ok(()) }
}

/// The order in which a plugin's bindings are asked and listed.
pub(super) fn order(bindings: &mut [Binding]) {
    bindings.sort_by(|a, b| (a.point, &a.prefix).cmp(&(b.point, &b.prefix)));
}

fn shown(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}

fn shown_range(range: &KeyRange) -> String {
    use crate::types::RangeEnd::{Before, Single, Unbounded};
    let start = shown(&range.start);
    match &range.end {
        Single => format!("\"{start}\""),
        Before(end) => format!("from \"{start}\" to \"{}\"", shown(end)),
        Unbounded => format!("from \"{start}\" on"),
    }
}
