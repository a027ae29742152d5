//! Starts this program again as an echo server, and ends it.

use std::io::{BufRead, BufReader};
use std::process::{self, Command, Stdio};

use anyhow::Context;

use crate::bench::options::Echo;

/// A running echo server; it ends when this is dropped.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    endpoint: String,
}

impl Child {
    /// Starts it on a port of its choice.
    pub fn start(options: &Echo) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("find this program's file")?;
        let mut command = Command::new(program);
        command.args(["bench", "echo-server"]);
        command.arg(format!("--key-size={}", options.load.key_size));
        command.arg(format!("--val-size={}", options.load.val_size));
        if let Some(threads) = options.server_threads {
            command.arg(format!("--server-threads={threads}"));
        }
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the echo server")?;
        let stdout = process.stdout.take().context("the echo server has no stdout")?;
        let mut child = Self { process, endpoint: String::new() };
        BufReader::new(stdout).read_line(&mut child.endpoint)?;
        let address = child.endpoint.trim();
        anyhow::ensure!(!address.is_empty(), "the echo server ended before it listened");
        child.endpoint = format!("http://{address}");
        Ok(child)
    }

    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The server ends when its stdin does; waiting leaves no zombie behind.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}
