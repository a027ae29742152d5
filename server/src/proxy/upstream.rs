//! The cluster as the proxy knows it: its endpoints, which one serves, and a request's way through
//! them until one has answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::uri::{PathAndQuery, Uri};
use http::{Request, Response, Version};
use hyper::body::Incoming;
use parking_lot::Mutex;
use rand::Rng;
use tonic::body::Body;
use tonic::{Code, Status};

use super::asked::Asked;
use super::candidates::order;
use super::connection::Outcome;
use super::endpoint::{Dialing, Endpoint};
use super::metrics;
use super::source::{Source, SourceError};
use crate::clock::Tick;
use crate::tls::Target;

/// How often endpoints that are down are tried.
const PROBE_EVERY: Duration = Duration::from_secs(1);
/// Names are not looked up more often than this.
const RESOLVE_EVERY: Duration = Duration::from_secs(1);

/// The endpoints of one cluster.
pub struct Upstream {
    source: Source,
    dialing: Dialing,
    endpoints: ArcSwap<Vec<Arc<Endpoint>>>,
    /// The place of the one that served last.
    current: AtomicUsize,
    resolved: Mutex<Tick>,
}

/// One round through the endpoints.
enum Round {
    Answered(Response<Incoming>),
    /// All were asked, or could not be.
    Nobody {
        failures: Vec<String>,
        /// What one said that cannot serve.
        said: Option<Response<Incoming>>,
        /// Some connection was there and broke.
        broke: bool,
    },
}

impl Upstream {
    /// Looks the endpoints up. Nothing is connected to yet.
    ///
    /// # Errors
    /// There are none.
    pub async fn new(source: Source, dialing: Dialing) -> Result<Arc<Self>, SourceError> {
        let endpoints = endpoints(&[], source.targets().await?, &dialing);
        // Proxies begin with different members, so that these share the work; records of DNS say by
        // themselves who is first.
        let current = match source.changes() {
            true => 0,
            false => rand::rng().random_range(0..endpoints.len().max(1)),
        };
        Ok(Arc::new(Self {
            source,
            resolved: Mutex::new(dialing.clock.now()),
            dialing,
            endpoints: ArcSwap::from_pointee(endpoints),
            current: AtomicUsize::new(current),
        }))
    }

    /// Whether some endpoint is reached over TLS.
    pub fn secure(&self) -> bool {
        self.endpoints.load().iter().any(|endpoint| endpoint.target.secure)
    }

    /// Keeps trying what is down, until the task is dropped.
    pub async fn probe(self: Arc<Self>) {
        loop {
            tokio::time::sleep(PROBE_EVERY).await;
            let endpoints = self.endpoints.load_full();
            let down = endpoints.iter().filter(|endpoint| endpoint.down());
            futures::future::join_all(down.map(|endpoint| endpoint.connection())).await;
            if endpoints.iter().all(|endpoint| endpoint.down()) {
                self.resolve().await;
            }
        }
    }

    /// Asks one endpoint after the other, until one has answered.
    ///
    /// # Errors
    /// Nobody did, or it is not known whether somebody has done what was asked.
    pub async fn ask(&self, mut asked: Asked) -> Result<Response<Incoming>, Status> {
        let mut last = self.round(&mut asked).await?;
        // A connection that broke may have been the old one to a member that is back.
        if let Round::Nobody { broke, said: None, .. } = last
            && (self.resolve().await || broke)
        {
            last = self.round(&mut asked).await?;
        }
        match last {
            Round::Answered(answer) | Round::Nobody { said: Some(answer), .. } => Ok(answer),
            Round::Nobody { failures, .. } => {
                metrics::UNANSWERED.inc();
                let why = failures.join("; ");
                Err(Status::unavailable(format!(
                    "portunus proxy: no endpoint can be reached: {why}"
                )))
            }
        }
    }

