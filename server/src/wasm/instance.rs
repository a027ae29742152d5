//! One started plugin: its store, and the extension point's functions looked up once. It dies
//! with the first call that fails.

use std::sync::Arc;

use wasmtime::component::InstancePre;
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline};

use super::bounds::{CALLS_PER_INSTANCE, INSTANCE_KEPT_BYTES_MAX, Limits};
use super::compile::Plugin;
use super::contract::exports::portunus::plugin::write_policy;
use super::engine::Engine;
use super::error::CallError;
use super::host::Host;
use super::store_view::StoreView;
use super::timer::thread_cpu_time;

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
            StartError::Mismatch(reason) => Self::Trapped { reason, backtrace: String::new() },
        }
    }
}

/// A started plugin that exports a write policy.
pub(super) struct PolicyInstance {
    store: Store<Host>,
    policy: write_policy::Guest,
    calls: u32,
}

impl PolicyInstance {
    /// Starts the plugin, which runs its own initialisers within the limits of a call.
    pub(super) fn start(
        engine: &Engine,
        plugin: &Plugin,
        binding: Arc<str>,
        limits: Limits,
    ) -> Result<Self, StartError> {
        let indices = plugin
            .write_policy()
            .ok_or_else(|| StartError::Mismatch("the plugin exports no write policy".to_owned()))?;
        let mut store = new_store(engine, binding, limits);
        let _running = engine.ticker().running();
        let instance = instantiate(engine, plugin.pre(), &mut store)
            .map_err(|error| StartError::Guest(end(&mut store, &error)))?;
        let policy = indices
            .load(&mut store, &instance)
            .map_err(|error| StartError::Mismatch(format!("{error:#}")))?;
        Ok(Self { store, policy, calls: 0 })
    }

    /// Makes one call with `view` lent to the host functions. After an error the instance must
    /// be dropped.
    pub(super) fn call(
        &mut self,
        engine: &Engine,
        view: &mut dyn StoreView,
        context: write_policy::Context<'_>,
        writes: &[write_policy::Write<'_>],
    ) -> Result<write_policy::Verdict, CallError> {
        self.calls += 1;
        self.store.data_mut().begin_call();
        self.store.set_epoch_deadline(1);
        let lent = Lent::new(&mut self.store, view);
        let _running = engine.ticker().running();
        let verdict = self.policy.call_check(&mut *lent.0, context, writes);
        drop(lent);
        verdict.map_err(|error| end(&mut self.store, &error))
    }

    /// False when it has served long enough, or holds more memory than an idle instance may.
    pub(super) fn may_stay(&self) -> bool {
        self.calls < CALLS_PER_INSTANCE && self.store.data().memory_bytes <= INSTANCE_KEPT_BYTES_MAX
    }
}

/// Empties the view's slot on every way out of a call.
struct Lent<'a>(&'a mut Store<Host>);

impl<'a> Lent<'a> {
    #[allow(unsafe_code, reason = "the guard that upholds the contract of ViewSlot::lend")]
    fn new(store: &'a mut Store<Host>, view: &'a mut dyn StoreView) -> Self {
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

fn new_store(engine: &Engine, binding: Arc<str>, limits: Limits) -> Store<Host> {
    let mut store = Store::new(engine.wasm(), Host::new(binding, limits));
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
