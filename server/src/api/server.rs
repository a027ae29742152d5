//! The server on the client port: which services there are, how HTTP/2 is set, and how it begins
//! and ends.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use portunus_proto::etcdserverpb::auth_server::AuthServer;
use portunus_proto::etcdserverpb::cluster_server::ClusterServer;
use portunus_proto::etcdserverpb::kv_server::KvServer;
use portunus_proto::etcdserverpb::lease_server::LeaseServer;
use portunus_proto::etcdserverpb::maintenance_server::MaintenanceServer;
use portunus_proto::etcdserverpb::watch_server::WatchServer;
use portunus_proto::portunus::v1::lock_server::LockServer as LocksServer;
use portunus_proto::portunus::v1::plugin_server::PluginServer;
use portunus_proto::portunus::v1::queue_server::QueueServer;
use portunus_proto::portunus::v1::recipe_server::RecipeServer;
use portunus_proto::v3electionpb::election_server::ElectionServer;
use portunus_proto::v3lockpb::lock_server::LockServer;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use super::access::{Access, Credentials};
use super::auth::AuthService;
use super::authority::Mended;
use super::cluster::ClusterService;
use super::election::ElectionService;
use super::ending::{Ending, Stopping};
use super::gate::Gate;
use super::http::{Cors, FrontLayer, Gateway, Hosts, Surface};
use super::kv::KvService;
use super::lease::LeaseService;
use super::listen::Listener;
use super::lock::LockService;
use super::locks::LocksService;
use super::maintenance::MaintenanceService;
use super::meter::{Metered, Table, Timing};
use super::plugin::{PluginService, RecipeService};
use super::queue::QueueService;
use super::reflection;
use super::watch::WatchService;
use crate::auth::Caller;
use crate::clock::Clock;
use crate::limits::{DEPLOY_BYTES_MAX, REQUEST_OVERHEAD_BYTES, SHUTDOWN_GRACE};
use crate::node::Node;
use crate::raft::Leadership;
use crate::tls::{Door, Incoming};
use crate::traces::Traces;

/// Bytes a client may send on one stream before it must wait: the largest request fits, so that
/// none takes a round trip more.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Streams a client has given up that may still wait to be looked at. h2's own limit of 20 closes
/// the connections of clients that cancel many watches or calls at once.
const PENDING_RESETS_MAX: usize = 4096;

/// What flags decide about the client port.
#[derive(Clone, Debug)]
pub struct Options {
    /// Calls that one connection may have under way (`--max-concurrent-streams`).
    pub max_concurrent_streams: u32,
    /// Silence after which a client is pinged (`--grpc-keepalive-interval`); `None` never.
    pub keepalive_interval: Option<Duration>,
    /// How long the answer to a ping may take (`--grpc-keepalive-timeout`).
    pub keepalive_timeout: Duration,
    /// Measure how long calls take, too (`--metrics=extensive`).
    pub extensive_metrics: bool,
    /// Trace calls (`--enable-distributed-tracing`).
    pub traces: Option<Traces>,
    /// Calls that take longer are logged (`--warning-unary-request-duration`).
    pub slow_call: Duration,
    /// Which web pages may call (`--cors`).
    pub cors: Cors,
    /// Which hosts HTTP requests may name (`--host-whitelist`).
    pub hosts: Hosts,
    /// How callers show who they are (`--auth-token`, `--bcrypt-cost`).
    pub access: Access,
    /// Serve the JSON gateway (`--enable-grpc-gateway`).
    pub gateway: bool,
    /// Serve profiles of the process (`--enable-pprof`).
    pub profiles: bool,
}

impl Default for Options {
    /// etcd's defaults.
    fn default() -> Self {
        Self {
            max_concurrent_streams: u32::MAX,
            keepalive_interval: Some(Duration::from_secs(2 * 60 * 60)),
            keepalive_timeout: Duration::from_secs(20),
            extensive_metrics: false,
            traces: None,
            slow_call: Duration::from_millis(300),
            cors: Cors::default(),
            hosts: Hosts::default(),
            access: Access::default(),
            gateway: true,
            profiles: false,
        }
    }
}

/// What a port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    Everything,
    /// gRPC alone; HTTP has ports of its own.
    Grpc,
    /// Everything but gRPC.
    Http,
    /// Metrics and health alone.
    Metrics,
}