    async fn round(&self, asked: &mut Asked) -> Result<Round, Status> {
        let endpoints = self.endpoints.load_full();
        let fit: Vec<_> = endpoints.iter().map(|endpoint| endpoint.fit()).collect();
        let (mut failures, mut said, mut broke) = (Vec::new(), None, false);
        for place in order(&fit, self.current.load(Ordering::Relaxed)) {
            let endpoint = &endpoints[place];
            let connection = match endpoint.connection().await {
                Ok(connection) => connection,
                Err(error) => {
                    failures.push(format!("{}: {error}", endpoint.target));
                    metrics::FAILOVERS.inc();
                    continue;
                }
            };
            let Some(request) = asked.take() else { break };
            match connection.send(addressed(request, endpoint)?).await {
                Outcome::Answered(answer) if !is_unavailable(&answer) => {
                    self.current.store(place, Ordering::Relaxed);
                    return Ok(Round::Answered(answer));
                }
                Outcome::Answered(answer) => {
                    endpoint.rest();
                    if !asked.repeats() {
                        return Ok(Round::Answered(answer));
                    }
                    said = Some(answer);
                }
                Outcome::Unsent(request, why) => {
                    endpoint.rest();
                    broke = true;
                    asked.put_back(request);
                    failures.push(format!("{}: {why}", endpoint.target));
                }
                Outcome::Lost(why) => {
                    endpoint.rest();
                    if !asked.repeats() {
                        return Err(Status::unavailable(format!(
                            "portunus proxy: the connection to {} broke before the answer, look \
                             before you try again: {why}",
                            endpoint.target
                        )));
                    }
                    broke = true;
                    failures.push(format!("{}: {why}", endpoint.target));
                }
            }
            metrics::FAILOVERS.inc();
        }
        Ok(Round::Nobody { failures, said, broke })
    }

    /// Looks the endpoints up again; tells whether they are others now.
    async fn resolve(&self) -> bool {
        if !self.source.changes() {
            return false;
        }
        let now = self.dialing.clock.now();
        {
            let mut resolved = self.resolved.lock();
            if now.since(*resolved) < RESOLVE_EVERY {
                return false;
            }
            *resolved = now;
        }
        let targets = match self.source.targets().await {
            Ok(targets) => targets,
            Err(error) => {
                tracing::warn!(%error, "endpoints cannot be looked up");
                return false;
            }
        };
        self.replace(targets)
    }

    /// Serves with these from now on; tells whether they are others. Calls that are under way at
    /// one that has gone go on.
    pub(super) fn replace(&self, targets: Vec<Target>) -> bool {
        let before = self.endpoints.load_full();
        let known = |target: &Target| before.iter().any(|endpoint| endpoint.target == *target);
        if targets.len() == before.len() && targets.iter().all(known) {
            return false;
        }
        let named: Vec<_> = targets.iter().map(ToString::to_string).collect();
        tracing::info!(endpoints = ?named, "endpoints have changed");
        self.endpoints.store(Arc::new(endpoints(&before, targets, &self.dialing)));
        true
    }
}

/// An endpoint for each target; those that are known keep their connections.
fn endpoints(
    known: &[Arc<Endpoint>],
    targets: Vec<Target>,
    dialing: &Dialing,
) -> Vec<Arc<Endpoint>> {
    let mut endpoints = Vec::with_capacity(targets.len());
    for target in targets {
        if let Some(endpoint) = known.iter().find(|endpoint| endpoint.target == target) {
            endpoints.push(endpoint.clone());
            continue;
        }
        let name = target.to_string();
        match Endpoint::new(target, dialing.clone()) {
            Ok(endpoint) => endpoints.push(Arc::new(endpoint)),
            Err(error) => tracing::warn!(endpoint = name, %error, "endpoint has no usable name"),
        }
    }
    endpoints
}

/// The request as `endpoint` is to see it.
fn addressed(mut request: Request<Body>, endpoint: &Endpoint) -> Result<Request<Body>, Status> {
    let path = request.uri().path_and_query().cloned();
    let uri = Uri::builder()
        .scheme(endpoint.scheme.clone())
        .authority(endpoint.authority.clone())
        .path_and_query(path.unwrap_or_else(|| PathAndQuery::from_static("/")))
        .build();
    *request.uri_mut() = uri.map_err(|error| Status::internal(error.to_string()))?;
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}

/// The member has refused the call as a whole because it cannot serve now.
fn is_unavailable<B>(answer: &Response<B>) -> bool {
    let status = answer.headers().get(Status::GRPC_STATUS);
    status.is_some_and(|code| Code::from_bytes(code.as_bytes()) == Code::Unavailable)
}
