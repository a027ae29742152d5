//! `portunus queue`: puts items into queues, takes them out, and looks at them.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use crate::dial::Channel;
use anyhow::Context;
use clap::{Parser, Subcommand};
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueClaim, QueueConfigureRequest, QueueDequeueRequest, QueueEnqueueRequest,
    QueueExplainRequest, QueueItem, QueueNackRequest, QueueNewItem, QueuePeekRequest,
    QueuePurgeRequest, QueueRedriveRequest, QueueRemoveRequest, QueueShelf, QueueStatsRequest,
};

use crate::cli::dispatch::finish;
use crate::cli::lock_client::{Servers, duration, options, refused};
use crate::cli::{output, queue_work};

/// Put items into queues, take them out, and look at them
#[derive(Debug, Parser)]
#[command(name = "portunus queue", disable_help_subcommand = true)]
struct Options {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    servers: Servers,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put items in and print their numbers
    Put {
        queue: String,
        #[arg(required = true)]
        payloads: Vec<String>,
        /// Higher ones leave first
        #[arg(long, default_value_t = 0)]
        priority: u32,
        /// Not before this time has passed
        #[arg(long, value_parser = duration, default_value = "0s")]
        delay: Duration,
        /// Put in once within the queue's window
        #[arg(long, default_value = "")]
        dedup_id: String,
        /// A header as NAME=VALUE
        #[arg(long = "header", value_parser = header)]
        headers: Vec<(String, String)>,
        /// Wait for room
        #[arg(long)]
        wait: bool,
    },
    /// Take items out and print each as JSON; acknowledge with its claim
    Take {
        queue: String,
        #[arg(long, default_value_t = 1)]
        max: u32,
        /// Wait for the first, at most for --timeout
        #[arg(long)]
        wait: bool,
        #[arg(long, value_parser = duration)]
        timeout: Option<Duration>,
        /// Time to acknowledge it in
        #[arg(long, value_parser = duration, default_value = "30s")]
        visibility: Duration,
    },
    /// Say that items are done
    Ack {
        queue: String,
        #[arg(required = true, value_parser = claim)]
        claims: Vec<QueueClaim>,
    },
    /// Give items back
    Nack {
        queue: String,
        #[arg(required = true, value_parser = claim)]
        claims: Vec<QueueClaim>,
        #[arg(long, value_parser = duration, default_value = "0s")]
        delay: Duration,
        #[arg(long, default_value = "")]
        reason: String,
        /// To the dead letters
        #[arg(long)]
        dead: bool,
    },
    /// Run a command for each item, with the payload on stdin; exit code 0 acknowledges it
    Work {
        queue: String,
        #[arg(long, default_value = "")]
        consumer: String,
        /// End when nothing more may leave
        #[arg(long)]
        drain: bool,
        #[arg(last = true, required = true)]
        run: Vec<OsString>,
    },
    /// Show the next items as JSON
    Peek {
        queue: String,
        /// ready, delayed, taken or dead
        #[arg(long, value_parser = shelf, default_value = "ready")]
        shelf: QueueShelf,
        #[arg(long, default_value_t = 10)]
        max: u32,
    },
    /// Show how many items are where
    Stats { queue: String },
    /// Say what a consumer would wait for
    Explain { queue: String },
    /// Set its limits or its condition; an empty text takes them away
    Configure {
        queue: String,
        /// As "max-length 100 overflow block max-attempts 5 dedup-window 300"
        #[arg(long)]
        config: Option<String>,
        /// As "all(size>=10, key gate = open)"
        #[arg(long)]
        condition: Option<String>,
    },
    /// Take an item out for good
    Remove { queue: String, id: u64 },
    /// Bring dead letters back, as if they had never been delivered
    Redrive {
        queue: String,
        /// Which; without any, all of them, the oldest first
        ids: Vec<u64>,
        /// At most so many
        #[arg(long, default_value_t = u32::MAX)]
        max: u32,
    },
    /// Empty a shelf: ready, delayed, taken or dead
    Purge {
        queue: String,
        #[arg(required = true, value_parser = shelf)]
        shelves: Vec<QueueShelf>,
    },
}

