//! A compiled component, and what it tells about itself.

use std::sync::Arc;

use wasmtime::component::InstancePre;

use super::contract::exports::portunus::plugin::{
    lock_admission, queue_condition, recipe, trigger, write_policy,
};
use super::host::Host;
use crate::effect::Point;

/// A compiled component. Cloning shares the code.
#[derive(Clone)]
pub struct Plugin(Arc<Compiled>);

pub(super) struct Compiled {
    pub(super) digest: [u8; 32],
    pub(super) metadata: Metadata,
    /// In the order of [`Metadata::points`].
    pub(super) indices: Vec<Indices>,
    pub(super) pre: InstancePre<Host>,
}

/// What a component says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// The version of the contract that it is built for.
    pub contract: String,
    /// The extension points that it exports, at least one.
    pub points: Vec<Point>,
    /// The functions of its recipe.
    pub functions: Vec<String>,
    /// The interfaces that it imports, with their versions.
    pub imports: Vec<String>,
    /// The component's size.
    pub size_bytes: usize,
}

/// Where an extension point's functions are.
pub(super) enum Indices {
    WritePolicy(write_policy::GuestIndices),
    Trigger(trigger::GuestIndices),
    Recipe(recipe::GuestIndices),
    LockAdmission(lock_admission::GuestIndices),
    QueueCondition(queue_condition::GuestIndices),
}

impl Plugin {
    pub(super) fn new(compiled: Compiled) -> Self {
        Self(Arc::new(compiled))
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// The extension points that the plugin exports, at least one.
    pub fn points(&self) -> &[Point] {
        &self.0.metadata.points
    }

    /// The names of its recipe's functions, as it told them when it was compiled.
    pub fn functions(&self) -> &[String] {
        &self.0.metadata.functions
    }

    pub fn metadata(&self) -> &Metadata {
        &self.0.metadata
    }

    pub(super) fn pre(&self) -> &InstancePre<Host> {
        &self.0.pre
    }

    pub(super) fn indices(&self, point: Point) -> Option<&Indices> {
        let at = self.points().iter().position(|own| *own == point)?;
        self.0.indices.get(at)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Plugin").field(self.metadata()).finish()
    }
}
