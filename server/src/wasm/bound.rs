//! A plugin bound to an extension point, as the node calls it: the way of a call through a warm
//! instance, and what it used.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wasmtime::Store;

use super::admission::{
    Admission, LockPlace, LockRequest, QueueAsked, QueueReadiness, lower_place, lower_queue,
    lower_request,
};
use super::asked::{
    Answer, Caller, Event, Handled, Outcome, Verdict, Write, lower_event, lower_write,
};
use super::bounds::{Limits, TICK};
use super::contract::exports::portunus::plugin::trigger::Missed;
use super::contract::portunus::plugin::types::Context;
use super::diary::Diary;
use super::engine::Engine;
use super::error::CallError;
use super::host::{Desk, Host};
use super::instance::{Exports, Instance};
use super::plugin::Plugin;
use super::shelf::Owner;
use super::view::View;
use crate::effect::{Isolation, PluginLimits, Point};

/// What a plugin is told about its binding, and what it may use.
#[derive(Clone, Debug)]
pub struct BoundOptions {
    /// The name under which the plugin is deployed.
    pub plugin: String,
    pub point: Point,
    pub prefix: Vec<u8>,
    pub configuration: Vec<u8>,
    /// Capped by [`Limits::MAX`].
    pub limits: PluginLimits,
    pub isolation: Isolation,
    /// Where its words and figures go.
    pub diary: Arc<Diary>,
}

/// The plugin does not export the extension point it is to be bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plugin exports no {0}")]
pub struct NotExported(pub Point);

/// A plugin under a binding, with its warm instances. Shared by all threads that call it.
#[derive(Debug)]
pub struct Bound {
    engine: Engine,
    plugin: Plugin,
    name: String,
    prefix: Vec<u8>,
    configuration: Vec<u8>,
    limits: Limits,
    isolation: Isolation,
    desk: Desk,
    owner: Owner,
    cpu_nanos: AtomicU64,
}

impl Bound {
    /// Binds `plugin`; starts nothing yet.
    pub fn new(
        engine: &Engine,
        plugin: &Plugin,
        options: BoundOptions,
    ) -> Result<Self, NotExported> {
        let BoundOptions { plugin: name, point, prefix, configuration, isolation, diary, .. } =
            options;
        if plugin.indices(point).is_none() {
            return Err(NotExported(point));
        }
        Ok(Self {
            engine: engine.clone(),
            plugin: plugin.clone(),
            name,
            prefix,
            configuration,
            limits: Limits::of(&options.limits),
            isolation,
            desk: Desk { diary, point },
            owner: engine.shelf().lock().join(),
            cpu_nanos: AtomicU64::new(0),
        })
    }

    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    pub fn point(&self) -> Point {
        self.desk.point
    }

    pub fn diary(&self) -> &Arc<Diary> {
        &self.desk.diary
    }

    /// CPU time that its calls have used. For calls of a few milliseconds it is their time on
    /// the clock, which costs less to ask and is never less.
    pub fn cpu_used(&self) -> Duration {
        Duration::from_nanos(self.cpu_nanos.load(Ordering::Relaxed))
    }

