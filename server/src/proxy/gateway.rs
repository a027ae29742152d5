//! `portunus gateway`: connections are passed on as they are, unopened, to a member that accepts.
//! For clients whose TLS must end at the members; nothing is shared and nothing is asked again.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use futures::StreamExt;
use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use super::candidates::order;
use super::source::Source;
use crate::api::{Address, Listener};
use crate::clock::{Clock, Tick};
use crate::config::parse_duration;
use crate::srv::Names;
use crate::systemd;
use crate::tls::{Socket, Target};

/// A member that has not accepted by then is not there.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);

/// The flags of `portunus gateway`; etcd's.
#[derive(Clone, Debug, Args)]
pub struct Gateway {
    /// Where clients are served
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:23790")]
    listen_addr: String,
    /// Members of the cluster
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:2379",
        conflicts_with = "discovery_srv"
    )]
    endpoints: Vec<String>,
    /// Domain whose SRV records name the members
    #[arg(long, value_name = "DOMAIN")]
    discovery_srv: Option<String>,
    /// Ends the name of the service that is looked up (etcd-client-NAME)
    #[arg(long, value_name = "NAME", default_value = "", requires = "discovery_srv")]
    discovery_srv_name: String,
    /// Ask this name server and not the system's
    #[arg(long, value_name = "IP:PORT", requires = "discovery_srv")]
    discovery_srv_server: Option<std::net::SocketAddr>,
    /// No effect: nothing is encrypted or checked here
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    insecure_discovery: Option<bool>,
    /// No effect: nothing is encrypted or checked here
    #[arg(long, value_name = "FILE")]
    trusted_ca_file: Option<std::path::PathBuf>,
    /// A member that could not be reached is asked last for this long
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = parse_duration)]
    retry_delay: Duration,
}

/// Runs it until it is told to stop.
///
/// # Errors
/// A flag names what is not there, or the port is in use.
pub fn run(options: &Gateway) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(serve(options));
    runtime.shutdown_timeout(Duration::from_millis(100));
    ended.map(|()| ExitCode::SUCCESS)
}

async fn serve(options: &Gateway) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let url = format!("http://{}", options.listen_addr);
    let address: Address = url.parse().context("--listen-addr")?;
    let listener = Listener::bind(&address, false).await.with_context(|| {
        format!("cannot listen on --listen-addr {}: stop what listens there", options.listen_addr)
    })?;
    let targets = options.source()?.targets().await?;
    let remotes = targets.into_iter().map(|target| Remote { target, rests: Mutex::default() });
    let members = Arc::new(Members {
        remotes: remotes.collect(),
        next: AtomicUsize::new(0),
        clock: Clock::system(),
        rest: options.retry_delay,
    });
    tracing::info!(address = options.listen_addr, "ready to proxy client requests");
    systemd::serving();
    let mut sockets = std::pin::pin!(listener.sockets());
    loop {
        tokio::select! {
            accepted = sockets.next() => match accepted {
                Some(Ok(socket)) => drop(tokio::spawn(carry(members.clone(), socket))),
                Some(Err(error)) => bail!("the port is lost: {error}"),
                None => bail!("the port is closed"),
            },
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
    }
}

impl Gateway {
    fn source(&self) -> Result<Source> {
        let Some(domain) = &self.discovery_srv else {
            let url = |endpoint: &String| match endpoint.contains("://") {
                true => endpoint.clone(),
                false => format!("http://{endpoint}"),
            };
            return Ok(Source::Fixed(self.endpoints.iter().map(url).collect()));
        };
        let names = match self.discovery_srv_server {
            Some(server) => Names::of_server(server),
            None => Names::of_system(),
        };
        let (domain, name) = (domain.clone(), self.discovery_srv_name.clone());
        Ok(Source::Srv { names: names.context("--discovery-srv")?, domain, name })
    }
}

/// The members and when each may be asked first again.
struct Members {
    remotes: Vec<Remote>,
    next: AtomicUsize,
    clock: Clock,
    rest: Duration,
}

struct Remote {
    target: Target,
    rests: Mutex<Tick>,
}

impl Members {
    /// A connection to one of them, each in turn.
    async fn connect(&self) -> Option<TcpStream> {
        let now = self.clock.now();
        let fit: Vec<_> = self.remotes.iter().map(|remote| *remote.rests.lock() <= now).collect();
        for place in order(&fit, self.next.fetch_add(1, Ordering::Relaxed)) {
            let remote = &self.remotes[place];
            let dialed = timeout(DIAL_TIMEOUT, TcpStream::connect(remote.target.authority()));
            match dialed.await {
                Ok(Ok(stream)) => {
                    *remote.rests.lock() = Tick::ZERO;
                    return Some(stream);
                }
                Ok(Err(error)) => {
                    tracing::warn!(endpoint = %remote.target, %error, "endpoint cannot be reached");
                }
                Err(_) => {
                    tracing::warn!(endpoint = %remote.target, "endpoint does not accept");
                }
            }
            *remote.rests.lock() = now.after(self.rest);
        }
        None
    }
}

/// Passes one connection on until both sides have closed it.
async fn carry(members: Arc<Members>, mut client: Socket) {
    let Some(mut member) = members.connect().await else { return };
    if let Err(error) = copy_bidirectional(&mut client, &mut member).await {
        tracing::debug!(%error, "a connection broke");
    }
}
