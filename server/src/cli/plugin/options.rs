//! The subcommands and where each leads.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::{blame, build, deploy, explain, lifecycle, logs, new, show, status};
use crate::cli::dispatch::{REFUSED, finish};
use crate::cli::{output, recipe};

/// Make, deploy and watch over plugins
#[derive(Debug, Parser)]
#[command(name = "portunus plugin", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write a crate to begin with: it builds, passes its tests and deploys as it is
    New(new::New),
    /// Build a crate into a component
    Build(build::Build),
    /// Run a crate's tests, natively
    Test(build::Test),
    /// Put plugins in place; a name that exists gets a new generation
    Deploy(Box<deploy::Deploy>),
    /// Show what is deployed
    List(show::List),
    /// Show what a component offers, deployed or not
    Inspect(show::Inspect),
    /// Show how plugins fare
    Status(status::Options),
    /// Print what a plugin says
    Logs(logs::Logs),
    /// Run a function of a plugin's recipe
    Call(recipe::Call),
    /// Ask the policies about writes, without writing
    Explain(explain::Explain),
    /// Go back to an earlier generation
    Rollback(lifecycle::Rollback),
    /// Let a plugin decide again
    Enable(lifecycle::Enable),
    /// Ask a plugin no more, without forgetting it
    Disable(lifecycle::Disable),
    /// Take a plugin away; its prefixes are written freely from then on
    Remove(lifecycle::Remove),
    /// Let a paused trigger try its events again
    Resume(lifecycle::Resume),
    /// Let a trigger run on without the events that it fails at
    Skip(lifecycle::Skip),
    /// Show which plugins wrote a key's revisions
    Blame(blame::Blame),
}

/// What the words after `portunus plugin` may be.
pub fn command() -> clap::Command {
    <Options as clap::CommandFactory>::command()
}

/// Runs one command; `arguments` begin after `plugin`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("portunus plugin")).chain(arguments);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    match execute(options.command) {
        Ok(text) => finish(output::print(&text)),
        Err(error) => {
            eprintln!("portunus plugin: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What goes to stdout.
fn execute(command: Command) -> anyhow::Result<String> {
    let command = match command {
        // These need no server.
        Command::New(options) => return new::new(&options),
        Command::Build(options) => return build::build(&options),
        Command::Test(options) => return build::test(&options),
        Command::Call(options) => return recipe::call(&options).map(|()| String::new()),
        other => other,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(with_server(command))
}

async fn with_server(command: Command) -> anyhow::Result<String> {
    match command {
        Command::Deploy(options) => deploy::deploy(&options).await,
        Command::List(options) => show::list(&options).await,
        Command::Inspect(options) => show::inspect(&options).await,
        Command::Status(options) => status::status(&options).await,
        Command::Logs(options) => logs::logs(&options).await,
        Command::Explain(options) => explain::explain(&options).await,
        Command::Rollback(options) => lifecycle::roll_back(&options).await,
        Command::Enable(options) => lifecycle::enable(&options).await,
        Command::Disable(options) => lifecycle::disable(&options).await,
        Command::Remove(options) => lifecycle::remove(&options).await,
        Command::Resume(options) => lifecycle::resume(&options).await,
        Command::Skip(options) => lifecycle::skip(&options).await,
        Command::Blame(options) => blame::blame(&options).await,
        Command::New(_) | Command::Build(_) | Command::Test(_) | Command::Call(_) => {
            unreachable!("carried out without a server")
        }
    }
}
