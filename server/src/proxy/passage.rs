//! gRPC's framing of messages in a body: taken apart and put together again, with each message
//! changed on the way.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame};
use tonic::Status;

use super::namespace::{Map, Namespace};
use super::passed::trailers;

const HEAD_BYTES: usize = 5;

/// Takes the first message off what has come; `None` while it is not all there.
///
/// # Errors
/// It is compressed.
pub fn next(held: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    let Some(head) = held.get(..HEAD_BYTES) else { return Ok(None) };
    if head[0] != 0 {
        return Err(Status::unimplemented(
            "portunus proxy: compressed messages cannot be given a prefix: send them plain",
        ));
    }
    let bytes = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    if held.len() < HEAD_BYTES + bytes {
        return Ok(None);
    }
    held.advance(HEAD_BYTES);
    Ok(Some(held.split_to(bytes).freeze()))
}

/// Appends a message with its head.
pub fn put(message: &[u8], to: &mut BytesMut) {
    to.reserve(HEAD_BYTES + message.len());
    to.put_u8(0);
    // A length is a u32 on its way in, and a prefix adds little; what is longer no member takes.
    to.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    to.put_slice(message);
}

/// A whole body with each message changed.
pub fn each(
    body: &[u8],
    mut change: impl FnMut(Bytes) -> Result<Bytes, Status>,
) -> Result<Bytes, Status> {
    let (mut held, mut changed) = (BytesMut::from(body), BytesMut::new());
    while let Some(message) = next(&mut held)? {
        put(&change(message)?, &mut changed);
    }
    match held.is_empty() {
        true => Ok(changed.freeze()),
        false => Err(Status::internal("a message of the request is cut off")),
    }
}

/// A body of answers, each changed as it comes.
pub struct Mapped<B> {
    inner: B,
    namespace: Arc<Namespace>,
    map: Map,
    held: BytesMut,
    ended: bool,
}

impl<B> Mapped<B> {
    pub fn new(inner: B, namespace: Arc<Namespace>, map: Map) -> Self {
        Self { inner, namespace, map, held: BytesMut::new(), ended: false }
    }

    /// The messages that are complete now, changed.
    fn changed(&mut self) -> Result<Bytes, Status> {
        let mut changed = BytesMut::new();
        while let Some(message) = next(&mut self.held)? {
            put(&(self.map)(&self.namespace, message)?, &mut changed);
        }
        Ok(changed.freeze())
    }
}

impl<B> HttpBody for Mapped<B>
where
    B: HttpBody<Data = Bytes, Error = Status> + Unpin,
{
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        while !this.ended {
            let Some(frame) = ready!(Pin::new(&mut this.inner).poll_frame(cx)?) else {
                return Poll::Ready(None);
            };
            let data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
            this.held.extend_from_slice(&data);
            match this.changed() {
                Ok(changed) if changed.is_empty() => {}
                Ok(changed) => return Poll::Ready(Some(Ok(Frame::data(changed)))),
                Err(status) => {
                    this.ended = true;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers(&status)))));
                }
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || (self.held.is_empty() && self.inner.is_end_stream())
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use tonic::Code;

    use super::{each, next, put};

    #[test]
    fn messages_come_out_as_they_went_in_and_changed() {
        let mut body = BytesMut::new();
        for message in [&b"one"[..], b"", b"three"] {
            put(message, &mut body);
        }
        let changed = each(&body, |message| Ok([b"-", &message[..]].concat().into()));
        let mut changed = BytesMut::from(&changed.expect("whole")[..]);
        let mut messages = Vec::new();
        while let Some(message) = next(&mut changed).expect("plain") {
            messages.push(message);
        }
        assert_eq!(messages, ["-one", "-", "-three"].map(Bytes::from));
    }

    #[test]
    fn what_is_cut_off_or_compressed_is_refused() {
        let mut body = BytesMut::new();
        put(b"message", &mut body);
        let cut = each(&body[..body.len() - 1], Ok).expect_err("cut off");
        assert_eq!(cut.code(), Code::Internal);
        body[0] = 1;
        assert_eq!(each(&body, Ok).expect_err("compressed").code(), Code::Unimplemented);
    }
}
