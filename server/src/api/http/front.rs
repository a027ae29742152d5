//! Parts gRPC from everything else on one port, by what a request says it carries.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::{BoxFuture, Either};
use http::header::{CONTENT_TYPE, HeaderMap};
use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::Service;

use super::reply;
use super::surface::Surface;
use crate::api::caller::ClientName;
use crate::api::meter::{Metered, MeteredBody, MeteredFuture, Table};

/// Puts a [`Front`] before the gRPC services.
#[derive(Clone)]
pub struct FrontLayer {
    pub table: Arc<Table>,
    /// None on a port for gRPC alone.
    pub surface: Option<Arc<Surface>>,
}

impl FrontLayer {
    /// The same with nothing but gRPC.
    pub fn without_http(self) -> Self {
        Self { surface: None, ..self }
    }
}

impl<S> tower::Layer<S> for FrontLayer {
    type Service = Front<S>;

    fn layer(&self, grpc: S) -> Front<S> {
        Front { grpc: Metered::new(grpc, self.table.clone()), surface: self.surface.clone() }
    }
}

/// Counted gRPC, and HTTP beside it.
#[derive(Clone)]
pub struct Front<S> {
    grpc: Metered<S>,
    surface: Option<Arc<Surface>>,
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
        self.grpc.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if is_grpc(request.headers()) {
            ClientName::note(request.extensions_mut());
            return Either::Left(self.grpc.call(request));
        }
        let surface = self.surface.clone();
        Either::Right(Box::pin(async move {
            let answer = match surface {
                Some(surface) => surface.answer(request).await,
                None => reply::not_grpc(request.headers()),
            };
            Ok(answer.map(MeteredBody::plain))
        }))
    }
}

/// Whether a request with these headers is a gRPC call.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes());
    kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
}
