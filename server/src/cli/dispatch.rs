//! From the first word of the command line to the command it names.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{bench, describe, lock, output, plugin, proxy, queue, recipe, serve, snapshot};
use crate::config::nearest::nearest;

/// The version of etcd whose API, flags and metrics this server offers.
pub const ETCD_VERSION: &str = "3.7.1";

/// Arguments that were refused.
pub const REFUSED: u8 = 2;

const COMMANDS: [&str; 13] = [
    "bench",
    "completion",
    "gateway",
    "grpc-proxy",
    "lock",
    "man",
    "plugin",
    "proxy",
    "queue",
    "recipe",
    "snapshot",
    "version",
    "help",
];

/// Runs what the arguments after the program's name ask for.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    let command = arguments.peek().and_then(|word| word.to_str()).filter(|w| !w.starts_with('-'));
    let Some(command) = command.map(str::to_owned) else {
        return serve::run(arguments);
    };
    arguments.next();
    match command.as_str() {
        "bench" => bench::run(arguments),
        "completion" => describe::completion(arguments),
        "gateway" => proxy::run_gateway(arguments),
        "grpc-proxy" | "proxy" => proxy::run(arguments),
        "lock" => lock::run(arguments),
        "man" => describe::man(arguments),
        "plugin" => plugin::run(arguments),
        "queue" => queue::run(arguments),
        "recipe" => recipe::run(arguments),
        "snapshot" => snapshot::run(arguments),
        "version" => print_version(),
        "help" => serve::print_help(),
        _ => refuse(&command),
    }
}

fn refuse(command: &str) -> ExitCode {
    match nearest(command, COMMANDS) {
        Some(known) => eprintln!("portunus: unknown command \"{command}\"; did you mean {known}?"),
        None => eprintln!("portunus: unknown command \"{command}\"; see portunus help"),
    }
    ExitCode::from(REFUSED)
}

/// Our version, and etcd's in the form that its tools look for.
pub fn print_version() -> ExitCode {
    finish(output::print(&format!(
        "portunus Version: {}\netcd Version: {ETCD_VERSION}\n",
        env!("CARGO_PKG_VERSION")
    )))
}

/// The exit code for data that was, or was not, written.
pub fn finish(written: std::io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portunus: cannot write to stdout: {error}");
            ExitCode::FAILURE
        }
    }
}
