//! Plugins in the form in which entries, rows and members' questions carry them: protobuf, so that
//! fields can be added. A value that this program does not know is an error, never a default.

use portunus_proto::portunus::record::v1 as pb;

use super::{
    Binding, CodecError, FailurePolicy, Grants, Isolation, Mode, Plugin, PluginLimits,
    PluginRecord, Point, TriggerState, TriggerStatus,
};
use crate::types::{KeyRange, RangeEnd};

impl From<Point> for pb::Point {
    fn from(point: Point) -> Self {
        match point {
            Point::WritePolicy => Self::WritePolicy,
            Point::Trigger => Self::Trigger,
            Point::Recipe => Self::Recipe,
            Point::LockAdmission => Self::LockAdmission,
            Point::QueueCondition => Self::QueueCondition,
        }
    }
}

fn point(number: i32) -> Result<Point, CodecError> {
    match pb::Point::try_from(number) {
        Ok(pb::Point::WritePolicy) => Ok(Point::WritePolicy),
        Ok(pb::Point::Trigger) => Ok(Point::Trigger),
        Ok(pb::Point::Recipe) => Ok(Point::Recipe),
        Ok(pb::Point::LockAdmission) => Ok(Point::LockAdmission),
        Ok(pb::Point::QueueCondition) => Ok(Point::QueueCondition),
        Ok(pb::Point::Unknown) | Err(_) => Err(CodecError::Damaged("an extension point")),
    }
}

impl From<Mode> for pb::Mode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Enforce => Self::Enforce,
            Mode::Monitor => Self::Monitor,
            Mode::Disabled => Self::Disabled,
        }
    }
}

/// The mode of this number.
pub fn mode_of(number: i32) -> Result<Mode, CodecError> {
    match pb::Mode::try_from(number) {
        Ok(pb::Mode::Enforce) => Ok(Mode::Enforce),
        Ok(pb::Mode::Monitor) => Ok(Mode::Monitor),
        Ok(pb::Mode::Disabled) => Ok(Mode::Disabled),
        Ok(pb::Mode::Unknown) | Err(_) => Err(CodecError::Damaged("a mode")),
    }
}

fn wire_range(range: &KeyRange) -> pb::KeyRange {
    let end = match &range.end {
        RangeEnd::Single => bytes::Bytes::new(),
        RangeEnd::Before(end) => end.clone(),
        RangeEnd::Unbounded => bytes::Bytes::from_static(b"\0"),
    };
    pb::KeyRange { start: range.start.clone(), end }
}

fn ranges(ranges: Vec<pb::KeyRange>) -> Vec<KeyRange> {
    ranges.into_iter().map(|range| KeyRange::from_wire(range.start, range.end)).collect()
}

fn wire_limits(limits: &PluginLimits) -> pb::Limits {
    let PluginLimits {
        call_time_ms,
        memory_bytes,
        reads,
        read_bytes,
        writes,
        result_bytes,
        log_bytes,
    } = *limits;
    pb::Limits { call_time_ms, memory_bytes, reads, read_bytes, writes, result_bytes, log_bytes }
}

fn limits(limits: pb::Limits) -> PluginLimits {
    let pb::Limits {
        call_time_ms,
        memory_bytes,
        reads,
        read_bytes,
        writes,
        result_bytes,
        log_bytes,
    } = limits;
    PluginLimits { call_time_ms, memory_bytes, reads, read_bytes, writes, result_bytes, log_bytes }
}

fn wire_binding(binding: &Binding) -> pb::Binding {
    pb::Binding {
        point: pb::Point::from(binding.point).into(),
        prefix: binding.prefix.clone(),
        config: binding.config.clone(),
        read: binding.grants.read.iter().map(wire_range).collect(),
        write: binding.grants.write.iter().map(wire_range).collect(),
        limits: Some(wire_limits(&binding.limits)),
        fail_open: binding.on_failure == FailurePolicy::Open,
        mode: pb::Mode::from(binding.mode).into(),
        fresh: binding.isolation == Isolation::Fresh,
    }
}

fn binding(wire: pb::Binding, plugin: &Plugin) -> Result<Binding, CodecError> {
    Ok(Binding {
        plugin: plugin.name.clone(),
        point: point(wire.point)?,
        digest: plugin.digest.clone(),
        prefix: wire.prefix,
        config: wire.config,
        grants: Grants { read: ranges(wire.read), write: ranges(wire.write) },
        limits: limits(wire.limits.unwrap_or_default()),
        on_failure: if wire.fail_open { FailurePolicy::Open } else { FailurePolicy::Closed },
        mode: mode_of(wire.mode)?,
        isolation: if wire.fresh { Isolation::Fresh } else { Isolation::Warm },
    })
}

impl From<&Plugin> for pb::Plugin {
    fn from(plugin: &Plugin) -> Self {
        Self {
            name: plugin.name.clone(),
            generation: plugin.generation,
            digest: plugin.digest.clone(),
            bindings: plugin.bindings.iter().map(wire_binding).collect(),
            restored: plugin.restored.unwrap_or(0),
        }
    }
}

impl TryFrom<pb::Plugin> for Plugin {
    type Error = CodecError;

    fn try_from(wire: pb::Plugin) -> Result<Self, CodecError> {
        let mut plugin = Self {
            name: wire.name,
            generation: wire.generation,
            digest: wire.digest,
            bindings: Vec::new(),
            restored: (wire.restored != 0).then_some(wire.restored),
        };
        let bindings = wire.bindings.into_iter().map(|wire| binding(wire, &plugin));
        plugin.bindings = bindings.collect::<Result<_, _>>()?;
        Ok(plugin)
    }
}

impl From<&PluginRecord> for pb::PluginRecord {
    fn from(record: &PluginRecord) -> Self {
        Self {
            current: Some((&record.current).into()),
            previous: record.previous.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::PluginRecord> for PluginRecord {
    type Error = CodecError;

    fn try_from(wire: pb::PluginRecord) -> Result<Self, CodecError> {
        let current = wire.current.ok_or(CodecError::Damaged("a plugin without content"))?;
        let previous = wire.previous.into_iter().map(Plugin::try_from);
        Ok(Self { current: current.try_into()?, previous: previous.collect::<Result<_, _>>()? })
    }
}

impl From<&TriggerStatus> for Option<pb::Paused> {
    fn from(status: &TriggerStatus) -> Self {
        match status {
            TriggerStatus::Running => None,
            TriggerStatus::Paused { error, attempts, last } => {
                Some(pb::Paused { error: error.clone(), attempts: *attempts, last: *last })
            }
        }
    }
}

impl From<Option<pb::Paused>> for TriggerStatus {
    fn from(paused: Option<pb::Paused>) -> Self {
        match paused {
            None => Self::Running,
            Some(pb::Paused { error, attempts, last }) => Self::Paused { error, attempts, last },
        }
    }
}

impl From<&TriggerState> for pb::TriggerState {
    fn from(state: &TriggerState) -> Self {
        let paused = (&state.status).into();
        Self { binding: state.binding.clone(), cursor: state.cursor, paused }
    }
}

impl From<pb::TriggerState> for TriggerState {
    fn from(wire: pb::TriggerState) -> Self {
        Self { binding: wire.binding, cursor: wire.cursor, status: wire.paused.into() }
    }
}
