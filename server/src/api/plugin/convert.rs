//! Plugins as `portunus.v1` shows them, and as it asks for them.

use bytes::Bytes;
use portunus_proto::portunus::v1::deployed_plugin::Source as WireSource;
use portunus_proto::portunus::v1::{self as pb};
use tonic::Status;

use crate::effect::{
    Author, Binding, FailurePolicy, Grants, Isolation, Mode, Plugin, PluginLimits, PluginRecord,
    Point,
};
use crate::node::{Source, Wanted};
use crate::types::{KeyRange, RangeEnd};

pub fn wire_point(point: Point) -> pb::Point {
    match point {
        Point::WritePolicy => pb::Point::WritePolicy,
        Point::Trigger => pb::Point::Trigger,
        Point::Recipe => pb::Point::Recipe,
        Point::LockAdmission => pb::Point::LockAdmission,
        Point::QueueCondition => pb::Point::QueueCondition,
    }
}

fn point(number: i32) -> Result<Point, Status> {
    match pb::Point::try_from(number) {
        Ok(pb::Point::WritePolicy) => Ok(Point::WritePolicy),
        Ok(pb::Point::Trigger) => Ok(Point::Trigger),
        Ok(pb::Point::Recipe) => Ok(Point::Recipe),
        Ok(pb::Point::LockAdmission) => Ok(Point::LockAdmission),
        Ok(pb::Point::QueueCondition) => Ok(Point::QueueCondition),
        Ok(pb::Point::Unspecified) => Err(invalid("a binding names no point")),
        Err(_) => Err(invalid(&format!("there is no extension point {number}"))),
    }
}

pub fn wire_mode(mode: Mode) -> pb::Mode {
    match mode {
        Mode::Enforce => pb::Mode::Enforce,
        Mode::Monitor => pb::Mode::Monitor,
        Mode::Disabled => pb::Mode::Disabled,
    }
}

pub fn mode(number: i32) -> Result<Mode, Status> {
    match pb::Mode::try_from(number) {
        Ok(pb::Mode::Enforce | pb::Mode::Unspecified) => Ok(Mode::Enforce),
        Ok(pb::Mode::Monitor) => Ok(Mode::Monitor),
        Ok(pb::Mode::Disabled) => Ok(Mode::Disabled),
        Err(_) => Err(invalid(&format!("there is no mode {number}"))),
    }
}

pub fn invalid(why: &str) -> Status {
    Status::invalid_argument(format!("portunus: {why}"))
}

fn wire_range(range: &KeyRange) -> pb::KeyRange {
    let range_end = match &range.end {
        RangeEnd::Single => Bytes::new(),
        RangeEnd::Before(end) => end.clone(),
        RangeEnd::Unbounded => Bytes::from_static(b"\0"),
    };
    pb::KeyRange { key: range.start.clone(), range_end }
}

fn ranges(ranges: Vec<pb::KeyRange>) -> Vec<KeyRange> {
    ranges.into_iter().map(|range| KeyRange::from_wire(range.key, range.range_end)).collect()
}

fn wire_limits(limits: &PluginLimits) -> pb::Limits {
    pb::Limits {
        call_time_ms: limits.call_time_ms,
        memory_bytes: limits.memory_bytes,
        reads: limits.reads,
        read_bytes: limits.read_bytes,
        writes: limits.writes,
        result_bytes: limits.result_bytes,
        log_bytes: limits.log_bytes,
    }
}

fn limits(limits: pb::Limits) -> PluginLimits {
    PluginLimits {
        call_time_ms: limits.call_time_ms,
        memory_bytes: limits.memory_bytes,
        reads: limits.reads,
        read_bytes: limits.read_bytes,
        writes: limits.writes,
        result_bytes: limits.result_bytes,
        log_bytes: limits.log_bytes,
    }
}

pub fn wire_binding(binding: &Binding) -> pb::Binding {
    pb::Binding {
        point: wire_point(binding.point).into(),
        prefix: binding.prefix.clone(),
        config: binding.config.clone(),
        grant_read: binding.grants.read.iter().map(wire_range).collect(),
        grant_write: binding.grants.write.iter().map(wire_range).collect(),
        limits: Some(wire_limits(&binding.limits)),
        fail_open: binding.on_failure == FailurePolicy::Open,
        mode: wire_mode(binding.mode).into(),
        fresh: binding.isolation == Isolation::Fresh,
        id: binding.id(),
    }
}

fn binding(wire: pb::Binding) -> Result<Binding, Status> {
    Ok(Binding {
        point: point(wire.point)?,
        prefix: wire.prefix,
        config: wire.config,
        grants: Grants { read: ranges(wire.grant_read), write: ranges(wire.grant_write) },
        limits: limits(wire.limits.unwrap_or_default()),
        on_failure: if wire.fail_open { FailurePolicy::Open } else { FailurePolicy::Closed },
        mode: mode(wire.mode)?,
        isolation: if wire.fresh { Isolation::Fresh } else { Isolation::Warm },
        ..Binding::default()
    })
}

/// A plugin to deploy.
pub fn wanted(wire: pb::DeployedPlugin) -> Result<Wanted, Status> {
    let source = match wire.source {
        Some(WireSource::Component(component)) => Source::File(component),
        Some(WireSource::Digest(digest)) => Source::Stored(digest),
        None => {
            return Err(invalid(&format!(
                "plugin {}: it has neither a component nor a digest",
                wire.name
            )));
        }
    };
    let bindings = wire.bindings.into_iter().map(binding).collect::<Result<_, _>>()?;
    Ok(Wanted { name: wire.name, source, bindings })
}

pub fn generation(plugin: &Plugin) -> pb::Generation {
    pb::Generation {
        name: plugin.name.clone(),
        generation: plugin.generation,
        digest: plugin.digest.clone(),
        bindings: plugin.bindings.iter().map(wire_binding).collect(),
        restored: plugin.restored.unwrap_or(0),
    }
}

pub fn listed(record: &PluginRecord) -> pb::ListedPlugin {
    pb::ListedPlugin {
        current: Some(generation(&record.current)),
        previous: record.previous.iter().map(generation).collect(),
    }
}

pub fn wire_author(author: Author) -> pb::Author {
    pb::Author {
        plugin: author.plugin,
        point: wire_point(author.point).into(),
        digest: author.digest,
        caller: author.caller,
        depth: author.depth.into(),
        via: author.via,
    }
}

/// An empty name or id stands for none.
pub fn named(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{binding, wanted, wire_binding};
    use crate::effect::{Binding, FailurePolicy, Grants, Isolation, Mode, PluginLimits, Point};
    use crate::types::KeyRange;

    #[test]
    fn a_binding_reads_back() {
        let full = Binding {
            point: Point::Trigger,
            prefix: "p".into(),
            config: "c".into(),
            grants: Grants {
                read: vec![KeyRange::single("k"), KeyRange::all()],
                write: vec![KeyRange::prefix("w")],
            },
            limits: PluginLimits { reads: Some(3), log_bytes: Some(0), ..Default::default() },
            on_failure: FailurePolicy::Open,
            mode: Mode::Monitor,
            isolation: Isolation::Fresh,
            ..Binding::default()
        };
        assert_eq!(binding(wire_binding(&full)).expect("well formed"), full);
    }

    #[test]
    fn what_is_missing_is_named() {
        let none = wanted(Default::default()).expect_err("no source");
        assert!(none.message().contains("neither a component nor a digest"), "{none:?}");
        let nowhere = binding(Default::default()).expect_err("no point");
        assert!(nowhere.message().contains("names no point"), "{nowhere:?}");
    }
}
