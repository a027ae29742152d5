//! A call's way through the proxy: as bytes where it can be, its keys put under the prefix where
//! there is one.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use tonic::Status;
use tonic::body::Body;
use tower::Service;

use super::asked::Asked;
use super::members::Advertised;
use super::namespace::{Namespace, Passage};
use super::passage::{self, Mapped};
use super::passed::Passed;
use super::upstream::Upstream;
use super::{keep_alive, methods};

/// A message that must be held as a whole may have this size; members take far less.
const HELD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Passes calls on; a copy is the same.
#[derive(Clone)]
pub struct Forwarder(Arc<Inner>);

struct Inner {
    upstream: Arc<Upstream>,
    namespace: Option<Arc<Namespace>>,
    advertised: Option<Advertised>,
}

impl Forwarder {
    pub fn new(
        upstream: Arc<Upstream>,
        namespace: Option<Arc<Namespace>>,
        advertised: Option<Advertised>,
    ) -> Self {
        Self(Arc::new(Inner { upstream, namespace, advertised }))
    }

    /// Passes one call on, keys and all; the caller has put them under the prefix itself.
    pub fn raw(&self) -> Self {
        Self::new(self.0.upstream.clone(), None, None)
    }

    /// Answers one call.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        self.pass(request).await.unwrap_or_else(Status::into_http)
    }

    async fn pass(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let path = request.uri().path();
        if let Some(advertised) = &self.0.advertised
            && advertised.answers(path)
        {
            return Ok(advertised.answer());
        }
        if path == keep_alive::PATH {
            return Ok(keep_alive::serve(self.0.upstream.clone(), request).await);
        }
        let passage = match &self.0.namespace {
            None => Passage::default(),
            Some(_) => Passage::of(path)?,
        };
        let (asked, passage) = self.asked(request, passage).await?;
        let answer = self.0.upstream.ask(asked).await?;
        let answer = answer.map(Passed::new);
        Ok(match (&self.0.namespace, passage.answer) {
            (Some(namespace), Some(map)) => {
                let namespace = namespace.clone();
                answer.map(|body| Body::new(Mapped::new(body, namespace, map)))
            }
            _ => answer.map(Body::new),
        })
    }

    async fn asked(
        &self,
        request: Request<Body>,
        passage: Passage,
    ) -> Result<(Asked, Passage), Status> {
        let reads = methods::reads(request.uri().path());
        let (mut head, body) = request.into_parts();
        if passage.answer.is_some() {
            // What comes back must be readable here.
            head.headers.remove("grpc-accept-encoding");
        }
        if !reads && passage.request.is_none() {
            return Ok((Asked::once(Request::from_parts(head, body)), passage));
        }
        let mut body = held(body).await?;
        if let (Some(namespace), Some(map)) = (&self.0.namespace, passage.request) {
            body = passage::each(&body, |message| map(namespace, message))?;
        }
        let asked = match reads {
            true => Asked::again(head, body),
            false => {
                let body = Body::new(Full::new(body));
                Asked::once(Request::from_parts(head, body))
            }
        };
        Ok((asked, passage))
    }
}

/// The whole of a body.
pub async fn held(body: Body) -> Result<Bytes, Status> {
    match Limited::new(body, HELD_BYTES_MAX).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Status::resource_exhausted(format!(
            "portunus proxy: a request has more than {HELD_BYTES_MAX} bytes"
        ))),
        Err(error) => Err(Status::cancelled(format!("the request broke off: {error}"))),
    }
}

impl<B> Service<Request<B>> for Forwarder
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request.map(Body::new)).await) })
    }
}
