//! The wiring: from a configuration to a member that serves, and from a signal to its end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::clock::Clock;
use crate::config::identity::{cluster_id, member_id};
use crate::config::{self, Config};
use crate::limits::{QUOTA_BYTES_DEFAULT, SHUTDOWN_GRACE};
use crate::node::{self, AutoCompaction, Identity, Node, Options, Parts};
use crate::raft::Peer;
use crate::types::MemberId;

/// Runs a member with this configuration until it is told to stop.
pub fn run(config: Config) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let code = runtime.block_on(serve(config));
    // What is still running has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    code
}

async fn serve(config: Config) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // Taken before anything is written: a port in use is the commonest mistake.
    let listeners = api::Listeners::bind(&config.listen_client_urls).await?;
    let node = node::start(parts(&config)).await?;
    let serving = api::serve(listeners, node.clone());
    let serving = tokio::spawn(serving);
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    tokio::pin!(stop);
    tokio::select! {
        ready = node.ready() => {
            ready?;
            announce(&config);
            stop.as_mut().await;
        }
        () = &mut stop => {}
    }
    tracing::info!("stopping");
    let ended = tokio::time::timeout(SHUTDOWN_GRACE, node.stop()).await;
    if ended.is_err() {
        tracing::warn!(grace = ?SHUTDOWN_GRACE, "not everything ended in time");
    }
    serving.abort();
    Ok(ExitCode::SUCCESS)
}

/// etcd's words; scripts and test frameworks wait for them.
fn announce(config: &Config) {
    let urls: Vec<_> = config.listen_client_urls.iter().map(ToString::to_string).collect();
    tracing::info!(urls = urls.join(","), "serving client traffic");
    println!("ready to serve client requests");
}

fn parts(config: &Config) -> Parts {
    let token = &config.initial_cluster_token;
    let first_members: Vec<(MemberId, Peer)> =
        config.initial_cluster.members.iter().map(|member| {
            let urls: Vec<String> = member.peer_urls.iter().map(ToString::to_string).collect();
            let id = member_id(&urls, token);
            (id, Peer { name: member.name.clone(), peer_urls: urls, client_urls: Vec::new() })
        }).collect();
    let ids: Vec<MemberId> = first_members.iter().map(|(id, _)| *id).collect();
    let own: Vec<String> = config.initial_advertise_peer_urls.iter().map(ToString::to_string).collect();
    let identity = Identity { cluster: cluster_id(&ids), member: member_id(&own, token) };
    Parts {
        identity,
        options: options(config),
        data_dir: config.data_dir.clone(),
        clock: Clock::system(),
        heartbeat: config.heartbeat,
        pre_vote: config.pre_vote,
        listen_peers: config.listen_peer_urls.iter().map(ToString::to_string).collect(),
        first_members,
        no_fsync: config.unsafe_no_fsync,
        catchup_entries: config.snapshot_catchup_entries,
        progress_interval: config.watch_progress_notify_interval,
        auto_compaction: config.auto_compaction.map(auto_compaction),
    }
}

fn options(config: &Config) -> Options {
    Options {
        election_timeout: config.election,
        max_txn_ops: config.max_txn_ops,
        max_request_bytes: config.max_request_bytes,
        quota_bytes: match config.quota_bytes {
            0 => Some(QUOTA_BYTES_DEFAULT),
            bytes if bytes < 0 => None,
            bytes => Some(bytes),
        },
    }
}

fn auto_compaction(mode: config::AutoCompaction) -> AutoCompaction {
    match mode {
        config::AutoCompaction::Periodic(period) => AutoCompaction::Periodic(period),
        config::AutoCompaction::Revision(keep) => AutoCompaction::Revisions(keep),
    }
}
