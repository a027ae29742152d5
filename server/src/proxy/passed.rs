//! The body of a member's answer. One that breaks off ends with a gRPC status, so that the client
//! hears `unavailable`, as from etcd's own clients, and not an error of the transport.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use hyper::body::Incoming;
use tonic::Status;

use super::connection::text;

/// The body.
pub struct Passed {
    inner: Incoming,
    ended: bool,
}

impl Passed {
    pub fn new(inner: Incoming) -> Self {
        Self { inner, ended: false }
    }
}

/// The end of an answer, in the form in which it comes after the messages.
pub fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // The text cannot stand in a header; the code can.
        let code = http::HeaderValue::from(status.code() as i32);
        trailers.insert(Status::GRPC_STATUS, code);
    }
    trailers
}

impl HttpBody for Passed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let frame = match ready!(Pin::new(&mut this.inner).poll_frame(cx)) {
            Some(Ok(frame)) => {
                this.ended = frame.is_trailers();
                Some(Ok(frame))
            }
            Some(Err(error)) => {
                this.ended = true;
                let why = text(&error);
                let status = Status::unavailable(format!(
                    "portunus proxy: the connection to the member broke: {why}"
                ));
                Some(Ok(Frame::trailers(trailers(&status))))
            }
            None => None,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}
