//! `portunus proxy` and `portunus gateway`: a way to a cluster for programs without a member beside
//! them. etcd's words for the same, `grpc-proxy start` and `gateway start`, are understood.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::cli::lock_client::options;
use crate::config::{LogConfig, LogFormat, LogOutput};
use crate::{proxy, telemetry};

/// Lead the way to a cluster: connections, failover, shared watches, a prefix for all keys
#[derive(Debug, Parser)]
#[command(name = "portunus proxy", disable_help_subcommand = true)]
struct Proxy {
    #[command(flatten)]
    options: proxy::Options,
}

/// Pass connections on to a member, unopened
#[derive(Debug, Parser)]
#[command(name = "portunus gateway", disable_help_subcommand = true)]
struct Passage {
    #[command(flatten)]
    options: proxy::Gateway,
}

/// What the words after `portunus proxy` may be.
pub fn command() -> clap::Command {
    Proxy::command()
}

/// What the words after `portunus gateway` may be.
pub fn gateway_command() -> clap::Command {
    Passage::command()
}

/// Runs the proxy; `arguments` begin after `proxy`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Proxy { options } = match options("portunus proxy", without_start(arguments)) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let level = if options.debug { "debug" } else { "info" };
    logged("proxy", level, || proxy::run(options))
}

/// Runs the gateway; `arguments` begin after `gateway`.
pub fn run_gateway(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Passage { options } = match options("portunus gateway", without_start(arguments)) {
        Ok(options) => options,
        Err(code) => return code,
    };
    logged("gateway", "info", || proxy::run_gateway(&options))
}

/// etcd's commands have a word more, before the flags or behind them.
fn without_start(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut words: Vec<OsString> = arguments.collect();
    let takes_a_value = |word: &OsString| {
        let word = word.to_string_lossy();
        word.starts_with("--") && !word.contains('=')
    };
    let start = (0..words.len()).find(|place| {
        words[*place] == "start" && (*place == 0 || !takes_a_value(&words[place - 1]))
    });
    if let Some(place) = start {
        words.remove(place);
    }
    words.into_iter()
}

fn logged(name: &str, level: &str, run: impl FnOnce() -> anyhow::Result<ExitCode>) -> ExitCode {
    let log = LogConfig {
        level: level.to_owned(),
        format: LogFormat::Json,
        outputs: vec![LogOutput::Stderr],
    };
    let ended = telemetry::init(&log).map_err(anyhow::Error::from).and_then(|()| run());
    ended.unwrap_or_else(|error| {
        eprintln!("portunus {name}: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::without_start;

    #[test]
    fn etcds_word_is_passed_over_wherever_it_is_no_flags_value() {
        for (given, kept) in [
            ("start --a=b", "--a=b"),
            ("--a=b start", "--a=b"),
            ("--a b start", "--a b"),
            ("--namespace start", "--namespace start"),
            ("start --namespace start", "--namespace start"),
            ("", ""),
        ] {
            let words =
                |text: &str| text.split_whitespace().map(OsString::from).collect::<Vec<_>>();
            let left: Vec<_> = without_start(words(given).into_iter()).collect();
            assert_eq!(left, words(kept), "{given}");
        }
    }
}
