//! `portunus lock`: runs a command while it holds a lock, and stops it when the lock is lost.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::{LockAcquireRequest, LockMode, LockPlace, LockReleaseRequest};

use crate::cli::lock_client::{Servers, duration, options, refused};
use crate::cli::lock_hold::{Ended, Session, run_under};

/// Run a command while a lock is held
///
/// The command finds the lock's fencing token in PORTUNUS_LOCK_TOKEN, the name of its key in
/// PORTUNUS_LOCK_KEY and the lease in PORTUNUS_LOCK_LEASE. It is stopped when the lock is lost, and
/// the exit code is its own.
#[derive(Debug, Parser)]
#[command(name = "portunus lock", disable_help_subcommand = true)]
pub struct Options {
    /// The lock; with several, all are held or none
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Up to N hold it at once
    #[arg(long, value_name = "N", conflicts_with = "shared")]
    pub permits: Option<u32>,
    /// How many of the permits to take, or what it weighs where a plugin admits
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub weight: u32,
    /// Hold it together with others that share it
    #[arg(long)]
    pub shared: bool,
    /// Give up when it is not held in this time, as 500ms, 10s or 5m
    #[arg(long, value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Give up when it is not free at once
    #[arg(long = "try")]
    pub try_only: bool,
    /// Others get it this long after this program was last heard of
    #[arg(long, value_parser = duration, default_value = "10s")]
    pub ttl: Duration,
    /// After a crash others wait this long in addition
    #[arg(long, value_parser = duration, default_value = "0s")]
    pub lock_delay: Duration,
    /// For others to see
    #[arg(long, default_value = "")]
    pub metadata: String,
    /// Stop the command when somebody asks for the lock
    #[arg(long = "yield")]
    pub yields: bool,
    #[command(flatten)]
    pub servers: Servers,
    /// The command and its arguments
    #[arg(last = true, required = true)]
    pub command: Vec<OsString>,
}

/// What the words after `portunus lock` may be.
pub fn command() -> clap::Command {
    <Options as clap::CommandFactory>::command()
}

/// Runs; `arguments` begin after `lock`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options: Options = match options("portunus lock", arguments) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let ended = runtime
        .context("start the runtime")
        .and_then(|runtime| runtime.block_on(execute(&options)));
    match ended {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portunus lock: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(options: &Options) -> anyhow::Result<ExitCode> {
    let channel = options.servers.connect().await?;
    let session = Session::begin(channel.clone(), options.ttl).await?;
    let acquired = acquire(options, LockClient::new(channel.clone()), session.lease).await;
    let places = match acquired {
        Ok(places) => places,
        Err(error) => {
            session.end().await;
            return Err(error);
        }
    };
    let ended = run_under(options, channel.clone(), &session, &places).await;
    let names = options.names.iter().map(|name| name.clone().into()).collect();
    let release = LockReleaseRequest { names, lease: session.lease, entirely: true };
    // What fails is released with the lease.
    let _ = LockClient::new(channel).release(release).await;
    session.end().await;
    match ended? {
        Ended::Itself(status) => {
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
        }
        Ended::Stopped(why) => {
            eprintln!("portunus lock: the command was stopped: {why}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn acquire(
    options: &Options,
    mut client: LockClient<crate::dial::Channel>,
    lease: i64,
) -> anyhow::Result<Vec<LockPlace>> {
    let mode = match (options.permits, options.shared) {
        (Some(_), _) => LockMode::Permits,
        (None, true) => LockMode::Shared,
        (None, false) => LockMode::Exclusive,
    };
    let request = LockAcquireRequest {
        names: options.names.iter().map(|name| name.clone().into()).collect(),
        lease,
        mode: mode.into(),
        permits: options.permits.unwrap_or(0),
        weight: options.weight,
        try_only: options.try_only,
        timeout_ms: options.timeout.map_or(0, |timeout| timeout.as_millis() as i64),
        metadata: options.metadata.clone().into(),
        lock_delay_ms: options.lock_delay.as_millis() as i64,
        reentrant: false,
    };
    let acquired = client.acquire(request).await.map_err(|status| refused(&status))?;
    Ok(acquired.into_inner().held)
}
