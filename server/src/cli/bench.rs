//! `portunus bench`: parses its options and prints its report.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::bench;
use crate::cli::dispatch::{REFUSED, finish};
use crate::cli::output;

/// Measure any server that speaks etcd v3
#[derive(Debug, Parser)]
#[command(name = "portunus bench", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: bench::Command,
}

/// What the words after `portunus bench` may be.
pub fn command() -> clap::Command {
    <Options as clap::CommandFactory>::command()
}

/// Runs one measurement; `arguments` begin after `bench`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("portunus bench")).chain(arguments);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            // Help is an "error" for clap, and goes to stdout with code 0.
            let code = if error.use_stderr() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    match bench::run(&options.command) {
        Ok(text) => finish(output::print(&text)),
        Err(error) => {
            eprintln!("portunus bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}
