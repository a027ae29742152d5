//! What stands before every service: the client's demand for a leader, its API version, what a
//! learner does not answer, and gRPC's
//! own size limit in the words that etcd's clients know. Costs a few header look-ups per call.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use futures::TryFutureExt;
use futures::future::{Either, MapOk};
use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, HeaderName, Request, Response};
use tonic::server::NamedService;

use super::access::Credentials;
use super::status;
use crate::node::Failure;
use crate::raft::Leadership;

static HAS_LEADER: HeaderName = HeaderName::from_static("hasleader");
static CLIENT_API_VERSION: HeaderName = HeaderName::from_static("client-api-version");

/// What a learner answers; of ranges those that are serializable, which their service sees to.
const LEARNER_CALLS: [&str; 3] = [
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.Maintenance/Status",
    "/etcdserverpb.Maintenance/Snapshot",
];

/// True when the caller wants to fail rather than talk to a member without a leader.
pub fn requires_leader(headers: &HeaderMap) -> bool {
    headers.get(&HAS_LEADER).is_some_and(|value| value == "true")
}

/// A service behind the gate.
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    leadership: watch::Receiver<Leadership>,
    credentials: Option<Credentials>,
}

impl<S> Gate<S> {
    pub fn new(inner: S, leadership: watch::Receiver<Leadership>) -> Self {
        Self { inner, leadership, credentials: None }
    }

    /// Has the gate find out who calls.
    pub fn with(self, credentials: &Credentials) -> Self {
        Self { credentials: Some(credentials.clone()), ..self }
    }

    fn check(&self, path: &str, headers: &HeaderMap) -> Result<(), Status> {
        if let Some(version) = headers.get(&CLIENT_API_VERSION)
            && std::str::from_utf8(version.as_bytes()).is_err()
        {
            return Err(status::invalid_client_api_version());
        }
        let leadership = self.leadership.borrow();
        if leadership.is_learner && !LEARNER_CALLS.contains(&path) {
            return Err(status::not_for_learners());
        }
        if requires_leader(headers) && leadership.leader.is_none() {
            return Err(status::of_failure(Failure::NoLeader));
        }
        Ok(())
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Response<Body>;

impl<S, B> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Answer, Error = Infallible>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Either<MapOk<S::Future, fn(Answer) -> Answer>, Ready<Result<Answer, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        if let Some(credentials) = &self.credentials {
            let headers = std::mem::take(request.headers_mut());
            credentials.note(&headers, request.extensions_mut());
            *request.headers_mut() = headers;
        }
        match self.check(request.uri().path(), request.headers()) {
            Ok(()) => {
                let reword: fn(Answer) -> Answer = status::reword_transport_refusal;
                Either::Left(self.inner.call(request).map_ok(reword))
            }
            Err(status) => Either::Right(ready(Ok(status.into_http()))),
        }
    }
}

#[cfg(test)]
#[path = "gate_test.rs"]
mod tests;
