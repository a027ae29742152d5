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

/// etcd's commands have a word more.
fn without_start(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    arguments
        .enumerate()
        .filter(|(place, word)| *place > 0 || word != "start")
        .map(|(_, word)| word)
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
