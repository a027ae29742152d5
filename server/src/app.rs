//! Placeholder until the module lands.

use std::process::ExitCode;

use crate::config::Config;

/// Runs a member with this configuration until it is told to stop.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!("member \"{}\" cannot start: the server is not wired yet", config.name)
}
