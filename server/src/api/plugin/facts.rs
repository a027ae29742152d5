//! What is known of plugins, as `portunus.v1` shows it.

use portunus_proto::portunus::v1 as pb;

use super::convert::{listed, wire_author, wire_binding, wire_point};
use crate::effect::TriggerStatus;
use crate::node::{BindingFacts, Blamed, Inspection, TriggerFacts};

pub fn inspection(found: Inspection) -> pb::InspectResponse {
    pb::InspectResponse {
        header: None,
        digest: found.digest,
        component_bytes: found.component_bytes as u64,
        points: found.points.iter().map(|point| wire_point(*point).into()).collect(),
        functions: found.functions,
        deployed: found.deployed.as_ref().map(listed),
        contract: found.contract,
    }
}

pub fn status(facts: BindingFacts) -> pb::BindingStatus {
    let figures = facts.figures;
    pb::BindingStatus {
        plugin: facts.plugin.name,
        generation: facts.plugin.generation,
        digest: facts.plugin.digest,
        binding: Some(wire_binding(&facts.binding)),
        broken: facts.broken.unwrap_or_default(),
        calls: figures.calls,
        refusals: figures.refusals,
        traps: figures.failures.iter().map(|(_, count)| count).sum(),
        last_error: facts.last_error.unwrap_or_default(),
        reruns: figures.reruns,
        parked: figures.parked,
        memory_high_water_bytes: figures.memory_bytes_max,
        trigger: facts.trigger.map(trigger),
    }
}

fn trigger(facts: TriggerFacts) -> pb::TriggerStatus {
    let running = pb::TriggerStatus {
        cursor: facts.state.cursor,
        lag: facts.lag,
        kept_key: facts.kept_key.unwrap_or_default(),
        ..pb::TriggerStatus::default()
    };
    match facts.state.status {
        TriggerStatus::Running => running,
        TriggerStatus::Paused { error, attempts, last } => {
            pb::TriggerStatus { paused: true, error, attempts, kept_until: last, ..running }
        }
    }
}

pub fn blamed(blamed: Blamed) -> pb::BlamedRevision {
    pb::BlamedRevision {
        revision: blamed.revision,
        deleted: blamed.deleted,
        author: blamed.author.map(wire_author),
    }
}
