//! The only user of wasmtime: compiles plugins, keeps warm instances, enforces the limits of a
//! call, and gives a plugin the host functions of its contract over a view it is lent.
//!
//! It knows neither bindings as replicated state nor revisions: the node says which plugin to
//! ask, over which view, and what becomes of the verdict. Calls are synchronous and may be made
//! from any thread with the usual two megabytes of stack; compiling takes milliseconds to
//! seconds and belongs on a thread of its own.

mod bounds;
mod compile;
mod contract;
mod engine;
mod error;
mod host;
mod instance;
mod policy;
mod shelf;
mod store_view;
mod ticker;
mod timer;

pub use bounds::Limits;
pub use compile::{ExtensionPoint, Plugin};
pub use engine::{Engine, EngineOptions};
pub use error::{CallError, CompileError, EngineError, Panic};
pub use policy::{Binding, Change, NotExported, Verdict, Write, WritePolicy};
pub use store_view::{ReadRefused, StoreView};
