//! `portunus snapshot`: saves a member's data to a file in etcd's form, tells what such a file
//! holds, and makes a member of a new cluster from one, be it ours or an etcd's.

mod print;
mod restore;
mod save;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::backup;
use crate::cli::lock_client::options;
use crate::cli::output;
use print::Form;

/// Save, look at and restore snapshots; the files are etcd's
#[derive(Debug, Parser)]
#[command(name = "portunus snapshot", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Save what a member holds to a file
    Save(save::Save),
    /// Check a file and tell its hash, revision, keys and size
    Status(Status),
    /// Make the data directory of a member of a new cluster from a file
    Restore(restore::Restore),
}

/// What to look at.
#[derive(Debug, Args)]
struct Status {
    /// The snapshot
    file: PathBuf,
    /// How to print it
    #[arg(short, long, value_enum, default_value = "simple")]
    write_out: Form,
}

/// Runs one command; `arguments` begin after `snapshot`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options: Options = match options("portunus snapshot", arguments) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let ended = match options.command {
        Command::Save(save) => save::run(save),
        Command::Status(status) => show(&status),
        Command::Restore(restore) => restore::run(restore),
    };
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portunus snapshot: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn show(options: &Status) -> anyhow::Result<ExitCode> {
    let file = backup::open_checked(&options.file)?;
    let status = backup::status(&file)?;
    output::print(&print::status(&status, options.write_out))?;
    Ok(ExitCode::SUCCESS)
}
