//! The only user of wasmtime: compiles plugins, keeps warm instances, enforces the limits of a
//! call, gives a plugin the host functions of its contract over a view it is lent, and keeps the
//! diary of what it did.
//!
//! It knows neither bindings as replicated state nor revisions: the node says which plugin to
//! ask, over which view, and what becomes of the answer. Calls are synchronous and may be made
//! from any thread with the usual two megabytes of stack; compiling takes milliseconds to
//! seconds and belongs on a thread of its own.

mod admission;
mod asked;
mod bound;
mod bounds;
mod calls;
mod compile;
mod component;
mod contract;
mod diary;
mod diary_export;
mod diary_lines;
mod diary_meters;
mod diary_user;
mod engine;
mod error;
mod host;
mod instance;
mod plugin;
mod shelf;
mod ticker;
mod timer;
mod view;

pub use admission::{
    Admission, LockMode, LockPlace, LockRequest, QueueAsked, QueueReadiness, QueuedItem,
};
pub use asked::{Caller, Event, Handled, Outcome, Verdict, Write};
pub use bound::{Bound, BoundOptions, NotExported};
pub use bounds::{BadLimit, Limits};
pub use diary::{Diaries, Diary, Parked};
pub use diary_lines::{Level, Line};
pub use diary_meters::Figures;
pub use engine::{Engine, EngineOptions};
pub use error::{CallError, CompileError, EngineError, Panic};
pub use plugin::{Metadata, Plugin};
pub use timer::thread_cpu_time;
pub use view::{Refused, View};
