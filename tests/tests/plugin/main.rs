//! Plugins from deploy to removal, against real members: the service, the commands, restarts and
//! changes of the leader.

mod admitted;
mod bad_input;
mod builtins;
mod calls;
mod cluster;
mod commands;
mod facts;
mod lifecycle;
mod new_crate;
mod value_guard;

use anyhow::{Context, Result};
use etcd_client::Client;
use tonic::Code;

/// Passes everything.
const ALLOW_ALL: &str = env!("PLUGIN_ALLOW_ALL");
/// Implements every point; its policy refuses the value `refuse`, its recipe has `add`, `hold` and
/// others.
const PROBE: &str = env!("PLUGIN_PROBE");

/// Whether the probe's policy is in force under `prefix`: says what became of a put that it would
/// refuse.
async fn put_refused(client: &mut Client, prefix: &str) -> Result<bool> {
    match client.put(format!("{prefix}k"), "refuse", None).await {
        Ok(_) => Ok(false),
        Err(etcd_client::Error::GRpcStatus(status))
            if Code::from(status.code() as i32) == Code::FailedPrecondition =>
        {
            assert!(status.message().contains("refused by"), "{}", status.message());
            Ok(true)
        }
        Err(other) => Err(other).context("a put"),
    }
}
