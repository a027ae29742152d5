//! The wiring: from a configuration to a member that serves, and from a signal to its end.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::beginning::{self, Beginning};
use crate::clock::Clock;
use crate::config::{self, Config, LogFormat};
use crate::effect::Attributes;
use crate::limits::{QUOTA_BYTES_DEFAULT, SHUTDOWN_GRACE};
use crate::machine::FEATURE_LEVEL;
use crate::node::{self, AutoCompaction, Node, Options, Parts};
use crate::ports;
use crate::raft::{Peer, PeerListener};
use crate::systemd;
use crate::tls::Dialer;
use crate::traces::Traces;

/// Runs a member with this configuration until it is told to stop.
pub fn run(config: Config) -> Result<ExitCode> {
    crate::fatal::stop_on_vital_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let node = runtime.block_on(serve(config));
    // What is still running has had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    // Everything is on disk. Closing the store's engine takes seconds and gains nothing more.
    std::mem::forget(node?);
    Ok(ExitCode::SUCCESS)
}

/// Serves until it is told to stop; returns the member, stopped and not yet taken apart.
async fn serve(mut config: Config) -> Result<Node> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tracing::info!(
        name = config.name,
        "data-dir" = %config.data_dir.display(),
        "snapshot-count" = config.snapshot_count,
        "snapshot-catchup-entries" = config.snapshot_catchup_entries,
        "starting a member"
    );
    // Taken before anything is written: a port in use is the commonest mistake.
    let client_ports = ports::of_clients(&config).await?;
    let (peer_listeners, dialer) = ports::of_peers(&config).await?;
    let beginning = Box::pin(beginning::find(&mut config, &dialer)).await?;
    let api_options = api_options(&config)?;
    let node = node::start(parts(&config, beginning, peer_listeners, dialer)).await?;
    if config.checks.initial {
        node.check_before_serving().await?;
    }
    let traces = api_options.traces.clone();
    let server = api::Server::new(&node, api_options)?;
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    let mut serving = tokio::spawn(server.serve(client_ports, async move {
        // Closed by being sent to or dropped.
        drop(closed.await);
    }));
    let own = node.clone();
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = own.removed() => {
                tracing::warn!("the member has been permanently removed from the cluster");
                tracing::warn!("data-dir used by this member must be removed");
            }
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
    systemd::stopping();
    let ending = async {
        node.hand_over_leadership().await;
        drop(close);
        // Its own grace bounds it.
        drop((&mut serving).await);
        if let Some(traces) = traces {
            drop(tokio::task::spawn_blocking(move || traces.end()).await);
        }
        node.stop().await;
    };
    if tokio::time::timeout(SHUTDOWN_GRACE, ending).await.is_err() {
        tracing::warn!(grace = ?SHUTDOWN_GRACE, "not everything ended in time");
    }
    Ok(node)
}

/// etcd's words; scripts and test frameworks wait for them.
fn announce(config: &Config) {
    let urls: Vec<_> = config.listen_client_urls.iter().map(ToString::to_string).collect();
    tracing::info!(urls = urls.join(","), "serving client traffic");
    // Who reads JSON must not stumble over the one line that is none.
    if config.log.format == LogFormat::Json && tracing::enabled!(tracing::Level::INFO) {
        tracing::info!("ready to serve client requests");
    } else {
        println!("ready to serve client requests");
    }
    systemd::serving();
}

fn api_options(config: &Config) -> Result<api::Options> {
    let auth = &config.auth;
    Ok(api::Options {
        access: api::Access::new(&auth.token, auth.token_ttl, auth.bcrypt_cost)?,
        extensive_metrics: config.extensive_metrics,
        traces: config.tracing.as_ref().map(Traces::start).transpose()?,
        slow_call: config.serving.warning_unary_request_duration,
        cors: api::Cors::new(config.cors.clone()),
        hosts: api::Hosts::new(config.serving.host_whitelist.clone()),
        gateway: config.serving.enable_gateway,
        profiles: config.serving.enable_profiles,
        max_concurrent_streams: config.serving.max_concurrent_streams,
        keepalive_interval: config.serving.keepalive_interval,
        keepalive_timeout: config.serving.keepalive_timeout,
    })
}

fn parts(
    config: &Config,
    beginning: Beginning,
    peer_listeners: Vec<PeerListener>,
    dialer: Arc<Dialer>,
) -> Parts {
    let Beginning { identity, founders } = beginning;
    let attributes = Attributes {
        member: identity.member,
        name: config.name.clone(),
        client_urls: config.advertise_client_urls.iter().map(ToString::to_string).collect(),
        feature_level: FEATURE_LEVEL,
    };
    Parts {
        identity,
        options: options(config),
        data_dir: config.data_dir.clone(),
        clock: Clock::system(),
        heartbeat: config.heartbeat,
        attributes,
        peer_listeners,
        dialer,
        first_members: founders,
        peer_urls: beginning::others_urls(config),
        own_peer: Peer {
            name: config.name.clone(),
            peer_urls: beginning::own_urls(config),
            ..Peer::default()
        },
        force_new_cluster: config.force_new_cluster,
        no_fsync: config.unsafe_no_fsync,
        catchup_entries: config.snapshot_catchup_entries,
        progress_interval: config.watch_progress_notify_interval,
        auto_compaction: config.auto_compaction.map(auto_compaction),
        corrupt_check: config.checks.periodic,
        compact_hash_check: config.checks.compaction,
        wal_dir: config.wal_dir.clone(),
    }
}

fn options(config: &Config) -> Options {
    Options {
        election_timeout: config.election,
        max_txn_ops: config.max_txn_ops,
        strict_reconfig_check: config.strict_reconfig_check,
        learners_max: config.max_learners,
        max_request_bytes: config.max_request_bytes,
        lease_checkpoint_interval: config.lease_checkpoint_interval,
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
