//! The proxy as a process: from its flags to ports that serve, and from a signal to its end.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures::StreamExt;
use portunus_proto::etcdserverpb::watch_server::WatchServer;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;

use super::endpoint::Dialing;
use super::forward::Forwarder;
use super::front::{FrontLayer, Surface};
use super::members::Advertised;
use super::metrics;
use super::namespace::Namespace;
use super::options::{Options, Serving};
use super::sync;
use super::upstream::Upstream;
use super::watch::WatchService;
use crate::api::{Address, Gateway, Listener, Mended, Metered, Table, Timing, service_names};
use crate::clock::Clock;
use crate::limits::SHUTDOWN_GRACE;
use crate::systemd;
use crate::tls::{Acceptor, Door, Incoming, Target, self_signed};

/// What clients may speak over TLS.
const PROTOCOLS: &[&str] = &["h2", "http/1.1"];
/// The largest message of the JSON gateway; members refuse far smaller ones.
const GATEWAY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// As members: the largest common request fits, so that none takes a round trip more.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// As members: clients that give up many calls at once must not lose their connection.
const PENDING_RESETS_MAX: usize = 4096;

/// Runs the proxy until it is told to stop.
///
/// # Errors
/// A flag names what is not there, a port is in use, or a port is lost later.
pub fn run(options: Options) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(options));
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(options: Options) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    metrics::register();
    options.serving.check()?;
    let ports = ports(&options).await?;
    let upstream = upstream(&options).await?;
    let (stop, stopping) = watch::channel(false);
    let advertised = options.advertised()?.map(|url| Advertised::new(host_name(), url));
    let namespace = Namespace::new(&options.namespace).map(Arc::new);
    let forwarder = Forwarder::new(upstream.clone(), namespace.clone(), advertised);
    let services = services(&forwarder, namespace, &stopping);
    let mut serving = JoinSet::new();
    for port in ports {
        serving.spawn(serve_one(port, &upstream, services.clone(), &options.serving, &stopping));
    }
    let probing = tokio::spawn(upstream.clone().probe());
    let every = options.endpoints_auto_sync_interval;
    let syncing = tokio::spawn(sync::follow_members(upstream, forwarder.raw(), every));
    tracing::info!(
        address = options.listen_addr,
        namespace = options.namespace,
        "started gRPC proxy"
    );
    systemd::serving();
    tokio::select! {
        ended = all_ended(&mut serving) => return ended,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    systemd::stopping();
    probing.abort();
    syncing.abort();
    stop.send_replace(true);
    // Calls that wait at a member, for a lock for example, have no end of their own.
    tokio::time::timeout(SHUTDOWN_GRACE, all_ended(&mut serving)).await.unwrap_or(Ok(()))
}

async fn all_ended(ports: &mut JoinSet<Result<()>>) -> Result<()> {
    while let Some(ended) = ports.join_next().await {
        ended??;
    }
    Ok(())
}

async fn upstream(options: &Options) -> Result<Arc<Upstream>> {
    let dialer = options.upstream.dialer()?;
    options.upstream.names_nobody()?;
    let dialing = Dialing { dialer, keep_alive: options.keep_alive(), clock: Clock::system() };
    let upstream = Upstream::new(options.source()?, dialing.clone()).await?;
    if upstream.secure() {
        // A broken file is to be noticed now and not with the first call.
        dialing.dialer.prepare().context("TLS to the members")?;
    }
    Ok(upstream)
}

/// Watches are shared; everything else is passed on.
fn services(
    forwarder: &Forwarder,
    namespace: Option<Arc<Namespace>>,
    stopping: &watch::Receiver<bool>,
) -> Routes {
    let watches = WatchService::new(forwarder.raw(), namespace, stopping.clone());
    let routes = Routes::new(WatchServer::new(watches).max_decoding_message_size(usize::MAX));
    Routes::from(routes.into_axum_router().fallback_service(forwarder.clone())).prepare()
}

