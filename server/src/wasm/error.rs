//! Why a plugin was not accepted, and why a call of it ended without an answer. Each breach of a
//! limit has a name. `Display` is one line for whoever made the write; the backtrace for the
//! plugin's author is kept apart.

use std::time::Duration;

use wasmtime::{Trap, WasmBacktrace};

use super::bounds::{ERROR_TEXT_BYTES_MAX, METRIC_NAME_BYTES_MAX};
use super::contract::VERSION;
use super::view::Refused;

/// The engine could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("cannot set up the wasm engine: {0}")]
    Setup(String),
    #[error("cannot start the wasm ticker thread")]
    Ticker(#[source] std::io::Error),
}

/// The bytes are not a plugin that this server can run. Nothing was kept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("component has {bytes} bytes, more than {limit_bytes}: build it in release mode")]
    TooLarge { bytes: usize, limit_bytes: usize },
    #[error("not a wasm file: deploy what `portunus plugin build` made")]
    NotWasm,
    #[error(
        "a core wasm module that does not say what contract it follows: build it with the SDK and \
         `portunus plugin build`"
    )]
    CoreModule,
    #[error("a core wasm module of which no component can be made: {0}")]
    NotEncodable(String),
    #[error("malformed component: {0}")]
    Malformed(String),
    #[error("needs more than an instance has room for: {0}")]
    NoRoom(String),
    #[error("imports {name}, which the server does not offer: only portunus:plugin interfaces")]
    ForeignImport { name: String },
    #[error("{name} is of another version than this server's contract {VERSION}: use its SDK")]
    WrongContract { name: String },
    #[error("exports {name}, an extension point that this server does not know")]
    UnknownExtensionPoint { name: String },
    #[error("exports no extension point: mark a function with an attribute as #[write_policy]")]
    NoExtensionPoint,
    #[error("does not fit contract {VERSION}: {0}")]
    Mismatch(String),
    #[error("cannot be started: {0}")]
    Start(CallError),
    #[error("offers recipe functions that cannot be called: {0}")]
    BadFunctions(String),
}

/// A call ended without an answer. The instance it ran in is gone; the next call gets another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("plugin ran longer than {limit:?}")]
    TimedOut { limit: Duration },
    #[error("plugin needs more than {limit_bytes} bytes of memory")]
    OutOfMemory { limit_bytes: usize },
    #[error("plugin needs tables of more than {limit} entries")]
    TableTooLarge { limit: usize },
    #[error("plugin used up its stack: it recurses too deeply")]
    StackOverflow { backtrace: String },
    #[error("plugin panicked: {0}")]
    Panicked(Box<Panic>),
    #[error("plugin trapped: {reason}")]
    Trapped { reason: String, backtrace: String },
    #[error("plugin answers what its contract does not allow: {reason}")]
    Malformed { reason: String },
    #[error("plugin read more than {limit} keys in one call")]
    TooManyReads { limit: usize },
    #[error("plugin read more than {limit_bytes} bytes in one call")]
    ReadTooLarge { limit_bytes: usize },
    #[error("plugin wrote more than {limit} keys in one call")]
    TooManyWrites { limit: usize },
    #[error("plugin wrote more than {limit_bytes} bytes in one call")]
    WriteTooLarge { limit_bytes: usize },
    #[error("plugin may not do this: {0}")]
    Refused(#[from] Refused),
    #[error("plugin handed over more than {limit_bytes} bytes at once")]
    ResultTooLarge { limit_bytes: usize },
    #[error("plugin asked for more than {limit_bytes} random bytes at once")]
    TooMuchRandom { limit_bytes: usize },
    #[error("plugin logged more than {limit_bytes} bytes in one call")]
    LogTooLarge { limit_bytes: usize },
    #[error(
        "plugin names a metric {name:?}: use at most {METRIC_NAME_BYTES_MAX} letters, digits and \
         underscores, and no digit first"
    )]
    BadMetricName { name: String },
    #[error("plugin has more than {limit} metrics of its own")]
    TooManyMetrics { limit: usize },
    #[error("no room for another plugin instance")]
    NoRoom,
}

/// What a plugin said when it panicked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Panic {
    pub text: String,
    /// `file:line:column` in the plugin's source.
    pub location: String,
    pub backtrace: String,
}

impl std::fmt::Display for Panic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at {}", self.text, self.location)
    }
}

impl CallError {
    /// A short name of the kind of failure, for metrics and reports.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TimedOut { .. } => "timed_out",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::TableTooLarge { .. } => "table_too_large",
            Self::StackOverflow { .. } => "stack_overflow",
            Self::Panicked(_) => "panicked",
            Self::Trapped { .. } => "trapped",
            Self::Malformed { .. } => "malformed",
            Self::TooManyReads { .. } => "too_many_reads",
            Self::ReadTooLarge { .. } => "read_too_large",
            Self::TooManyWrites { .. } => "too_many_writes",
            Self::WriteTooLarge { .. } => "write_too_large",
            Self::Refused(_) => "refused",
            Self::ResultTooLarge { .. } => "result_too_large",
            Self::TooMuchRandom { .. } => "too_much_random",
            Self::LogTooLarge { .. } => "log_too_large",
            Self::BadMetricName { .. } => "bad_metric_name",
            Self::TooManyMetrics { .. } => "too_many_metrics",
            Self::NoRoom => "no_room",
        }
    }

    /// The guest's functions at the time, innermost first, for the plugin's author.
    pub fn backtrace(&self) -> Option<&str> {
        match self {
            Self::StackOverflow { backtrace } | Self::Trapped { backtrace, .. } => Some(backtrace),
            Self::Panicked(panic) => Some(&panic.backtrace),
            _ => None,
        }
    }

    /// Gives an error of the engine its name. `panic` is what the guest reported before.
    pub(super) fn from_engine(
        error: &wasmtime::Error,
        panic: Option<Panic>,
        hand_over_bytes: usize,
    ) -> Self {
        if let Some(own) = error.downcast_ref::<CallError>() {
            return own.clone();
        }
        let backtrace = error.downcast_ref::<WasmBacktrace>().map(frames).unwrap_or_default();
        if let Some(panic) = panic {
            return Self::Panicked(Box::new(Panic { backtrace, ..panic }));
        }
        let root = error.root_cause().to_string();
        match error.downcast_ref::<Trap>() {
            Some(Trap::StackOverflow) => Self::StackOverflow { backtrace },
            Some(_) => {
                let reason = root.strip_prefix("wasm trap: ").unwrap_or(&root);
                Self::Trapped { reason: cut(reason).to_owned(), backtrace }
            }
            // The engine's error has no public type; the hostile tests hold this text to it.
            None if root.contains("fuel allocated for hostcalls") => {
                Self::ResultTooLarge { limit_bytes: hand_over_bytes }
            }
            // The guest's code ran well, and what it passed is not what its type says.
            None => Self::Malformed { reason: cut(&root).to_owned() },
        }
    }
}

/// One line for each frame, names demangled.
fn frames(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    // The first line announces the frames.
    text.split_once('\n').map_or_else(String::new, |(_, frames)| frames.to_owned())
}

/// At most [`ERROR_TEXT_BYTES_MAX`] bytes of `text`.
pub(super) fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(ERROR_TEXT_BYTES_MAX)]
}
