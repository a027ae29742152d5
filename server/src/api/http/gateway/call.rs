//! Calls a method of this process' own services with messages as bytes: gRPC's framing, headers
//! and trailers, without a connection.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Method, Request, Version};
use http_body_util::BodyExt;
use prost_reflect::MethodDescriptor;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::service::Routes;

use crate::api::descriptors::grpc_path;
use crate::api::meter::{Metered, MeteredBody};

const HEAD_BYTES: usize = 5;
/// HTTP headers that begin so are metadata of the call, as grpc-gateway has it.
const METADATA_PREFIX: &str = "grpc-metadata-";

/// The services, as a client across the network would reach them.
pub type Services = Metered<Routes>;

/// A message with its head.
pub fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(HEAD_BYTES + message.len());
    frame.put_u8(0);
    // A body is bounded far below this.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}

/// Opens a call whose messages come from `body`.
pub async fn open(
    services: &Services,
    method: &MethodDescriptor,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answers, Status> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.version_mut() = Version::HTTP_2;
    let path = grpc_path(method).parse();
    *request.uri_mut() = path.map_err(|_| Status::internal("a method has no path"))?;
    *request.headers_mut() = metadata(headers);
    let mut services = services.clone();
    let Ok(()) = std::future::poll_fn(|cx| services.poll_ready(cx)).await;
    let Ok(response) = services.call(request).await;
    if let Some(status) = Status::from_header_map(response.headers())
        && status.code() != tonic::Code::Ok
    {
        return Err(status);
    }
    Ok(Answers { body: response.into_body(), held: BytesMut::new() })
}

/// Who asks and under what conditions, from the HTTP request.
fn metadata(headers: &HeaderMap) -> HeaderMap {
    let mut metadata = HeaderMap::new();
    metadata.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    metadata.insert(TE, HeaderValue::from_static("trailers"));
    if let Some(token) = headers.get(AUTHORIZATION) {
        metadata.insert(AUTHORIZATION, token.clone());
    }
    let timeout = HeaderName::from_static("grpc-timeout");
    if let Some(limit) = headers.get(&timeout) {
        metadata.insert(timeout, limit.clone());
    }
    for (name, value) in headers {
        let name = name.as_str().strip_prefix(METADATA_PREFIX);
        // What begins with grpc is gRPC's own.
        let name = name.filter(|name| !name.starts_with("grpc") && *name != "te");
        if let Some(name) = name.and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok())
            && name != CONTENT_TYPE
        {
            metadata.append(name, value.clone());
        }
    }
    metadata
}

/// The answers to a call, in order.
pub struct Answers {
    body: MeteredBody,
    held: BytesMut,
}

impl Answers {
    /// The next answer; `None` once the call has ended well.
    pub async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        loop {
            if let Some(message) = self.take() {
                return Some(Ok(message));
            }
            let frame = match self.body.frame().await? {
                Ok(frame) => frame,
                Err(status) => return Some(Err(status)),
            };
            if let Some(data) = frame.data_ref() {
                self.held.extend_from_slice(data);
            } else if let Some(status) = frame.trailers_ref().and_then(Status::from_header_map)
                && status.code() != tonic::Code::Ok
            {
                return Some(Err(status));
            }
        }
    }

    /// The one answer to a unary call.
    pub async fn only(mut self) -> Result<Bytes, Status> {
        let missing = || Status::internal("the service gave no answer");
        let answer = self.next().await.ok_or_else(missing)??;
        // The outcome follows the answer.
        match self.next().await {
            Some(Err(status)) => Err(status),
            _ => Ok(answer),
        }
    }

    fn take(&mut self) -> Option<Bytes> {
        let head = self.held.get(..HEAD_BYTES)?;
        let bytes = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if self.held.len() < HEAD_BYTES + bytes {
            return None;
        }
        self.held.advance(HEAD_BYTES);
        Some(self.held.split_to(bytes).freeze())
    }
}

#[cfg(test)]
mod tests {
    use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};

    use super::{framed, metadata};

    #[test]
    fn a_frame_is_a_head_and_the_message() {
        assert_eq!(&framed(b"abc")[..], [0, 0, 0, 0, 3, b'a', b'b', b'c']);
    }

    #[test]
    fn only_what_is_meant_as_metadata_reaches_the_service() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("authorization", "token"),
            ("grpc-metadata-hasleader", "true"),
            ("grpc-metadata-grpc-status", "0"),
            ("grpc-metadata-content-type", "text/plain"),
            ("cookie", "x"),
            ("hasleader", "true"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        let metadata = metadata(&headers);
        assert_eq!(metadata.get(AUTHORIZATION).expect("passed on"), "token");
        assert_eq!(metadata.get("hasleader").expect("named so"), "true");
        assert_eq!(metadata.get("content-type").expect("always"), "application/grpc");
        assert!(metadata.get("grpc-status").is_none() && metadata.get("cookie").is_none());
        assert_eq!(metadata.len(), 4);
    }
}
