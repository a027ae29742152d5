//! The components that bindings name, compiled and ready to be called. Each member compiles them
//! when a deploy is applied, on a thread of its own; whoever asks before that is told to wait.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::{Arc, OnceLock, mpsc};

use bytes::Bytes;
use parking_lot::Mutex;

use super::applied::Version;
use super::plugin::Named;
use super::shared::Shared;
use crate::effect::{Binding, BindingId, hex};
use crate::machine::State;
use crate::wasm::{
    Admission, Bound, BoundOptions, CallError, Caller, CompileError, Diaries, Engine,
    EngineOptions, Event, Handled, LockPlace, LockRequest, Outcome, Plugin, QueueAsked,
    QueueReadiness, Verdict, View, Write,
};

/// Behind whoever serves clients.
const COMPILER_NICE: i32 = 5;

/// A plugin that can be asked. In the server it is a [`Bound`]; tests have their own.
pub trait Plugged: Send + Sync {
    fn check(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        writes: &[Write<'_>],
    ) -> Result<Verdict, CallError>;

    fn handle(
        &self,
        view: &mut dyn View,
        missed: Option<RangeInclusive<i64>>,
        events: &[Event<'_>],
    ) -> Result<Handled, CallError>;

    fn call(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        function: &str,
        payload: &[u8],
    ) -> Result<Outcome, CallError>;

    fn admit(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        request: &LockRequest<'_>,
        holders: &[LockPlace],
    ) -> Result<Admission, CallError>;

    fn ready(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        queue: &QueueAsked<'_>,
    ) -> Result<QueueReadiness, CallError>;

    /// The functions of its recipe.
    fn functions(&self) -> &[String];
}

impl Plugged for Bound {
    fn check(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        writes: &[Write<'_>],
    ) -> Result<Verdict, CallError> {
        Bound::check(self, view, caller, writes)
    }

    fn handle(
        &self,
        view: &mut dyn View,
        missed: Option<RangeInclusive<i64>>,
        events: &[Event<'_>],
    ) -> Result<Handled, CallError> {
        Bound::handle(self, view, missed, events)
    }

    fn call(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        function: &str,
        payload: &[u8],
    ) -> Result<Outcome, CallError> {
        Bound::call(self, view, caller, function, payload)
    }

    fn admit(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        request: &LockRequest<'_>,
        holders: &[LockPlace],
    ) -> Result<Admission, CallError> {
        Bound::admit(self, view, caller, request, holders)
    }

    fn ready(
        &self,
        view: &mut dyn View,
        caller: Caller<'_>,
        queue: &QueueAsked<'_>,
    ) -> Result<QueueReadiness, CallError> {
        Bound::ready(self, view, caller, queue)
    }

    fn functions(&self) -> &[String] {
        self.plugin().functions()
    }
}

/// Whether a binding's plugin can be asked on this member.
pub enum Readiness {
    Ready(Arc<dyn Plugged>),
    Compiling,
    Broken(Arc<str>),
}

/// A component that was checked, under the digest it is stored by.
#[derive(Clone, Debug)]
pub struct Inspected {
    /// SHA-256 of `component`.
    pub digest: Bytes,
    /// What is to be stored: the file, or the component made of it.
    pub component: Bytes,
    pub plugin: Plugin,
}

/// A binding as it was when what serves it was made.
type Serving = (Arc<Named>, Arc<dyn Plugged>);

/// Compiled plugins by digest, and what serves each binding.
#[derive(Default)]
pub struct Policies {
    engine: OnceLock<Result<Engine, Arc<str>>>,
    compiled: Mutex<HashMap<Bytes, Result<Plugin, Arc<str>>>>,
    bound: Mutex<HashMap<BindingId, Serving>>,
    /// What serves plugins in tests, by their names.
    #[cfg(test)]
    pub stand_ins: Mutex<HashMap<String, Arc<dyn Plugged>>>,
    pub diaries: Diaries,
}

impl Policies {
    /// What serves the binding.
    pub fn of(&self, named: &Arc<Named>) -> Readiness {
        if let Some(bound) = named.bound.get() {
            return Readiness::Ready(Arc::clone(bound));
        }
        let mut all = self.bound.lock();
        let known = all.get(&named.id).filter(|(known, _)| known.binding == named.binding);
        let bound = match known {
            Some((_, bound)) => Arc::clone(bound),
            None => match self.bind(named) {
                Readiness::Ready(bound) => bound,
                other => return other,
            },
        };
        all.insert(named.id.clone(), (Arc::clone(named), Arc::clone(&bound)));
        let _ = named.bound.set(Arc::clone(&bound));
        Readiness::Ready(bound)
    }

    fn bind(&self, named: &Named) -> Readiness {
        let binding = &named.binding;
        #[cfg(test)]
        if let Some(stand_in) = self.stand_ins.lock().get(&binding.plugin) {
            return Readiness::Ready(Arc::clone(stand_in));
        }
        let engine = match self.engine() {
            Ok(engine) => engine,
            Err(why) => return Readiness::Broken(why),
        };
        let plugin = match self.compiled.lock().get(&binding.digest) {
            Some(Ok(plugin)) => plugin.clone(),
            Some(Err(why)) => return Readiness::Broken(Arc::clone(why)),
            None => return Readiness::Compiling,
        };
        let options = BoundOptions {
            plugin: binding.plugin.clone(),
            point: binding.point,
            prefix: binding.prefix.to_vec(),
            configuration: binding.config.to_vec(),
            limits: binding.limits,
            isolation: binding.isolation,
            diary: self.diaries.of(&binding.plugin),
        };
        match Bound::new(engine, &plugin, options) {
            Ok(bound) => Readiness::Ready(Arc::new(bound)),
            Err(error) => Readiness::Broken(error.to_string().into()),
        }
    }

    /// Compiles what bindings of `state` name and nobody has compiled yet, tells after each that
    /// there is news, and lets go of what is gone.
    pub fn follow(&self, state: &State, news: impl Fn()) {
        let registry = state.registry();
        for digest in registry.bindings().map(|binding| &binding.digest) {
            if self.compiled.lock().contains_key(digest) {
                continue;
            }
            let Some(component) = registry.components.get(digest) else { continue };
            let compiled = self.engine().and_then(|engine| {
                engine.compile(component).map_err(|error| error.to_string().into())
            });
            match &compiled {
                Ok(_) => tracing::info!(digest = hex(digest), "a component is compiled"),
                Err(why) => tracing::error!(%why, "a deployed plugin cannot run on this member"),
            }
            self.compiled.lock().insert(digest.clone(), compiled);
            news();
        }
        let ids: HashSet<BindingId> = registry.bindings().map(|binding| binding.id()).collect();
        // Dropped outside the locks: it ends instances.
        let gone: Vec<_> = self.bound.lock().extract_if(|id, _| !ids.contains(id)).collect();
        drop(gone);
        let kept = |digest: &Bytes| registry.components.contains_key(digest);
        self.compiled.lock().retain(|digest, _| kept(digest));
        self.diaries.retain(|plugin| registry.plugins.contains_key(plugin));
    }

    /// Compiles what a user's file holds and keeps it: a deploy need not compile it again here.
    ///
    /// # Errors
    /// It is no plugin that this server can run.
    pub fn inspect(&self, file: &[u8]) -> Result<Inspected, CompileError> {
        let engine = self.engine().map_err(|why| CompileError::Malformed(why.to_string()))?;
        let component = Bytes::from(engine.component_of(file)?.into_owned());
        let plugin = engine.compile(&component)?;
        let digest = Bytes::copy_from_slice(&plugin.digest());
        Ok(Inspected { digest, component, plugin })
    }

    /// Keeps what was inspected, for the deploy that follows.
    pub fn keep(&self, inspected: &Inspected) {
        let plugin = Ok(inspected.plugin.clone());
        self.compiled.lock().entry(inspected.digest.clone()).or_insert(plugin);
    }

    /// Why the binding's plugin cannot run on this member, as far as is known.
    pub fn broken(&self, binding: &Binding) -> Option<String> {
        match self.compiled.lock().get(&binding.digest)? {
            Err(why) => Some(why.to_string()),
            Ok(plugin) if plugin.points().contains(&binding.point) => None,
            Ok(_) => Some(format!("its component does not offer {}", binding.point)),
        }
    }

    /// Made when the first plugin is: a cluster without plugins pays nothing for them.
    fn engine(&self) -> Result<&Engine, Arc<str>> {
        let made = self.engine.get_or_init(|| {
            Engine::new(EngineOptions::default()).map_err(|error| error.to_string().into())
        });
        made.as_ref().map_err(Arc::clone)
    }
}

/// Starts the thread that compiles. It takes the newest of the versions it is sent and ends with
/// their sender.
pub fn start_compiler(shared: &Arc<Shared>) -> mpsc::Sender<Arc<Version>> {
    let (sender, versions) = mpsc::channel::<Arc<Version>>();
    let shared = shared.clone();
    let work = move || {
        if let Err(error) = rustix::process::setpriority_process(None, COMPILER_NICE) {
            tracing::debug!(%error, "priority of the compiler thread not lowered");
        }
        while let Ok(mut version) = versions.recv() {
            while let Ok(newer) = versions.try_recv() {
                version = newer;
            }
            shared.policies.follow(&version.state, || shared.lane.desk.compiled());
        }
    };
    std::thread::Builder::new()
        .name("plugin-compiler".into())
        .spawn(work)
        .expect("a thread can be started");
    sender
}
