//! Questions about plugins on their way between members.

use portunus_proto::portunus::record::v1 as pb;

use super::wire::WireError;
use crate::decide::{
    Advance, Deploy, RecipeCall, Rollback, SetMode, SetTrigger, TriggerChange, Undeploy,
};
use crate::effect::{CodecError, Component, Mode, Plugin, TriggerStatus, mode_of};

impl From<CodecError> for WireError {
    fn from(error: CodecError) -> Self {
        Self(error.to_string())
    }
}

impl From<&Deploy> for pb::Deploy {
    fn from(ask: &Deploy) -> Self {
        let component =
            |c: &Component| pb::Component { digest: c.digest.clone(), bytes: c.bytes.clone() };
        Self {
            plugins: ask.plugins.iter().map(Into::into).collect(),
            components: ask.components.iter().map(component).collect(),
            from_revision: ask.from_revision,
            caller: ask.caller.clone(),
        }
    }
}

impl TryFrom<pb::Deploy> for Deploy {
    type Error = WireError;

    fn try_from(wire: pb::Deploy) -> Result<Self, WireError> {
        let component = |c: pb::Component| Component { digest: c.digest, bytes: c.bytes };
        let plugins = wire.plugins.into_iter().map(Plugin::try_from);
        Ok(Self {
            plugins: plugins.collect::<Result<_, _>>()?,
            components: wire.components.into_iter().map(component).collect(),
            from_revision: wire.from_revision,
            caller: wire.caller,
        })
    }
}

impl From<&Undeploy> for pb::Undeploy {
    fn from(ask: &Undeploy) -> Self {
        Self { name: ask.name.clone(), caller: ask.caller.clone() }
    }
}

impl From<pb::Undeploy> for Undeploy {
    fn from(wire: pb::Undeploy) -> Self {
        Self { name: wire.name, caller: wire.caller }
    }
}

impl From<&Rollback> for pb::Rollback {
    fn from(ask: &Rollback) -> Self {
        Self { name: ask.name.clone(), to: ask.to.unwrap_or(0), caller: ask.caller.clone() }
    }
}

impl From<pb::Rollback> for Rollback {
    fn from(wire: pb::Rollback) -> Self {
        Self { name: wire.name, to: (wire.to != 0).then_some(wire.to), caller: wire.caller }
    }
}

impl From<&SetMode> for pb::SetMode {
    fn from(ask: &SetMode) -> Self {
        Self {
            name: ask.name.clone(),
            binding: ask.binding.clone().unwrap_or_default(),
            mode: pb::Mode::from(ask.mode).into(),
            caller: ask.caller.clone(),
        }
    }
}

impl TryFrom<pb::SetMode> for SetMode {
    type Error = WireError;

    fn try_from(wire: pb::SetMode) -> Result<Self, WireError> {
        let mode: Mode = mode_of(wire.mode)?;
        let binding = (!wire.binding.is_empty()).then_some(wire.binding);
        Ok(Self { name: wire.name, binding, mode, caller: wire.caller })
    }
}

impl From<&RecipeCall> for pb::RecipeCall {
    fn from(ask: &RecipeCall) -> Self {
        Self {
            plugin: ask.plugin.clone(),
            function: ask.function.clone(),
            payload: ask.payload.clone(),
            caller: ask.caller.clone(),
        }
    }
}

impl From<pb::RecipeCall> for RecipeCall {
    fn from(wire: pb::RecipeCall) -> Self {
        let pb::RecipeCall { plugin, function, payload, caller } = wire;
        Self { plugin, function, payload, caller }
    }
}

impl From<&Advance> for pb::Advance {
    fn from(ask: &Advance) -> Self {
        Self { binding: ask.binding.clone(), from: ask.from, to: ask.to }
    }
}

impl From<pb::Advance> for Advance {
    fn from(wire: pb::Advance) -> Self {
        Self { binding: wire.binding, from: wire.from, to: wire.to }
    }
}

impl From<&SetTrigger> for pb::SetTrigger {
    fn from(ask: &SetTrigger) -> Self {
        use pb::set_trigger::{Change, Pause, Resume, Skip};
        let change = match &ask.change {
            TriggerChange::Pause { at, error, attempts, last } => {
                let paused = pb::Paused { error: error.clone(), attempts: *attempts, last: *last };
                Change::Pause(Pause { at: *at, paused: Some(paused) })
            }
            TriggerChange::Resume => Change::Resume(Resume {}),
            TriggerChange::Skip { to } => Change::Skip(Skip { to: to.unwrap_or(0) }),
        };
        let (binding, caller) = (ask.binding.clone(), ask.caller.clone());
        Self { binding, change: Some(change), caller }
    }
}

impl TryFrom<pb::SetTrigger> for SetTrigger {
    type Error = WireError;

    fn try_from(wire: pb::SetTrigger) -> Result<Self, WireError> {
        use pb::set_trigger::Change;
        let change = match wire.change {
            Some(Change::Pause(pause)) => match TriggerStatus::from(pause.paused) {
                TriggerStatus::Paused { error, attempts, last } => {
                    TriggerChange::Pause { at: pause.at, error, attempts, last }
                }
                TriggerStatus::Running => {
                    return Err(WireError("a pause without its reason".into()));
                }
            },
            Some(Change::Resume(_)) => TriggerChange::Resume,
            Some(Change::Skip(skip)) => {
                TriggerChange::Skip { to: (skip.to != 0).then_some(skip.to) }
            }
            None => return Err(WireError("a trigger's change is missing".into())),
        };
        Ok(Self { binding: wire.binding, change, caller: wire.caller })
    }
}
