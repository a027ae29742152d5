//! One started plugin: its store, and the functions of the extension point that it serves, looked
//! up once. It dies with the first call that fails.

use wasmtime::component::InstancePre;
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline};

use super::bounds::{CALLS_PER_INSTANCE, INSTANCE_KEPT_BYTES_MAX, Limits};
use super::contract::exports::portunus::plugin::{
    lock_admission, queue_condition, recipe, trigger, write_policy,
};
use super::engine::Engine;
use super::error::CallError;
use super::host::{Desk, Host};
use super::plugin::Indices;
use super::timer::thread_cpu_time;
use super::view::View;

/// Why a plugin did not start.
pub(super) enum StartError {
    /// Its own code failed.
    Guest(CallError),
    /// Its export has another type than the contract says.
    Mismatch(String),
}

impl From<StartError> for CallError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Guest(error) => error,
            StartError::Mismatch(reason) => Self::Malformed { reason },
        }
    }
}

/// The functions that are called.
pub(super) enum Exports {
    WritePolicy(write_policy::Guest),
    Trigger(trigger::Guest),
    Recipe(recipe::Guest),
    LockAdmission(lock_admission::Guest),
    QueueCondition(queue_condition::Guest),
}

/// A started plugin, for one extension point.
pub(super) struct Instance {
    store: Store<Host>,
    exports: Exports,
    calls: u32,
}

impl Instance {
    /// Starts the plugin, which runs its own initialisers within the limits of a call.
    pub(super) fn start(
        engine: &Engine,
        pre: &InstancePre<Host>,
        indices: &Indices,
        desk: Option<Desk>,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let mut store = new_store(engine, desk, limits);
        let _running = engine.ticker().running();
        let instance = instantiate(engine, pre, &mut store)
            .map_err(|error| StartError::Guest(end(&mut store, &error)))?;
        let exports = match indices {
            Indices::WritePolicy(indices) => {
                indices.load(&mut store, &instance).map(Exports::WritePolicy)
            }
            Indices::Trigger(indices) => indices.load(&mut store, &instance).map(Exports::Trigger),
            Indices::Recipe(indices) => indices.load(&mut store, &instance).map(Exports::Recipe),
            Indices::LockAdmission(indices) => {
                indices.load(&mut store, &instance).map(Exports::LockAdmission)
            }
            Indices::QueueCondition(indices) => {
                indices.load(&mut store, &instance).map(Exports::QueueCondition)
            }
        };
        let exports = exports.map_err(|error| StartError::Mismatch(format!("{error:#}")))?;
        Ok(Self { store, exports, calls: 0 })
    }

    /// Makes one call with `view` lent to the host functions. After an error the instance must
    /// be dropped.
    pub(super) fn call<T>(
        &mut self,
        engine: &Engine,
        view: &mut dyn View,
        call: impl FnOnce(&Exports, &mut Store<Host>) -> wasmtime::Result<T>,
    ) -> Result<T, CallError> {
        self.begin();
        let lent = Lent::new(&mut self.store, view);
        let _running = engine.ticker().running();
        let answer = call(&self.exports, &mut *lent.0);
        drop(lent);
        answer.map_err(|error| end(&mut self.store, &error))
    }

    /// The names that a recipe gives its functions; none for another point.
    pub(super) fn functions(&mut self, engine: &Engine) -> Result<Vec<String>, CallError> {
        self.begin();
        let _running = engine.ticker().running();
        let names = match &self.exports {
            Exports::Recipe(recipe) => recipe.call_functions(&mut self.store),
            _ => Ok(Vec::new()),
        };
        names.map_err(|error| end(&mut self.store, &error))
    }

    fn begin(&mut self) {
        self.calls += 1;
        self.store.data_mut().begin_call();
        self.store.set_epoch_deadline(1);
    }

    /// False when it has served long enough, or holds more memory than an idle instance may.
    pub(super) fn may_stay(&self) -> bool {
        self.calls < CALLS_PER_INSTANCE && self.memory_bytes() <= INSTANCE_KEPT_BYTES_MAX
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.store.data().memory_bytes
    }

    /// CPU time of the last call, as far as its ticks tell.
    pub(super) fn ticked_cpu(&self) -> Option<std::time::Duration> {
        self.store.data().timer.used(thread_cpu_time)
    }
}

/// Empties the view's slot on every way out of a call.
struct Lent<'a>(&'a mut Store<Host>);

impl<'a> Lent<'a> {
    #[allow(unsafe_code, reason = "the guard that upholds the contract of ViewSlot::lend")]
    fn new(store: &'a mut Store<Host>, view: &'a mut dyn View) -> Self {
        // SAFETY: `view` stays borrowed for as long as the guard lives, and dropping the guard
        // empties the slot; its only user does not leave the thread in between.
        unsafe { store.data_mut().view.lend(view) };
        Self(store)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.0.data_mut().view.clear();
    }
}

fn new_store(engine: &Engine, desk: Option<Desk>, limits: Limits) -> Store<Host> {
    let mut store = Store::new(engine.wasm(), Host::new(desk, limits));
    store.limiter(|host| host);
    store.set_hostcall_fuel(limits.hand_over_bytes());
    store.epoch_deadline_callback(|mut context| {
        let host = context.data_mut();
        let limit = host.limits.call_time;
        if host.timer.tick(limit, thread_cpu_time()) {
            return Err(CallError::TimedOut { limit }.into());
        }
        Ok(UpdateDeadline::Continue(1))
    });
    store.set_epoch_deadline(1);
    store
}

/// Instantiates, and makes room on the shelf when all slots are taken.
fn instantiate(
    engine: &Engine,
    pre: &InstancePre<Host>,
    store: &mut Store<Host>,
) -> wasmtime::Result<wasmtime::component::Instance> {
    loop {
        let error = match pre.instantiate(&mut *store) {
            Ok(instance) => return Ok(instance),
            Err(error) => error,
        };
        if error.downcast_ref::<PoolConcurrencyLimitError>().is_none() {
            return Err(error);
        }
        let Some(evicted) = engine.shelf().lock().evict() else {
            return Err(CallError::NoRoom.into());
        };
        drop(evicted);
    }
}

fn end(store: &mut Store<Host>, error: &wasmtime::Error) -> CallError {
    let host = store.data_mut();
    CallError::from_engine(error, host.panic.take(), host.limits.hand_over_bytes())
}
