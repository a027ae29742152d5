//! Bodies that count what passes. An answer's body also knows when the call has ended: its
//! trailers say how, and a body that is dropped before them was given up.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame, SizeHint};
use prometheus::IntCounter;
use tonic::body::Body;
use tonic::{Code, Status};

use super::messages::Messages;
use super::table::{RECEIVED_BYTES, Running, SENT_BYTES};

/// The code that headers or trailers name.
pub(super) fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get(Status::GRPC_STATUS).map(|status| Code::from_bytes(status.as_bytes()))
}

/// The body of an answer.
pub struct Metered {
    inner: Body,
    messages: Messages,
    call: Option<Running>,
}

impl Metered {
    pub(super) fn new(inner: Body, call: Option<Running>) -> Self {
        Self { inner, messages: Messages::default(), call }
    }

    /// A body that is no answer to a call.
    pub fn plain(inner: Body) -> Self {
        Self::new(inner, None)
    }

    fn note(&mut self, frame: &Option<Result<Frame<Bytes>, Status>>) {
        let Some(call) = &mut self.call else { return };
        match frame {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    let passed = self.messages.pass(data);
                    call.method.sent.inc_by(passed.messages);
                    SENT_BYTES.inc_by(passed.bytes);
                } else if let Some(trailers) = frame.trailers_ref() {
                    call.end(code(trailers).unwrap_or(Code::Unknown));
                }
            }
            Some(Err(status)) => call.end(status.code()),
            // Every answer has trailers, unless its status was in the headers.
            None => call.end(Code::Unknown),
        }
    }
}

impl HttpBody for Metered {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        this.note(&frame);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// The body of a request.
pub(super) struct Incoming {
    inner: Body,
    messages: Messages,
    received: IntCounter,
}

impl Incoming {
    pub fn new(inner: Body, received: IntCounter) -> Self {
        Self { inner, messages: Messages::default(), received }
    }
}

impl HttpBody for Incoming {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        let frame = ready!(Pin::new(&mut this.inner).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let passed = this.messages.pass(data);
            this.received.inc_by(passed.messages);
            RECEIVED_BYTES.inc_by(passed.bytes);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