fn header(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').ok_or_else(|| format!("{text} is not NAME=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

fn claim(text: &str) -> Result<QueueClaim, String> {
    let wrong = || format!("{text} is not a claim as take prints it");
    let (id, token) = text.split_once('.').ok_or_else(wrong)?;
    let (id, token) = (id.parse().map_err(|_| wrong())?, token.parse().map_err(|_| wrong())?);
    Ok(QueueClaim { id, token, lease: 0 })
}

fn shelf(text: &str) -> Result<QueueShelf, String> {
    match text {
        "ready" => Ok(QueueShelf::Ready),
        "delayed" => Ok(QueueShelf::Delayed),
        "taken" => Ok(QueueShelf::Taken),
        "dead" => Ok(QueueShelf::Dead),
        _ => Err(format!("{text} is not ready, delayed, taken or dead")),
    }
}

/// What the words after `portunus queue` may be.
pub fn command() -> clap::Command {
    <Options as clap::CommandFactory>::command()
}

/// Runs one command; `arguments` begin after `queue`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let options: Options = match options("portunus queue", arguments) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let done =
        runtime.context("start the runtime").and_then(|runtime| runtime.block_on(execute(options)));
    match done {
        Ok(text) => finish(output::print(&text)),
        Err(error) => {
            eprintln!("portunus queue: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(options: Options) -> anyhow::Result<String> {
    let channel = options.servers.connect().await?;
    if let Command::Work { queue, consumer, drain, run } = options.command {
        return queue_work::work(channel, queue, consumer, drain, &run).await;
    }
    let mut client = QueueClient::new(channel);
    perform(&mut client, options.command).await.map_err(|status| refused(&status))
}

async fn perform(
    client: &mut QueueClient<Channel>,
    command: Command,
) -> Result<String, tonic::Status> {
    Ok(match command {
        Command::Put { queue, payloads, priority, delay, dedup_id, headers, wait } => {
            let item = |payload: String| QueueNewItem {
                payload: payload.into(),
                headers: headers.iter().cloned().collect(),
                priority,
                delay_ms: delay.as_millis() as i64,
                dedup_id: dedup_id.clone(),
            };
            let items = payloads.into_iter().map(item).collect();
            let request = QueueEnqueueRequest { queue: queue.into(), items, wait };
            let ids = client.enqueue(request).await?.into_inner().ids;
            ids.iter().map(|id| format!("{id}\n")).collect()
        }
        Command::Take { queue, max, wait, timeout, visibility } => {
            let request = QueueDequeueRequest {
                queue: queue.into(),
                max,
                visibility_seconds: visibility.as_secs() as i64,
                wait: wait || timeout.is_some(),
                timeout_ms: timeout.map_or(0, |timeout| timeout.as_millis() as i64),
                ..QueueDequeueRequest::default()
            };
            let taken = client.dequeue(request).await?.into_inner().deliveries;
            let lines = taken.iter().filter_map(|it| Some((it.item.as_ref()?, it.claim?)));
            lines.map(|(item, claim)| as_json(item, Some(claim))).collect()
        }
        Command::Ack { queue, claims } => {
            let request = QueueAckRequest { queue: queue.into(), claims, txn: None };
            client.ack(request).await?;
            String::new()
        }
        Command::Nack { queue, claims, delay, reason, dead } => {
            let delay_ms = delay.as_millis() as i64;
            let request = QueueNackRequest { queue: queue.into(), claims, delay_ms, reason, dead };
            client.nack(request).await?;
            String::new()
        }
        Command::Configure { queue, config, condition } => {
            let request = QueueConfigureRequest { queue: queue.into(), config, condition };
            client.configure(request).await?;
            String::new()
        }
        Command::Remove { queue, id } => {
            let request = QueueRemoveRequest { queue: queue.into(), id };
            let removed = client.remove(request).await?.into_inner().removed;
            format!("{}\n", if removed { "removed" } else { "not there" })
        }
        Command::Purge { queue, shelves } => {
            let shelves = shelves.into_iter().map(i32::from).collect();
            let request = QueuePurgeRequest { queue: queue.into(), shelves };
            format!("{}\n", client.purge(request).await?.into_inner().removed)
        }
        Command::Redrive { queue, ids, max } => redrive(client, queue, ids, max).await?,
        look => return look_at(client, look).await,
    })
}

/// One call brings back a bounded number; this asks until none is left, or so many are back.
async fn redrive(
    client: &mut QueueClient<Channel>,
    queue: String,
    ids: Vec<u64>,
    max: u32,
) -> Result<String, tonic::Status> {
    let (mut back, named) = (0, !ids.is_empty());
    loop {
        let max = max.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX));
        if max == 0 {
            return Ok(format!("{back}\n"));
        }
        let request = QueueRedriveRequest { queue: queue.clone().into(), ids: ids.clone(), max };
        let answer = match client.redrive(request).await {
            Ok(answer) => answer.into_inner(),
            // What came back before is told, the refusal of the rest with it.
            Err(status) if back > 0 => {
                let told = format!("{back} are back; {}", status.message());
                return Err(tonic::Status::new(status.code(), told));
            }
            Err(status) => return Err(status),
        };
        back += answer.redriven;
        if named || answer.left == 0 || answer.redriven == 0 {
            return Ok(format!("{back}\n"));
        }
    }
}

async fn look_at(
    client: &mut QueueClient<Channel>,
    command: Command,
) -> Result<String, tonic::Status> {
    Ok(match command {
        Command::Peek { queue, shelf, max } => {
            let request = QueuePeekRequest { queue: queue.into(), shelf: shelf.into(), max };
            let items = client.peek(request).await?.into_inner().items;
            items.iter().map(|item| as_json(item, None)).collect()
        }
        Command::Stats { queue } => {
            let request = QueueStatsRequest { queue: queue.into() };
            let stats = client.stats(request).await?.into_inner();
            let lines = [
                ("ready", stats.ready),
                ("delayed", stats.delayed),
                ("taken", stats.taken),
                ("returning", stats.returning),
                ("dead", stats.dead),
                ("enqueued", stats.enqueued),
            ];
            lines.iter().map(|(name, count)| format!("{name:9}  {count}\n")).collect()
        }
        Command::Explain { queue } => {
            let request = QueueExplainRequest { queue: queue.into() };
            let explained = client.explain(request).await?.into_inner();
            match explained.serves {
                true => "it serves\n".to_owned(),
                false => {
                    let waits = explained.waits_for.iter();
                    waits.map(|what| format!("it waits for {what}\n")).collect()
                }
            }
        }
        _ => String::new(),
    })
}

fn as_json(item: &QueueItem, claim: Option<QueueClaim>) -> String {
    let mut line = serde_json::json!({
        "id": item.id,
        "payload": String::from_utf8_lossy(&item.payload),
        "headers": item.headers,
        "priority": item.priority,
        "attempts": item.attempts,
    });
    if let Some(claim) = claim {
        line["claim"] = format!("{}.{}", claim.id, claim.token).into();
    }
    if !item.reason.is_empty() {
        line["reason"] = item.reason.clone().into();
    }
    format!("{line}\n")
}
