//! One HTTP/2 connection to a member, and what becomes of a request on it: answered, not sent, or
//! sent and without an answer. The difference decides whether a write may be asked again.

use std::io;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tonic::body::Body;

use crate::tls::Connection as Stream;

/// Bytes a member may send on one stream before it must wait.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// When a silent connection is asked for a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    /// Silence after which it is asked; `None` never.
    pub interval: Option<Duration>,
    /// How long the answer may take.
    pub timeout: Duration,
    /// Also while no call is under way.
    pub while_idle: bool,
}

/// What became of a request.
pub enum Outcome {
    Answered(Response<Incoming>),
    /// The member has seen nothing of it.
    Unsent(Box<Request<Body>>, String),
    /// The member may have seen it, and done what it asks.
    Lost(String),
}

/// A connection that requests can be sent on; a copy is the same connection.
#[derive(Clone)]
pub struct Connection(SendRequest<Body>);

impl Connection {
    /// Shakes hands over `stream`; it is driven by a task of its own until it ends.
    ///
    /// # Errors
    /// The other end does not speak HTTP/2.
    pub async fn open(stream: Stream, keep_alive: KeepAlive) -> io::Result<Self> {
        let mut builder = Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .keep_alive_interval(keep_alive.interval)
            .keep_alive_timeout(keep_alive.timeout)
            .keep_alive_while_idle(keep_alive.while_idle);
        let (sender, driver) =
            builder.handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a connection to a member broke");
            }
        });
        Ok(Self(sender))
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    pub async fn send(mut self, request: Request<Body>) -> Outcome {
        match self.0.try_send_request(request).await {
            Ok(answer) => Outcome::Answered(answer),
            Err(mut failed) => match failed.take_message() {
                Some(request) => Outcome::Unsent(Box::new(request), text(failed.error())),
                None => Outcome::Lost(text(failed.error())),
            },
        }
    }
}

/// An error with its causes: the outermost alone says next to nothing.
pub fn text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