    /// Asks a write policy about `writes`, on this thread. Less than a microsecond for a policy
    /// that does little, at most the binding's time limit for one that does not end. What it
    /// wrote to `view` counts only with [`Verdict::Allow`].
    pub fn check(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        writes: &[Write<'_>],
    ) -> Result<Verdict, CallError> {
        let writes: Vec<_> = writes.iter().map(lower_write).collect();
        let context = self.context(caller);
        self.run(view, |exports, store| match exports {
            Exports::WritePolicy(policy) => policy.call_check(store, context, &writes),
            _ => Err(other_point()),
        })
    }

    /// Tells a trigger `events`, and which revisions before them are lost. What it wrote to
    /// `view` counts only with [`Handled::Done`].
    pub fn handle(
        &self,
        view: &mut dyn View,
        missed: Option<RangeInclusive<i64>>,
        events: &[Event<'_>],
    ) -> Result<Handled, CallError> {
        let events: Vec<_> = events.iter().map(lower_event).collect();
        let missed = missed.map(|lost| Missed { first: *lost.start(), last: *lost.end() });
        let context = self.context(Caller::default());
        self.run(view, |exports, store| match exports {
            Exports::Trigger(trigger) => trigger.call_handle(store, context, missed, &events),
            _ => Err(other_point()),
        })
    }

    /// Calls a recipe's function. One that the plugin did not name when it was compiled is
    /// unknown without asking. What it wrote to `view` counts only with [`Outcome::Done`].
    pub fn call(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        function: &str,
        payload: &[u8],
    ) -> Result<Outcome, CallError> {
        if !self.plugin.functions().iter().any(|known| known == function) {
            return Ok(Outcome::UnknownFunction);
        }
        let context = self.context(caller);
        self.run(view, |exports, store| match exports {
            Exports::Recipe(recipe) => recipe.call_call(store, context, function, payload),
            _ => Err(other_point()),
        })
    }

    /// Asks a lock admission about `request`, beside the lock's `holders` in the order of their
    /// tokens. What it wrote to `view` counts only with [`Admission::Admit`].
    pub fn admit(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        request: &LockRequest<'_>,
        holders: &[LockPlace],
    ) -> Result<Admission, CallError> {
        let holders: Vec<_> = holders.iter().map(lower_place).collect();
        let request = lower_request(request);
        let context = self.context(caller);
        self.run(view, |exports, store| match exports {
            Exports::LockAdmission(admission) => {
                admission.call_admit(store, context, request, &holders)
            }
            _ => Err(other_point()),
        })
    }

    /// Asks a queue condition what may leave. What it wrote to `view` counts only with
    /// [`QueueReadiness::Ready`] and [`QueueReadiness::Items`].
    pub fn ready(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        queue: &QueueAsked<'_>,
    ) -> Result<QueueReadiness, CallError> {
        let queue = lower_queue(queue);
        let context = self.context(caller);
        self.run(view, |exports, store| match exports {
            Exports::QueueCondition(condition) => condition.call_check(store, context, queue),
            _ => Err(other_point()),
        })
    }

    fn context<'a>(&'a self, caller: Caller<'a>) -> Context<'a> {
        Context {
            binding: &self.name,
            prefix: &self.prefix,
            caller: caller.user,
            configuration: &self.configuration,
        }
    }

    /// Makes the call and writes down what it took.
    fn run<R, A: Answer + From<R>>(
        &self,
        view: &mut dyn View,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<R>,
    ) -> Result<A, CallError> {
        let begun = self.engine.now();
        let mut used = Used::default();
        let answer = self.ask(view, call, &mut used);
        let answer = answer.and_then(|answer| A::from(answer).within(&self.limits));
        let time = self.engine.now().since(begun);
        let cpu = used.ticked_cpu.map_or(time, |cpu| cpu + TICK.min(time));
        self.cpu_nanos.fetch_add(cpu.as_nanos() as u64, Ordering::Relaxed);
        let Desk { diary, point } = &self.desk;
        diary.meters(*point).called(time, used.memory_bytes);
        match &answer {
            Ok(answer) if answer.is_refusal() => diary.meters(*point).refused(),
            Ok(_) => {}
            Err(error) => diary.failed(*point, view.now_ms(), error),
        }
        answer
    }

    fn ask<R>(
        &self,
        view: &mut dyn View,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<R>,
        used: &mut Used,
    ) -> Result<R, CallError> {
        let mut instance = self.instance()?;
        let answer = instance.call(&self.engine, view, call);
        used.memory_bytes = instance.memory_bytes();
        used.ticked_cpu = instance.ticked_cpu();
        if answer.is_ok() && self.isolation == Isolation::Warm && instance.may_stay() {
            let evicted = self.engine.shelf().lock().put(self.owner, instance);
            drop(evicted);
        }
        answer
    }

    fn instance(&self) -> Result<Instance, CallError> {
        // In a statement of its own, so that the lock is gone when an instance is started.
        let idle = match self.isolation {
            Isolation::Warm => self.engine.shelf().lock().take(self.owner),
            Isolation::Fresh => None,
        };
        if let Some(instance) = idle {
            return Ok(instance);
        }
        let indices = self.plugin.indices(self.desk.point).expect("looked at when it was bound");
        let desk = Some(self.desk.clone());
        Ok(Instance::start(&self.engine, self.plugin.pre(), indices, desk, self.limits)?)
    }
}

/// What a call took besides time.
#[derive(Default)]
struct Used {
    memory_bytes: usize,
    ticked_cpu: Option<Duration>,
}

/// The node called a function of another extension point than it bound.
fn other_point() -> wasmtime::Error {
    CallError::Malformed { reason: "it is bound to another extension point".to_owned() }.into()
}

impl Drop for Bound {
    fn drop(&mut self) {
        let instances = self.engine.shelf().lock().leave(self.owner);
        drop(instances);
    }
}
