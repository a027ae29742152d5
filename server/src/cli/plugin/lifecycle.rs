//! Commands that change what is deployed: rollback, enable, disable, remove, resume, skip.

use crate::dial::Channel;
use clap::Args;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{
    Generation, Mode, RemoveRequest, ResumeTriggerRequest, RollbackRequest, SetModeRequest,
    SkipTriggerRequest,
};

use super::table;
use crate::cli::connection::{Servers, connect, refused, timed};

/// Which plugin goes back, and how far.
#[derive(Debug, Args)]
pub struct Rollback {
    name: String,
    /// The generation to go back to; else the one before
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    #[command(flatten)]
    servers: Servers,
}

/// Which plugin, or which of its bindings.
#[derive(Debug, Args)]
pub struct Enable {
    name: String,
    /// Only the binding of this id, as in portunus plugin list
    #[arg(long, value_name = "ID")]
    binding: Option<String>,
    /// Ask it, count and log what it says, and do not follow it
    #[arg(long)]
    monitor: bool,
    #[command(flatten)]
    servers: Servers,
}

/// Which plugin, or which of its bindings.
#[derive(Debug, Args)]
pub struct Disable {
    name: String,
    /// Only the binding of this id, as in portunus plugin list
    #[arg(long, value_name = "ID")]
    binding: Option<String>,
    #[command(flatten)]
    servers: Servers,
}

/// Which plugin.
#[derive(Debug, Args)]
pub struct Remove {
    name: String,
    #[command(flatten)]
    servers: Servers,
}

/// Which trigger.
#[derive(Debug, Args)]
pub struct Resume {
    name: String,
    /// Only the trigger of this id, as in portunus plugin status
    #[arg(long, value_name = "ID")]
    binding: Option<String>,
    #[command(flatten)]
    servers: Servers,
}

/// Which trigger, and how far.
#[derive(Debug, Args)]
pub struct Skip {
    name: String,
    /// The trigger's id, where the plugin has several
    #[arg(long, value_name = "ID")]
    binding: Option<String>,
    /// Skip everything up to this revision; else the batch that fails
    #[arg(long, value_name = "REVISION")]
    to: Option<i64>,
    #[command(flatten)]
    servers: Servers,
}

async fn client(servers: &Servers) -> anyhow::Result<PluginClient<Channel>> {
    Ok(PluginClient::new(connect(servers).await?))
}

/// Prints the generation that holds now.
pub async fn roll_back(options: &Rollback) -> anyhow::Result<String> {
    let request =
        RollbackRequest { name: options.name.clone(), to_generation: options.to.unwrap_or(0) };
    let answer = client(&options.servers).await?.rollback(timed(request)).await;
    let current = answer.map_err(|status| refused(&status))?.into_inner().current;
    let current = current.unwrap_or_default();
    eprintln!(
        "{} runs what it was in generation {}, as generation {}",
        current.name, current.restored, current.generation
    );
    Ok(format!("{} {} {}\n", current.name, current.generation, table::full(&current.digest)))
}

pub async fn enable(options: &Enable) -> anyhow::Result<String> {
    let mode = if options.monitor { Mode::Monitor } else { Mode::Enforce };
    set_mode(&options.servers, &options.name, options.binding.as_deref(), mode).await
}

pub async fn disable(options: &Disable) -> anyhow::Result<String> {
    set_mode(&options.servers, &options.name, options.binding.as_deref(), Mode::Disabled).await
}

async fn set_mode(
    servers: &Servers,
    name: &str,
    binding: Option<&str>,
    mode: Mode,
) -> anyhow::Result<String> {
    let request = SetModeRequest {
        name: name.to_owned(),
        binding_id: binding.unwrap_or_default().to_owned(),
        mode: mode.into(),
    };
    let answer = client(servers).await?.set_mode(timed(request)).await;
    let current = answer.map_err(|status| refused(&status))?.into_inner().current;
    Ok(modes(&current.unwrap_or_default()))
}

fn modes(current: &Generation) -> String {
    let line = |id: &str, mode| format!("{id} {}\n", table::mode(mode));
    current.bindings.iter().map(|binding| line(&binding.id, binding.mode)).collect()
}

pub async fn remove(options: &Remove) -> anyhow::Result<String> {
    let request = RemoveRequest { name: options.name.clone() };
    let answer = client(&options.servers).await?.remove(timed(request)).await;
    answer.map_err(|status| refused(&status))?;
    eprintln!("removed {}", options.name);
    Ok(String::new())
}

/// Prints the triggers that go on.
pub async fn resume(options: &Resume) -> anyhow::Result<String> {
    let request = ResumeTriggerRequest {
        name: options.name.clone(),
        binding_id: options.binding.clone().unwrap_or_default(),
    };
    let answer = client(&options.servers).await?.resume_trigger(timed(request)).await;
    let resumed = answer.map_err(|status| refused(&status))?.into_inner().binding_ids;
    if resumed.is_empty() {
        eprintln!("no trigger of {} is paused", options.name);
    }
    Ok(resumed.iter().map(|id| format!("{id}\n")).collect())
}

/// Prints the trigger and where it goes on.
pub async fn skip(options: &Skip) -> anyhow::Result<String> {
    let request = SkipTriggerRequest {
        name: options.name.clone(),
        binding_id: options.binding.clone().unwrap_or_default(),
        to_revision: options.to.unwrap_or(0),
    };
    let answer = client(&options.servers).await?.skip_trigger(timed(request)).await;
    let skipped = answer.map_err(|status| refused(&status))?.into_inner();
    Ok(format!("{} {}\n", skipped.binding_id, skipped.cursor))
}
