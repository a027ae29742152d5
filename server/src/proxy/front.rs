//! The proxy's port: gRPC, and HTTP beside it. The JSON gateway runs here, over the proxy's own
//! services, so that it sees the prefix and the shared watches too; what is about a member is asked
//! of one.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::{BoxFuture, Either};
use http::{Method, Request, Response, StatusCode};
use prometheus::TextEncoder;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;

use super::asked::Asked;
use super::metrics;
use super::passed::Passed;
use super::upstream::Upstream;
use crate::api::{Gateway, Metered, MeteredBody, MeteredFuture, Table, is_grpc, reply};

/// What is not gRPC.
pub struct Surface {
    pub upstream: Arc<Upstream>,
    /// None on a port for metrics alone.
    pub gateway: Option<Gateway>,
}

impl Surface {
    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let request = match &self.gateway {
            None => request,
            Some(gateway) => match gateway.answer(request).await {
                Ok(answer) => return answer,
                Err(request) => request,
            },
        };
        let path = request.uri().path();
        if !is_known(path) {
            return reply::not_found();
        }
        match (request.method(), path) {
            (&Method::GET, "/proxy/metrics") => own_metrics(),
            (&Method::GET, _) => self.of_member(request).await,
            _ => reply::only_get(),
        }
    }

    /// What one of the members says.
    async fn of_member(&self, request: Request<Body>) -> Response<Body> {
        let (mut head, _body) = request.into_parts();
        let health = matches!(head.uri.path(), "/health" | "/proxy/health");
        if health {
            let query = head.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
            if let Ok(uri) = format!("/health{query}").parse() {
                head.uri = uri;
            }
        }
        // Of a connection of HTTP/1, and of no meaning on the next.
        for name in ["host", "connection", "keep-alive", "upgrade", "transfer-encoding"] {
            head.headers.remove(name);
        }
        match self.upstream.ask(Asked::again(head, Bytes::new())).await {
            Ok(answer) => answer.map(|body| Body::new(Passed::new(body))),
            Err(status) => refused(&status, health),
        }
    }
}

fn refused(status: &Status, health: bool) -> Response<Body> {
    let code = StatusCode::SERVICE_UNAVAILABLE;
    match health {
        true => {
            let body = serde_json::json!({ "health": "false", "reason": status.message() });
            reply::json(code, body.to_string())
        }
        false => reply::error(code, status.message()),
    }
}

fn is_known(path: &str) -> bool {
    let exact = ["/metrics", "/health", "/version", "/proxy/metrics", "/proxy/health"];
    let probe = |name: &str| {
        path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    exact.contains(&path) || probe("/livez") || probe("/readyz")
}

fn own_metrics() -> Response<Body> {
    let more = metrics::CLIENT_WATCHES.get() - metrics::UPSTREAM_WATCHES.get();
    metrics::WATCHERS_COALESCING.set(more.max(0));
    match TextEncoder::new().encode_to_string(&prometheus::gather()) {
        Ok(text) => reply::content(
            StatusCode::OK,
            http::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            text,
        ),
        Err(error) => reply::error(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Puts a [`Front`] before the gRPC services.
#[derive(Clone)]
pub struct FrontLayer {
    pub table: Arc<Table>,
    pub surface: Arc<Surface>,
    /// Whether gRPC is served here.
    pub grpc: bool,
}

impl<S> tower::Layer<S> for FrontLayer {
    type Service = Front<S>;

    fn layer(&self, inner: S) -> Front<S> {
        let inner = Metered::new(inner, self.table.clone());
        Front { inner, surface: self.surface.clone(), grpc: self.grpc }
    }
}

/// Counted gRPC, and HTTP beside it.
#[derive(Clone)]
pub struct Front<S> {
    inner: Metered<S>,
    surface: Arc<Surface>,
    grpc: bool,
}

impl<S> Service<Request<Body>> for Front<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<MeteredBody>;
    type Error = Infallible;
    type Future =
        Either<MeteredFuture<S::Future>, BoxFuture<'static, Result<Self::Response, Infallible>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if self.grpc && is_grpc(request.headers()) {
            return Either::Left(self.inner.call(request));
        }
        let surface = self.surface.clone();
        Either::Right(Box::pin(
            async move { Ok(surface.answer(request).await.map(MeteredBody::plain)) },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn only_what_members_serve_is_asked_of_them() {
        for path in ["/metrics", "/proxy/health", "/livez", "/readyz/serializable_read"] {
            assert!(is_known(path), "{path}");
        }
        for path in ["/", "/debug/pprof", "/livezz", "/metrics/x", "/v2/keys"] {
            assert!(!is_known(path), "{path}");
        }
    }
}