/// A bound socket, who gets in, and to what.
pub struct Port {
    pub listener: Listener,
    pub door: Door,
    pub traffic: Traffic,
}

/// Why serving ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("the client port is lost: {0}")]
    Transport(#[from] tonic::transport::Error),
    #[error("a task of the client port failed: {0}")]
    Task(#[from] tokio::task::JoinError),
    #[error("reflection cannot be set up: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// All services over one node, ready to be served.
pub struct Server {
    options: Options,
    routes: Routes,
    front: FrontLayer,
    /// Without the gateway.
    metrics_front: FrontLayer,
    health: HealthReporter,
    stop: watch::Sender<bool>,
}

impl Server {
    /// # Errors
    /// The embedded descriptors are broken.
    pub fn new(node: &Node, options: Options) -> Result<Self, ServeError> {
        let (stop, stopping) = watch::channel(false);
        let (health, health_server) = tonic_health::server::health_reporter();
        let routes = add_services(node, &options.access, &stopping).add_service(health_server);
        let names = service_names();
        let routes = routes
            .add_service(reflection::newer(&names)?)
            .add_service(reflection::older(&names)?)
            .prepare();
        let timing = Timing {
            clock: Clock::system(),
            histograms: options.extensive_metrics,
            slow: options.slow_call,
            traces: options.traces.clone(),
        };
        let table = Arc::new(Table::new(&names, &timing));
        let services = Metered::new(routes.clone(), table.clone());
        let gateway = Gateway::new(services, message_bytes_max(node));
        let front = |gateway| {
            let access = (options.cors.clone(), options.hosts.clone());
            let surface =
                Surface::new(node.clone(), access, gateway).with_profiles(options.profiles);
            FrontLayer { table: table.clone(), surface: Some(Arc::new(surface)) }
        };
        let gateway = options.gateway.then_some(gateway);
        let (metrics_front, front) = (front(None), front(gateway));
        Ok(Self { options, routes, front, metrics_front, health, stop })
    }

    /// Serves on all `ports` until `shutdown`.
    /// Then no connection is accepted any more, open streams end, and calls under way have
    /// [`SHUTDOWN_GRACE`] to come home.
    ///
    /// # Errors
    /// A listener broke down.
    pub async fn serve(
        self,
        ports: Vec<Port>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let mut serving = JoinSet::new();
        for port in ports {
            serving.spawn(self.serve_one(port));
        }
        tokio::select! {
            ended = all_ended(&mut serving) => return ended,
            () = shutdown => {}
        }
        self.health.set_service_status("", tonic_health::ServingStatus::NotServing).await;
        self.stop.send_replace(true);
        match tokio::time::timeout(SHUTDOWN_GRACE, all_ended(&mut serving)).await {
            Ok(ended) => ended,
            Err(_) => {
                tracing::warn!(grace = ?SHUTDOWN_GRACE, "cut off calls that did not end in time");
                Ok(())
            }
        }
    }

    fn serve_one(
        &self,
        port: Port,
    ) -> impl Future<Output = Result<(), tonic::transport::Error>> + Send + use<> {
        let mut stopping = self.stop.subscribe();
        let stopped = async move {
            // A sender that is gone is a server that is gone.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        let (front, routes) = match port.traffic {
            Traffic::Everything => (self.front.clone(), self.routes.clone()),
            Traffic::Grpc => (self.front.clone().without_http(), self.routes.clone()),
            Traffic::Http => (self.front.clone(), Routes::default()),
            Traffic::Metrics => (self.metrics_front.clone(), Routes::default()),
        };
        let router = self.transport().layer(front).add_routes(routes);
        let incoming = Incoming::new(port.listener.sockets(), port.door)
            .map(|accepted| accepted.map(Mended::new));
        async move { router.serve_with_incoming_shutdown(incoming, stopped).await }
    }

    fn transport(&self) -> tonic::transport::Server {
        tonic::transport::Server::builder()
            .accept_http1(true)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_concurrent_streams(self.options.max_concurrent_streams)
            .http2_keepalive_interval(self.options.keepalive_interval)
            .http2_keepalive_timeout(Some(self.options.keepalive_timeout))
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
    }
}

/// Waits for every port; the first that fails ends the wait.
async fn all_ended(
    ports: &mut JoinSet<Result<(), tonic::transport::Error>>,
) -> Result<(), ServeError> {
    while let Some(ended) = ports.join_next().await {
        ended??;
    }
    Ok(())
}

/// The size of the largest message that a service takes.
fn message_bytes_max(node: &Node) -> usize {
    node.max_request_bytes().max(DEPLOY_BYTES_MAX) + REQUEST_OVERHEAD_BYTES
}

/// Puts the gate before services.
struct GateKeeper {
    leadership: watch::Receiver<Leadership>,
    credentials: Credentials,
}

impl GateKeeper {
    fn before<S>(&self, service: S) -> Gate<S> {
        Gate::new(service, self.leadership.clone()).with(&self.credentials)
    }
}

fn add_services(node: &Node, access: &Access, stopping: &Stopping) -> Routes {
    let leadership = node.leadership();
    let ending = Ending::new(stopping.clone(), leadership.clone(), node.election_timeout());
    let message_bytes = node.max_request_bytes() + REQUEST_OVERHEAD_BYTES;
    let deploy_bytes = DEPLOY_BYTES_MAX + REQUEST_OVERHEAD_BYTES;
    let credentials = Credentials::new(node.clone(), Arc::clone(&access.scheme));
    let own = node.clone();
    // Of nobody, until a request says whose it is.
    let node = || node.acting(Caller::Nobody);

    let kv = KvServer::new(KvService { node: node(), ending: ending.clone() })
        .max_decoding_message_size(message_bytes);
    let watch = WatchServer::new(WatchService {
        credentials: credentials.clone(),
        node: node(),
        ending: ending.clone(),
    })
    .max_decoding_message_size(message_bytes);
    let lock = LockServer::new(LockService { node: node(), ending: ending.clone() })
        .max_decoding_message_size(message_bytes);
    let election = ElectionServer::new(ElectionService { node: node(), ending: ending.clone() })
        .max_decoding_message_size(message_bytes);
    let lease = LeaseServer::new(LeaseService {
        credentials: credentials.clone(),
        node: node(),
        ending: ending.clone(),
    })
    .max_decoding_message_size(message_bytes);
    let cluster = ClusterServer::new(ClusterService { node: node() })
        .max_decoding_message_size(message_bytes);
    let maintenance = MaintenanceServer::new(MaintenanceService { node: node() })
        .max_decoding_message_size(message_bytes);
    let auth = AuthServer::new(AuthService { node: node(), server: own, access: access.clone() })
        .max_decoding_message_size(message_bytes);
    let locks = LocksServer::new(LocksService { node: node(), ending: ending.clone() })
        .max_decoding_message_size(message_bytes);
    let queue = QueueServer::new(QueueService { node: node(), ending: ending.clone() })
        .max_decoding_message_size(message_bytes);
    let plugin = PluginServer::new(PluginService { node: node(), ending })
        .max_decoding_message_size(deploy_bytes);
    let recipe =
        RecipeServer::new(RecipeService { node: node() }).max_decoding_message_size(message_bytes);

    let gate = GateKeeper { leadership, credentials };
    Routes::default()
        .add_service(gate.before(kv))
        .add_service(gate.before(watch))
        .add_service(gate.before(lease))
        .add_service(gate.before(lock))
        .add_service(gate.before(election))
        .add_service(gate.before(cluster))
        .add_service(gate.before(maintenance))
        .add_service(gate.before(auth))
        .add_service(gate.before(locks))
        .add_service(gate.before(queue))
        .add_service(gate.before(plugin))
        .add_service(gate.before(recipe))
}

/// What reflection lists.
pub fn service_names() -> [&'static str; 13] {
    use portunus_proto::{etcdserverpb as etcd, portunus::v1, v3electionpb, v3lockpb};
    [
        etcd::kv_server::SERVICE_NAME,
        etcd::watch_server::SERVICE_NAME,
        etcd::lease_server::SERVICE_NAME,
        etcd::cluster_server::SERVICE_NAME,
        etcd::maintenance_server::SERVICE_NAME,
        etcd::auth_server::SERVICE_NAME,
        v3lockpb::lock_server::SERVICE_NAME,
        v3electionpb::election_server::SERVICE_NAME,
        v1::plugin_server::SERVICE_NAME,
        v1::lock_server::SERVICE_NAME,
        v1::queue_server::SERVICE_NAME,
        v1::recipe_server::SERVICE_NAME,
        "grpc.health.v1.Health",
    ]
}
