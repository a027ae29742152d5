//! `portunus queue work`: a worker made of any command.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::dial::Channel;
use anyhow::Context;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueConsumeRequest, QueueDelivery, QueueExplainRequest, QueueItem,
    QueueNackRequest,
};

use crate::cli::lock_client::refused;

/// How often a worker that drains a queue looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Runs the command for each item until the stream ends; with `drain`, until nothing may leave.
pub async fn work(
    channel: Channel,
    queue: String,
    consumer: String,
    drain: bool,
    command: &[OsString],
) -> anyhow::Result<String> {
    let mut client = QueueClient::new(channel);
    let name = || queue.clone().into_bytes().into();
    if drain && !serves(&mut client, name()).await? {
        return Ok(String::new());
    }
    // The server keeps the consumer's lease alive; what is not acknowledged when this ends goes
    // to others.
    let request = QueueConsumeRequest { queue: name(), max: 1, lease: 0, consumer };
    let deliveries = client.consume(request).await.map_err(|status| refused(&status))?;
    let mut deliveries = deliveries.into_inner();
    loop {
        let some = match tokio::time::timeout(LOOK_EVERY, deliveries.message()).await {
            Ok(some) => some.map_err(|status| refused(&status))?,
            // Nothing came for a while, so nothing is on its way to us; others may have taken what
            // was there. Right after an item the next may be claimed for us already.
            Err(_) if drain && !serves(&mut client, name()).await? => break,
            Err(_) => continue,
        };
        let Some(some) = some else { break };
        for QueueDelivery { item, claim } in some.deliveries {
            let (Some(item), Some(claim)) = (item, claim) else { continue };
            let id = item.id;
            let command = command.to_vec();
            let ended = tokio::task::spawn_blocking(move || run(&command, &item)).await??;
            let claims = vec![claim];
            let done = match ended.success() {
                true => {
                    let ack = QueueAckRequest { queue: name(), claims, txn: None };
                    client.ack(ack).await.map(drop)
                }
                false => {
                    let reason = format!("the command ended with {ended}");
                    eprintln!("portunus queue work: item {id}: {reason}");
                    let queue = name();
                    let nack = QueueNackRequest { queue, claims, reason, ..Default::default() };
                    client.nack(nack).await.map(drop)
                }
            };
            done.map_err(|status| refused(&status))?;
        }
    }
    Ok(String::new())
}

async fn serves(client: &mut QueueClient<Channel>, queue: bytes::Bytes) -> anyhow::Result<bool> {
    let explained = client.explain(QueueExplainRequest { queue }).await;
    Ok(explained.map_err(|status| refused(&status))?.into_inner().serves)
}

fn run(command: &[OsString], item: &QueueItem) -> anyhow::Result<ExitStatus> {
    let (program, arguments) = command.split_first().context("a command is missing")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PORTUNUS_ITEM_ID", item.id.to_string())
        .env("PORTUNUS_ITEM_ATTEMPTS", item.attempts.to_string())
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("run {}", program.display()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input may end before it is written.
        let _ = stdin.write_all(&item.payload);
    }
    child.wait().context("wait for the command")
}
