//! What can be measured and how, as written on the command line.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::config;
use crate::dial::Security;

/// What to measure.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Puts of one key each
    Put(Load),
    /// Reads of one key each
    Get(Reads),
    /// Reads of many keys each
    Range(Ranges),
    /// Transactions of one comparison and one put
    Txn(Load),
    /// Calls of a deployed recipe
    Recipe(Recipes),
    /// Increments of one key shared by all clients, each by reading, comparing and putting
    Increment(Load),
    /// Acquisitions of one lock shared by all clients, and releases, through etcd's Lock service
    Lock(Load),
    /// Items taken out of one queue and acknowledged, through the Queue service
    Queue(Queues),
    /// The same as clients of etcd do it, by reading the first key and deleting it in a transaction
    QueueRecipe(Queues),
    /// Events delivered to watchers while a writer writes
    Watch(Watches),
    /// Keep-alives of leases, each on a stream of its own
    LeaseKeepalive(Load),
    /// The same load against a server that does nothing, as a floor for comparisons
    Echo(Echo),
    #[command(hide = true)]
    EchoServer(EchoServer),
}

/// How much load, from how many clients, for how long.
#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Where the servers listen; connections are spread over them
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:2379", value_parser = endpoint)]
    pub endpoints: Vec<String>,
    #[command(flatten)]
    pub security: Security,
    /// HTTP/2 connections
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..))]
    pub conns: u32,
    /// Clients, each with one request at a time; spread over the connections
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,
    /// Threads of this program; more than one only where it has cores to itself
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Bytes of a key
    #[arg(long, default_value_t = 16)]
    pub key_size: usize,
    /// Bytes of a value
    #[arg(long, default_value_t = 256, value_parser = value_size)]
    pub val_size: usize,
    /// Different keys
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub key_space: u64,
    /// Take the keys in order instead of at random
    #[arg(long)]
    pub sequential: bool,
    /// Stop after so many operations
    #[arg(long, conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    pub total: Option<u64>,
    /// Stop after this time: seconds, or a duration such as 2m
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Operations begun per second, however slow the answers; latency then counts from when the
    /// operation was due. Without it each client waits for its answer
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub rate: Option<u64>,
    /// Process ids of the servers, to report their CPU per operation and memory
    #[arg(long, value_delimiter = ',')]
    pub server_pid: Vec<u32>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Consistency {
    /// Linearizable
    L,
    /// Serializable: whatever the member asked has applied
    S,
}

#[derive(Clone, Debug, Args)]
pub struct Reads {
    #[command(flatten)]
    pub load: Load,
    /// How fresh an answer must be
    #[arg(long, value_enum, default_value_t = Consistency::L)]
    pub consistency: Consistency,
    /// Do not write the keys first
    #[arg(long)]
    pub no_fill: bool,
}

#[derive(Clone, Debug, Args)]
pub struct Ranges {
    #[command(flatten)]
    pub reads: Reads,
    /// Keys of one answer
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
    pub limit: i64,
}

#[derive(Clone, Debug, Args)]
pub struct Recipes {
    /// The plugin's name
    #[arg(long)]
    pub plugin: String,
    /// The function to call
    #[arg(long)]
    pub function: String,
    /// What it is called with
    #[arg(long, default_value = "")]
    pub payload: String,
    #[command(flatten)]
    pub load: Load,
}

#[derive(Clone, Debug, Args)]
pub struct Queues {
    #[command(flatten)]
    pub load: Load,
    /// Items that are left in the queue at the end; --total more are there at the start
    #[arg(long, default_value_t = 0)]
    pub waiting: u64,
}

#[derive(Clone, Debug, Args)]
pub struct Watches {
    #[command(flatten)]
    pub load: Load,
    /// Watchers of the whole key space, spread over the connections, one stream each connection
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub watchers: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EchoAs {
    Put,
    Get,
    Range,
}

#[derive(Clone, Debug, Args)]
pub struct Echo {
    /// Which operation's messages to exchange
    #[arg(value_enum, default_value_t = EchoAs::Put)]
    pub operation: EchoAs,
    #[command(flatten)]
    pub load: Load,
    /// Keys of one answer of `range`
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(i64).range(1..))]
    pub limit: i64,
    /// Threads of the echo server; as many as there are cores unless given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub server_threads: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub struct EchoServer {
    #[arg(long)]
    pub key_size: usize,
    #[arg(long)]
    pub val_size: usize,
    #[arg(long)]
    pub server_threads: Option<u32>,
}

/// Kept as it was written: without a scheme it depends on the other options which one it has.
fn endpoint(text: &str) -> Result<String, String> {
    let url = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let url = config::Url::parse(&url)?;
    match url.host_port() {
        Some((host, _)) if !host.is_empty() => Ok(text.to_owned()),
        _ => Err("expected host:port, http://host:port or https://host:port".to_owned()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let duration = match text.parse::<u32>() {
        Ok(seconds) => Duration::from_secs(seconds.into()),
        Err(_) => config::parse_duration(text).map_err(|reason| format!("{reason}, or seconds"))?,
    };
    match duration.is_zero() {
        true => Err("must be longer than 0".to_owned()),
        false => Ok(duration),
    }
}

/// A value carries the time it was written in its first bytes, for watchers to read.
fn value_size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(size @ 8..=1_048_576) => Ok(size),
        _ => Err("expected 8 to 1048576 bytes".to_owned()),
    }
}
