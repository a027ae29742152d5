//! The wiring: from a configuration to a member that serves, and from a signal to its end.

use std::net::TcpListener;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

use crate::api;
use crate::clock::Clock;
use crate::config::{self, Config, LogFormat, cluster_id, member_id};
use crate::effect::Attributes;
use crate::limits::{LEARNERS_MAX_DEFAULT, QUOTA_BYTES_DEFAULT, SHUTDOWN_GRACE};
use crate::machine::FEATURE_LEVEL;
use crate::node::{self, AutoCompaction, Identity, Node, Options, Parts};
use crate::raft::Peer;
use crate::types::MemberId;

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
async fn serve(config: Config) -> Result<Node> {
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
    let listeners = listeners("--listen-client-urls", &config.listen_client_urls).await?;
    let metrics = self::listeners("--listen-metrics-urls", &config.listen_metrics_urls).await?;
    let node = node::start(parts(&config)?).await?;
    let server = api::Server::new(&node, api_options(&config))?;
    let (close, closed) = tokio::sync::oneshot::channel::<()>();
    let mut serving = tokio::spawn(server.serve(listeners, metrics, async move {
        // Closed by being sent to or dropped.
        drop(closed.await);
    }));
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
    let ending = async {
        node.hand_over_leadership().await;
        drop(close);
        // Its own grace bounds it.
        drop((&mut serving).await);
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
}

async fn listeners(flag: &str, urls: &[config::Url]) -> Result<Vec<api::Listener>> {
    let mut listeners = Vec::new();
    for url in urls {
        let address = url.as_str().parse::<api::Address>()?;
        let listener = api::Listener::bind(&address).await;
        listeners.push(listener.with_context(|| cannot_listen(flag, url))?);
    }
    Ok(listeners)
}

fn api_options(config: &Config) -> api::Options {
    api::Options {
        extensive_metrics: config.extensive_metrics,
        cors: api::Cors::new(config.cors.clone()),
        ..api::Options::default()
    }
}

fn cannot_listen(flag: &str, url: &config::Url) -> String {
    format!("cannot listen on {flag} {url}: stop what listens there, or name another address")
}

fn peer_listeners(config: &Config) -> Result<Vec<TcpListener>> {
    let bind = |url: &config::Url| {
        let Some((host, port)) = url.host_port() else {
            anyhow::bail!("--listen-peer-urls {url}: peers need http://HOST:PORT");
        };
        let host = if host.is_empty() { "0.0.0.0" } else { host };
        let listener = TcpListener::bind((host, port));
        let listener = listener.with_context(|| cannot_listen("--listen-peer-urls", url))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    config.listen_peer_urls.iter().map(bind).collect()
}

fn parts(config: &Config) -> Result<Parts> {
    let token = &config.initial_cluster_token;
    let first_members: Vec<(MemberId, Peer)> = config
        .initial_cluster
        .members
        .iter()
        .map(|member| {
            let urls: Vec<String> = member.peer_urls.iter().map(ToString::to_string).collect();
            let id = member_id(&urls, token);
            (id, Peer { name: member.name.clone(), peer_urls: urls, ..Peer::default() })
        })
        .collect();
    let ids: Vec<MemberId> = first_members.iter().map(|(id, _)| *id).collect();
    let own: Vec<String> =
        config.initial_advertise_peer_urls.iter().map(ToString::to_string).collect();
    let identity = Identity { cluster: cluster_id(&ids), member: member_id(&own, token) };
    let attributes = Attributes {
        member: identity.member,
        name: config.name.clone(),
        client_urls: config.advertise_client_urls.iter().map(ToString::to_string).collect(),
        feature_level: FEATURE_LEVEL,
    };
    Ok(Parts {
        identity,
        options: options(config),
        data_dir: config.data_dir.clone(),
        clock: Clock::system(),
        heartbeat: config.heartbeat,
        attributes,
        peer_listeners: peer_listeners(config)?,
        first_members,
        no_fsync: config.unsafe_no_fsync,
        catchup_entries: config.snapshot_catchup_entries,
        progress_interval: config.watch_progress_notify_interval,
        auto_compaction: config.auto_compaction.map(auto_compaction),
    })
}

fn options(config: &Config) -> Options {
    Options {
        election_timeout: config.election,
        max_txn_ops: config.max_txn_ops,
        strict_reconfig_check: config.strict_reconfig_check,
        learners_max: LEARNERS_MAX_DEFAULT,
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
