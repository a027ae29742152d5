//! `portunus recipe call`: runs a function that a plugin offers, and prints its reply.

use std::ffi::OsString;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use portunus_proto::portunus::v1::CallRequest;
use portunus_proto::portunus::v1::recipe_client::RecipeClient;

use crate::cli::connection::{Servers, connect, refused};
use crate::cli::dispatch::REFUSED;

/// Call functions that plugins offer
#[derive(Debug, Parser)]
#[command(name = "portunus recipe", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one function as one transaction and print its reply
    Call(Call),
}

/// What to call.
#[derive(Debug, Args)]
pub struct Call {
    /// The plugin's name
    plugin: String,
    /// The function
    function: String,
    /// What it is given: text, @FILE for a file's content, - for stdin
    #[arg(default_value = "")]
    payload: String,
    /// Give up after so many seconds; a recipe may wait for as long as its caller does
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    #[command(flatten)]
    servers: Servers,
}

/// What the words after `portunus recipe` may be.
pub fn command() -> clap::Command {
    <Options as clap::CommandFactory>::command()
}

/// Runs one command; `arguments` begin after `recipe`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("portunus recipe")).chain(arguments);
    let options = match Options::try_parse_from(words) {
        Ok(options) => options,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS };
            let _ = error.print();
            return code;
        }
    };
    let Command::Call(call) = options.command;
    match self::call(&call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portunus recipe: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Calls and prints.
pub fn call(options: &Call) -> anyhow::Result<()> {
    let payload = read_value(&options.payload, "payload")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(async {
        let mut request = tonic::Request::new(CallRequest {
            plugin: options.plugin.clone(),
            function: options.function.clone(),
            payload,
        });
        if let Some(seconds) = options.timeout {
            let timeout = Duration::try_from_secs_f64(seconds);
            request.set_timeout(
                timeout.with_context(|| format!("--timeout {seconds} is not a time in seconds"))?,
            );
        }
        let mut recipes = RecipeClient::new(connect(&options.servers).await?)
            .max_decoding_message_size(usize::MAX);
        let answer = recipes.call(request).await.map_err(|status| refused(&status))?;
        anyhow::Ok(answer.into_inner().payload)
    })?;
    print_reply(&reply).context("cannot write to stdout")
}

/// As it is; on a terminal with an end of line.
fn print_reply(reply: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let ended = reply.is_empty() || reply.ends_with(b"\n") || !out.is_terminal();
    let written =
        out.write_all(reply).and_then(|()| out.write_all(if ended { b"" } else { b"\n" }));
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Text as it is, `@FILE` for a file's content, `-` for stdin.
pub fn read_value(text: &str, what: &str) -> anyhow::Result<Bytes> {
    if text == "-" {
        let mut bytes = Vec::new();
        std::io::stdin()
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read the {what} from stdin"))?;
        return Ok(bytes.into());
    }
    let Some(file) = text.strip_prefix('@') else {
        return Ok(Bytes::copy_from_slice(text.as_bytes()));
    };
    let bytes = std::fs::read(Path::new(file));
    bytes.map(Bytes::from).with_context(|| {
        format!("cannot read the {what} from {file}; @ begins a file's name, write text without it")
    })
}

#[cfg(test)]
mod tests {
    use super::read_value;

    #[test]
    fn a_value_is_text_or_a_files_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("p");
        std::fs::write(&file, b"\0x").expect("written");
        assert_eq!(&read_value("{}", "payload").expect("text")[..], b"{}");
        let named = read_value(&format!("@{}", file.display()), "payload").expect("a file");
        assert_eq!(&named[..], b"\0x");
        let missing =
            read_value("@no-such-file", "payload").expect_err("nothing there").to_string();
        assert!(missing.contains("cannot read the payload from no-such-file"), "{missing}");
    }
}
