//! A write policy bound to a prefix, as the node calls it: its types in the server's own terms,
//! and the way of a call through a warm instance.

use std::sync::Arc;

use super::bounds::Limits;
use super::compile::{ExtensionPoint, Plugin};
use super::contract::exports::portunus::plugin::write_policy;
use super::contract::portunus::plugin::types;
use super::engine::Engine;
use super::error::CallError;
use super::instance::PolicyInstance;
use super::shelf::Owner;
use super::store_view::StoreView;
use crate::types::{Item, LeaseId};

/// What a plugin is told about its binding, and what it may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub name: String,
    pub prefix: Vec<u8>,
    pub configuration: Vec<u8>,
    /// Capped by [`Limits::MAX`].
    pub limits: Limits,
}

/// One write of a resolved transaction.
#[derive(Clone, Debug)]
pub enum Write<'a> {
    Put { key: &'a [u8], value: &'a [u8], lease: LeaseId, previous: Option<&'a Item> },
    Delete { key: &'a [u8], previous: &'a Item },
}

/// What a policy answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Allow,
    /// Refuse the transaction, with a reason for its caller.
    Refuse(String),
    /// Allow it with further writes in the same transaction. Grants are the node's to check.
    AllowWith(Vec<Change>),
}

/// A write that a plugin asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put { key: Vec<u8>, value: Vec<u8>, lease: LeaseId },
    Delete { key: Vec<u8> },
}

/// A plugin under a binding, with its warm instances. Shared by all threads that call it.
#[derive(Debug)]
pub struct WritePolicy {
    engine: Engine,
    plugin: Plugin,
    binding: Binding,
    name: Arc<str>,
    owner: Owner,
}

/// The plugin does not export the extension point it is to be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plugin exports no {}", .0.name())]
pub struct NotExported(pub ExtensionPoint);

impl WritePolicy {
    /// Binds `plugin`; starts nothing yet.
    pub fn new(engine: &Engine, plugin: &Plugin, binding: Binding) -> Result<Self, NotExported> {
        if plugin.write_policy().is_none() {
            return Err(NotExported(ExtensionPoint::WritePolicy));
        }
        let binding = Binding { limits: binding.limits.capped(), ..binding };
        Ok(Self {
            engine: engine.clone(),
            plugin: plugin.clone(),
            name: binding.name.as_str().into(),
            binding,
            owner: engine.next_owner(),
        })
    }

    /// Asks the plugin about `writes`, on this thread. Less than a microsecond for a policy that
    /// does little, at most the binding's time limit for one that does not end.
    pub fn check(
        &self,
        view: &mut dyn StoreView,
        caller: Option<&str>,
        writes: &[Write<'_>],
    ) -> Result<Verdict, CallError> {
        let mut instance = self.instance()?;
        let writes: Vec<_> = writes.iter().map(lower).collect();
        let context = write_policy::Context {
            binding: &self.binding.name,
            prefix: &self.binding.prefix,
            caller,
            configuration: &self.binding.configuration,
        };
        let verdict = instance.call(&self.engine, view, context, &writes)?;
        self.give_back(instance);
        lift(verdict, &self.binding.limits)
    }

    fn instance(&self) -> Result<PolicyInstance, CallError> {
        let idle = self.engine.shelf().lock().take(self.owner);
        match idle {
            Some(instance) => Ok(instance),
            None => {
                let name = Arc::clone(&self.name);
                let limits = self.binding.limits;
                Ok(PolicyInstance::start(&self.engine, &self.plugin, name, limits)?)
            }
        }
    }

    fn give_back(&self, instance: PolicyInstance) {
        if instance.may_stay() {
            let evicted = self.engine.shelf().lock().put(self.owner, instance);
            drop(evicted);
        }
    }
}

impl Drop for WritePolicy {
    fn drop(&mut self) {
        let instances = self.engine.shelf().lock().clear(self.owner);
        drop(instances);
    }
}

fn lower<'a>(write: &Write<'a>) -> write_policy::Write<'a> {
    match *write {
        Write::Put { key, value, lease, previous } => types::Write::Put(types::Put {
            key,
            value,
            lease: lease.0,
            previous: previous.map(lower_item),
        }),
        Write::Delete { key, previous } => {
            types::Write::Delete(types::Delete { key, previous: lower_item(previous) })
        }
    }
}

fn lower_item(item: &Item) -> types::ItemParam<'_> {
    types::ItemParam {
        key: item.key(),
        value: item.value(),
        create_revision: item.create_revision(),
        mod_revision: item.mod_revision(),
        version: item.version(),
        lease: item.lease().0,
    }
}

fn lift(verdict: write_policy::Verdict, limits: &Limits) -> Result<Verdict, CallError> {
    let (verdict, bytes) = match verdict {
        write_policy::Verdict::Allow => (Verdict::Allow, 0),
        write_policy::Verdict::Refuse(reason) => {
            let bytes = reason.len();
            (Verdict::Refuse(reason), bytes)
        }
        write_policy::Verdict::AllowWith(changes) => {
            if changes.len() > limits.changes {
                return Err(CallError::TooManyChanges { limit: limits.changes });
            }
            let changes: Vec<_> = changes.into_iter().map(lift_change).collect();
            let bytes = changes.iter().map(Change::size_bytes).sum();
            (Verdict::AllowWith(changes), bytes)
        }
    };
    if bytes > limits.result_bytes {
        return Err(CallError::ResultTooLarge { limit_bytes: limits.result_bytes });
    }
    Ok(verdict)
}

fn lift_change(change: types::Change) -> Change {
    match change {
        types::Change::Put(put) => {
            Change::Put { key: put.key, value: put.value, lease: LeaseId(put.lease) }
        }
        types::Change::Delete(key) => Change::Delete { key },
    }
}

impl Change {
    /// Bytes of key and value.
    pub fn size_bytes(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
        }
    }
}
