//! The wasm engine of the process: its settings, the linker that offers the host functions, the
//! ticker, and the shelf of warm instances that all bindings share.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::sync::Arc;

use parking_lot::Mutex;
use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::bounds::{
    BACKTRACE_FRAMES_MAX, CALLS_AT_ONCE_MAX, INSTANCES_IDLE_DEFAULT, Limits, STACK_BYTES_MAX,
    TABLE_ENTRIES_MAX,
};

use super::contract::AllPoints;
use super::error::{CompileError, EngineError};
use super::host::Host;
use super::instance::Instance;
use super::plugin::Plugin;
use super::shelf::Shelf;
use super::ticker::Ticker;
use super::{compile, component};
use crate::clock::{Clock, Tick};

/// How much the engine keeps.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Warm instances over all bindings. Each costs some tens of kilobytes of memory, at most
    /// two megabytes.
    pub instances_idle_max: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { instances_idle_max: INSTANCES_IDLE_DEFAULT }
    }
}

/// Compiles plugins and runs their calls. Cloning shares it; there is one in a process.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    // The shelf goes before the engine, whose memory its instances use.
    shelf: Mutex<Shelf<Instance>>,
    ticker: Ticker,
    linker: Linker<Host>,
    wasm: wasmtime::Engine,
    compiling: Mutex<()>,
    clock: Clock,
}

impl Engine {
    /// Reserves address space for the instances, and starts the ticker thread.
    pub fn new(options: EngineOptions) -> Result<Self, EngineError> {
        let setup = |error: wasmtime::Error| EngineError::Setup(format!("{error:#}"));
        let wasm = wasmtime::Engine::new(&config(options)).map_err(setup)?;
        let mut linker = Linker::new(&wasm);
        AllPoints::add_to_linker::<_, HasSelf<_>>(&mut linker, |host| host).map_err(setup)?;
        let ticker = Ticker::start(wasm.clone()).map_err(EngineError::Ticker)?;
        Ok(Self(Arc::new(Inner {
            shelf: Mutex::new(Shelf::new(options.instances_idle_max)),
            ticker,
            linker,
            wasm,
            compiling: Mutex::new(()),
            clock: Clock::system(),
        })))
    }

    /// What a user's file holds as a component, which is what is to be stored: itself, or what
    /// becomes of a core module that says what contract it follows. Takes milliseconds.
    pub fn component_of<'a>(&self, file: &'a [u8]) -> Result<Cow<'a, [u8]>, CompileError> {
        component::component_of(self, file)
    }

    /// Checks and compiles a component or what [`Engine::component_of`] can make one of, and
    /// starts it once to see that it can be. Takes milliseconds to seconds of CPU on the calling
    /// thread, which should be none that serves requests; one compilation runs at a time.
    pub fn compile(&self, component: &[u8]) -> Result<Plugin, CompileError> {
        let _one = self.0.compiling.lock();
        compile::compile(self, component)
    }

    /// Warm instances at hand, over all bindings.
    pub fn instances_idle(&self) -> usize {
        self.0.shelf.lock().len()
    }

    pub(super) fn wasm(&self) -> &wasmtime::Engine {
        &self.0.wasm
    }

    pub(super) fn linker(&self) -> &Linker<Host> {
        &self.0.linker
    }

    pub(super) fn ticker(&self) -> &Ticker {
        &self.0.ticker
    }

    pub(super) fn shelf(&self) -> &Mutex<Shelf<Instance>> {
        &self.0.shelf
    }

    pub(super) fn now(&self) -> Tick {
        self.0.clock.now()
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("instances_idle", &self.instances_idle()).finish()
    }
}

/// Deterministic code, checked for time, that can neither grow nor recurse beyond its limits.
fn config(options: EngineOptions) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false)
        .max_wasm_stack(STACK_BYTES_MAX)
        .wasm_backtrace_max_frames(NonZeroUsize::new(BACKTRACE_FRAMES_MAX))
        // A compilation takes one core, however large the machine.
        .parallel_compilation(false)
        // One slot is what an instance may have: the reservation stays in the low gigabytes.
        .memory_reservation(Limits::MAX.memory_bytes as u64)
        .memory_guard_size(64 * 1024)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(slots(options)));
    config
}

/// Address space for the idle instances and for those in a call. Only what they touch is memory.
fn slots(options: EngineOptions) -> PoolingAllocationConfig {
    let instances = u32::try_from(options.instances_idle_max + CALLS_AT_ONCE_MAX)
        .expect("instances are counted in thousands at most");
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_component_instances(instances)
        // A component is its module, and shims for the functions it imports.
        .total_core_instances(instances * 4)
        .max_core_instances_per_component(8)
        .total_memories(instances)
        .max_memories_per_component(1)
        .total_tables(instances * 2)
        .max_tables_per_component(4)
        .max_memory_size(Limits::MAX.memory_bytes)
        .table_elements(TABLE_ENTRIES_MAX)
        .max_unused_warm_slots(16);
    slots
}
