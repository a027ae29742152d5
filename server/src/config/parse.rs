//! From a flag's text to its value: one function per kind of value. Each answers with what would
//! have been right.

use std::time::Duration;

use crate::config::duration;
use crate::config::options::{AutoCompaction, LogOutput};
use crate::limits::LEASE_CHECKPOINT_INTERVAL_MIN;

/// Levels as etcd names them, with the filter they stand for here.
const LEVELS: &[(&str, &str)] = &[
    ("trace", "trace"),
    ("debug", "debug"),
    ("info", "info"),
    ("warn", "warn"),
    ("error", "error"),
    ("dpanic", "error"),
    ("panic", "error"),
    ("fatal", "error"),
];

/// Go's booleans.
pub fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

/// etcd's gates. What most of them switch on is always on here, or not needed.
const GATES: [&str; 11] = [
    "AllAlpha",
    "AllBeta",
    "CompactHashCheck",
    "FastLeaseKeepAlive",
    "InitialCorruptCheck",
    "LeaseCheckpoint",
    "LeaseCheckpointPersist",
    "PriorityRequest",
    "SetMemberLocalAddr",
    "StopGRPCServiceOnDefrag",
    "TxnModeWriteWithSharedBuffer",
];

/// `Name=true,Name=false`; etcd's words for what is wrong.
pub fn gates(text: &str) -> Result<Vec<(&'static str, bool)>, String> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let gate = |pair: &str| {
        let Some((name, on)) = pair.split_once('=') else {
            return Err(format!("missing bool value for {pair}"));
        };
        let known = GATES.iter().find(|known| **known == name.trim());
        let known = known.ok_or_else(|| format!("unrecognized feature gate: {name}"))?;
        let on = boolean(on.trim());
        Ok((*known, on.map_err(|_| format!("invalid value of {pair}: expected true or false"))?))
    };
    pairs.map(gate).collect()
}

/// Whole milliseconds above zero.
pub fn millis(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(0) => Err("must be above 0 milliseconds".to_owned()),
        Ok(millis) => Ok(Duration::from_millis(millis.into())),
        Err(_) => Err("expected milliseconds without a unit, such as 100".to_owned()),
    }
}

pub fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number that is not negative".to_owned())
}

/// A count that zero would make useless.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number above 0".to_owned()),
        Ok(count) => Ok(count),
    }
}

/// Where something listens that is dialled by us.
pub fn host_and_port(text: &str) -> Result<String, String> {
    let expected = || Err("expected host:port".to_owned());
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            if text.parse::<http::uri::Authority>().is_err() {
                return expected();
            }
            Ok(text.to_owned())
        }
        _ => expected(),
    }
}

/// A share in millionths.
pub fn of_a_million(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(share @ 0..=1_000_000) => Ok(share),
        _ => Err("expected how many of a million, 0 to 1000000".to_owned()),
    }
}

/// Validity of a certificate.
pub fn years(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(years @ 1..=1000) => Ok(years),
        _ => Err("expected years, 1 to 1000".to_owned()),
    }
}

/// The costs that bcrypt knows.
pub fn bcrypt_cost(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(cost @ 4..=31) => Ok(cost),
        _ => Err("expected a cost from 4 to 31".to_owned()),
    }
}

pub fn streams(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(streams @ 1..) => Ok(streams),
        _ => Err("expected a number from 1 to 4294967295".to_owned()),
    }
}

/// What stands between commas.
pub fn list(text: &str) -> Vec<String> {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

pub fn signed_bytes(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected a whole number of bytes".to_owned())
}

pub fn duration(text: &str) -> Result<Duration, String> {
    duration::parse(text)
}

/// How often leases are checkpointed.
pub fn checkpoint_interval(text: &str) -> Result<Duration, String> {
    match duration::parse(text)? {
        short if short < LEASE_CHECKPOINT_INTERVAL_MIN => Err("expected 1s or more".to_owned()),
        interval => Ok(interval),
    }
}

pub fn choice(text: &str, choices: &[&str]) -> Result<(), String> {
    match choices.contains(&text) {
        true => Ok(()),
        false => Err(format!("expected {}", choices.join(" or "))),
    }
}

/// A member's name stands in `--initial-cluster`, so it cannot hold that flag's separators.
pub fn name(text: &str) -> Result<String, String> {
    match text.is_empty() || text.contains([',', '=']) {
        true => Err("a name is not empty and has neither \",\" nor \"=\"".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// How much to keep, in the unit of `mode`; `None` when zero.
pub fn retention(mode: &str, text: &str) -> Result<Option<AutoCompaction>, String> {
    if mode == "revision" {
        return match text.parse::<i64>() {
            Ok(0) => Ok(None),
            Ok(kept @ 1..) => Ok(Some(AutoCompaction::Revision(kept))),
            _ => {
                Err("expected a number of revisions, as --auto-compaction-mode is revision"
                    .to_owned())
            }
        };
    }
    let kept = match text.parse::<u32>() {
        Ok(hours) => Duration::from_secs(3600) * hours,
        Err(_) => duration::parse(text).map_err(|reason| format!("{reason}, or hours"))?,
    };
    Ok((!kept.is_zero()).then_some(AutoCompaction::Periodic(kept)))
}

/// A level of etcd, or filter directives.
pub fn log_level(text: &str) -> Result<String, String> {
    if let Some((_, level)) = LEVELS.iter().find(|(name, _)| *name == text) {
        return Ok((*level).to_owned());
    }
    let expected = "expected debug, info, warn, error, panic or fatal, \
                    or filters such as info,portunus::raft=debug";
    if !text.contains('=') {
        return Err(expected.to_owned());
    }
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err(expected.to_owned()),
    }
}

pub fn log_outputs(text: &str) -> Result<Vec<LogOutput>, String> {
    let mut outputs = Vec::new();
    for name in text.split(',').map(str::trim) {
        let output = match name {
            // systemd takes stderr into its journal.
            "default" | "stderr" | "systemd/journal" => LogOutput::Stderr,
            "stdout" => LogOutput::Stdout,
            "" => return Err("expected stderr, stdout, default, or paths of files".to_owned()),
            path => LogOutput::File(path.into()),
        };
        if !outputs.contains(&output) {
            outputs.push(output);
        }
    }
    Ok(outputs)
}

/// Origins of `--cors`, without the slash that some write behind them.
pub fn origins(text: &str) -> Vec<String> {
    let origins = text.split(',').map(|origin| origin.trim().trim_end_matches('/'));
    origins.filter(|origin| !origin.is_empty()).map(str::to_owned).collect()
}
