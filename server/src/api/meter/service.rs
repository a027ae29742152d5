//! The services with their calls counted. Costs a call one look-up, one small allocation and a few
//! relaxed additions.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use tonic::body::Body;
use tonic::codegen::Service;

use super::body::{Incoming, Metered as MeteredBody, code};
use super::table::{Running, Table};

/// `S` with its calls counted.
#[derive(Clone)]
pub struct Metered<S> {
    inner: S,
    table: Arc<Table>,
}

impl<S> Metered<S> {
    pub fn new(inner: S, table: Arc<Table>) -> Self {
        Self { inner, table }
    }
}

impl<S> Service<Request<Body>> for Metered<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response<MeteredBody>;
    type Error = Infallible;
    type Future = MeteredFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let call = self.table.begin(request.uri().path(), request.headers());
        let request = match &call {
            Some(call) => {
                let received = call.method.received.clone();
                request.map(|body| Body::new(Incoming::new(body, received)))
            }
            None => request,
        };
        MeteredFuture { inner: self.inner.call(request), call }
    }
}

/// A call whose answer has not begun.
pub struct MeteredFuture<F> {
    inner: F,
    call: Option<Running>,
}

impl<F> Future for MeteredFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>> + Unpin,
{
    type Output = Result<Response<MeteredBody>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let Ok(answer) = ready!(Pin::new(&mut this.inner).poll(cx));
        let mut call = this.call.take();
        if let (Some(call), Some(code)) = (&mut call, code(answer.headers())) {
            call.end(code);
        }
        Poll::Ready(Ok(answer.map(|body| MeteredBody::new(body, call))))
    }
}
