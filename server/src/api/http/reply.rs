//! Answers as Go's HTTP server words them; scripts compare their bodies.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};
use tonic::body::Body;

const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// A body of any kind.
pub fn content(status: StatusCode, kind: HeaderValue, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = Response::new(Body::new(http_body_util::Full::new(body.into())));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// Plain text.
pub fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    content(status, PLAIN, body)
}

/// Plain text that no browser may take for anything else.
pub fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut answer = text(status, body);
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    answer
}

/// An error as Go's `http.Error` writes it: the text and a newline.
pub fn error(status: StatusCode, text: &str) -> Response<Body> {
    plain(status, format!("{text}\n"))
}

pub fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    content(status, HeaderValue::from_static("application/json"), body)
}

pub fn not_found() -> Response<Body> {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

/// For a path that can only be read.
pub fn only_get() -> Response<Body> {
    let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    answer
}

/// On a port for gRPC alone.
pub fn not_grpc(headers: &HeaderMap) -> Response<Body> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    let text = format!("invalid gRPC request content-type {kind:?}");
    error(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text)
}
