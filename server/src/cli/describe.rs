//! `portunus completion` and `portunus man`: what a shell completes and what `man` shows, from the
//! same definitions that read the command line: the table of flags, and each command's options.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgAction, Command, Parser};
use clap_complete::Shell;

use crate::cli::dispatch::{REFUSED, finish};
use crate::cli::{bench, lock, output, plugin, proxy, queue, recipe};
use crate::config::flags::{FLAGS, Flag, Kind};

/// Print completions for a shell
#[derive(Debug, Parser)]
#[command(name = "portunus completion", disable_help_subcommand = true)]
struct Completion {
    /// Which shell
    shell: Shell,
}

/// Write manual pages
#[derive(Debug, Parser)]
#[command(name = "portunus man", disable_help_subcommand = true)]
struct Man {
    /// The folder to write them into; it must exist
    dir: PathBuf,
}

/// Prints the completions of one shell.
pub fn completion(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Completion { shell } = match options("portunus completion", arguments) {
        Ok(options) => options,
        Err(code) => return code,
    };
    finish(output::print(&completions(shell)))
}

/// Writes a page for the program and one for each command.
pub fn man(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Man { dir } = match options("portunus man", arguments) {
        Ok(options) => options,
        Err(code) => return code,
    };
    match write_pages(&dir) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portunus: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn options<T: Parser>(
    name: &'static str,
    arguments: impl Iterator<Item = OsString>,
) -> Result<T, ExitCode> {
    let words = std::iter::once(OsString::from(name)).chain(arguments);
    T::try_parse_from(words).map_err(|error| {
        let code = if error.use_stderr() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS };
        // A stream that is closed takes nothing, and there is nobody to tell.
        let _ = error.print();
        code
    })
}

fn completions(shell: Shell) -> String {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut program(), "portunus", &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn write_pages(dir: &Path) -> anyhow::Result<()> {
    let mut program = program();
    program.build();
    let commands = program.get_subcommands().filter(|command| command.get_name() != "help");
    let pages = commands.map(|command| {
        let name = format!("portunus-{}", command.get_name());
        (name.clone(), command.clone().name(name))
    });
    let mut all: Vec<_> = pages.collect();
    all.push(("portunus".to_owned(), program.clone()));
    for (name, command) in all {
        let path = dir.join(format!("{name}.1"));
        let mut page = Vec::new();
        clap_mangen::Man::new(command).render(&mut page)?;
        fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// The whole program, as clap would have it; the server reads its flags by itself.
fn program() -> Command {
    let commands = [
        ("bench", bench::command()),
        ("gateway", proxy::gateway_command()),
        ("lock", lock::command()),
        ("plugin", plugin::command()),
        ("proxy", proxy::command()),
        ("queue", queue::command()),
        ("recipe", recipe::command()),
        ("completion", <Completion as clap::CommandFactory>::command()),
        ("man", <Man as clap::CommandFactory>::command()),
        ("version", Command::new("version").about("Show the version")),
    ];
    Command::new("portunus")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A coordination server that speaks the etcd v3 API and runs its users' logic")
        .args(FLAGS.iter().map(argument))
        .subcommands(commands.map(|(name, command)| command.name(name)))
}

fn argument(flag: &'static Flag) -> Arg {
    let argument =
        Arg::new(flag.name).long(flag.name).help(flag.help).value_name(match flag.kind {
            Kind::Urls => "URL,...",
            Kind::Millis => "MILLISECONDS",
            Kind::Duration => "DURATION",
            Kind::Count => "NUMBER",
            Kind::Bytes => "BYTES",
            Kind::Text | Kind::Bool | Kind::Choice(_) => "VALUE",
        });
    let argument = match flag.kind {
        Kind::Bool => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .value_parser(["true", "false"]),
        Kind::Choice(choices) => argument.action(ArgAction::Set).value_parser(choices.to_vec()),
        _ => argument.action(ArgAction::Set),
    };
    match (flag.default, takes_file(flag.name)) {
        (_, true) => argument.value_hint(clap::ValueHint::FilePath),
        ("", _) => argument,
        (default, _) => argument.default_value(default),
    }
}

fn takes_file(name: &str) -> bool {
    name.ends_with("-file") || matches!(name, "data-dir" | "discovery-cacert" | "discovery-key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_consistent() {
        program().debug_assert();
    }

    #[test]
    fn each_shell_completes_every_flag_and_command() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let text = completions(shell);
            for flag in FLAGS {
                assert!(text.contains(flag.name), "{shell} lacks --{}", flag.name);
            }
            for command in program().get_subcommands() {
                assert!(text.contains(command.get_name()), "{shell} lacks {}", command.get_name());
            }
        }
    }

    #[test]
    fn pages_are_written_for_the_program_and_its_commands() {
        let dir = tempfile::tempdir().expect("a directory");
        write_pages(dir.path()).expect("written");
        let page = fs::read_to_string(dir.path().join("portunus.1")).expect("a page");
        assert!(page.contains("data\\-dir") && page.contains(".SH"));
        let page = fs::read_to_string(dir.path().join("portunus-queue.1")).expect("a page");
        assert!(page.contains("take"));
        let absent = dir.path().join("absent");
        let refused = write_pages(&absent).expect_err("no such folder").to_string();
        assert!(refused.starts_with("cannot write "), "{refused}");
    }
}