/// A bound port.
struct Port {
    listener: Listener,
    door: Door,
    /// Or metrics and health alone.
    everything: bool,
}

async fn ports(options: &Options) -> Result<Vec<Port>> {
    let scheme = if options.serving.secure() { "https" } else { "http" };
    let url = format!("{scheme}://{}", options.listen_addr);
    let door = door(&options.serving, &url)?;
    let mut ports = vec![bind("--listen-addr", &url, door.clone(), true).await?];
    if let Some(url) = &options.metrics_addr {
        let secure = url.starts_with("https://");
        anyhow::ensure!(
            !secure || options.serving.secure(),
            "--metrics-addr {url} needs a certificate: name one with --cert-file and --key-file"
        );
        let door = if secure { door } else { Door::plain() };
        ports.push(bind("--metrics-addr", url, door, false).await?);
    }
    Ok(ports)
}

async fn bind(flag: &str, url: &str, door: Door, everything: bool) -> Result<Port> {
    let address: Address = url.parse().with_context(|| flag.to_owned())?;
    let listener = Listener::bind(&address, false).await.with_context(|| {
        format!("cannot listen on {flag} {url}: stop what listens there, or name another address")
    })?;
    Ok(Port { listener, door, everything })
}

fn door(serving: &Serving, url: &str) -> Result<Door> {
    let Some((cert, key)) = identity(serving, url)? else { return Ok(Door::plain()) };
    let options = serving.server_options(cert, key)?;
    let acceptor = Arc::new(Acceptor::new(options, PROTOCOLS).context("TLS of the proxy")?);
    Ok(Door { acceptor: Some(acceptor), plain: false, peers: false })
}

fn identity(serving: &Serving, url: &str) -> Result<Option<(PathBuf, PathBuf)>> {
    if let (Some(cert), Some(key)) = (&serving.cert_file, &serving.key_file) {
        return Ok(Some((cert.clone(), key.clone())));
    }
    if !serving.auto_tls {
        return Ok(None);
    }
    let target: Target = url.parse().context("--listen-addr")?;
    let dir = std::path::absolute(serving.data_dir.join("fixtures").join("proxy"))?;
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("--data-dir {} cannot be made", serving.data_dir.display()))?;
    let (years, now) = (serving.self_signed_cert_validity, Clock::system().unix_ms());
    let made = self_signed(&dir, &[target.host()], years, now)
        .context("no certificate can be made for the proxy")?;
    Ok(Some((made.cert_file, made.key_file)))
}

fn serve_one(
    port: Port,
    upstream: &Arc<Upstream>,
    services: Routes,
    serving: &Serving,
    stopping: &watch::Receiver<bool>,
) -> impl Future<Output = Result<()>> + Send + use<> {
    let timing = Timing {
        clock: Clock::system(),
        histograms: false,
        slow: Duration::from_secs(u64::MAX),
        traces: None,
    };
    let table = Arc::new(Table::new(&service_names(), &timing));
    let counted = Metered::new(services.clone(), table.clone());
    let gateway = port.everything.then(|| Gateway::new(counted, GATEWAY_BYTES_MAX));
    let surface = Arc::new(Surface { upstream: upstream.clone(), gateway });
    let front = FrontLayer { table, surface, grpc: port.everything };
    let mut stopping = stopping.clone();
    let stopped = async move {
        // A sender that is gone is a proxy that is gone.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let interval = serving.grpc_keepalive_interval;
    let router = tonic::transport::Server::builder()
        .accept_http1(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_concurrent_streams(serving.max_concurrent_streams)
        .http2_keepalive_interval((!interval.is_zero()).then_some(interval))
        .http2_keepalive_timeout(Some(serving.grpc_keepalive_timeout))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
        .layer(front)
        .add_routes(services);
    let incoming =
        Incoming::new(port.listener.sockets(), port.door).map(|accepted| accepted.map(Mended::new));
    async move { Ok(router.serve_with_incoming_shutdown(incoming, stopped).await?) }
}

fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
