//! Why a command line or an environment was refused. Every text names the flag, the value and
//! what would be right; the process ends with code 2.

use thiserror::Error;

/// A refused configuration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    #[error("unknown flag --{name}{}", suggest(.nearest))]
    UnknownFlag { name: String, nearest: Option<&'static str> },

    #[error("{origin}: not supported: {instead}")]
    Unsupported { origin: String, instead: &'static str },

    #[error("--{name} needs a value; write --{name}=VALUE")]
    MissingValue { name: &'static str },

    #[error("\"{argument}\" is not a flag{}", after_bare(.previous))]
    NotAFlag { argument: String, previous: Option<&'static str> },

    #[error("argument {argument:?} is not valid UTF-8")]
    NotText { argument: std::ffi::OsString },

    /// `origin` is the flag or variable that carried the value.
    #[error("invalid value \"{value}\" for {origin}: {reason}")]
    Value { origin: String, value: String, reason: String },

    /// The config file is there and makes no sense.
    #[error("config file {path}: {reason}")]
    File { path: String, reason: String },

    #[error("config file {path}: unknown key \"{key}\"{}", suggest_key(.nearest))]
    UnknownKey { path: String, key: String, nearest: Option<&'static str> },

    /// Values that are fine alone and contradict each other; texts are etcd's where it has one.
    #[error("{0}")]
    Contradiction(String),
}

fn suggest(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean --{name}?"),
        None => "; see --help".to_owned(),
    }
}

fn suggest_key(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("; did you mean {name}?"),
        None => "; keys are the names of flags, see --help".to_owned(),
    }
}

fn after_bare(previous: &Option<&'static str>) -> String {
    match previous {
        Some(name) => format!("; to set --{name} write --{name}=VALUE"),
        None => "; see --help".to_owned(),
    }
}
