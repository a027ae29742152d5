//! One request of the gateway: from its path to the method, from JSON to the message, and back.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use http::header::{HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use prost_reflect::MethodDescriptor;
use tonic::Status;
use tonic::body::Body;

use super::call::{self, Services};
use super::{failure, json, paths, stream};
use crate::api::http::reply;

/// grpc-gateway passes on the headers of the call; this one is always among them.
static CALL_CONTENT_TYPE: HeaderName = HeaderName::from_static("grpc-metadata-content-type");

/// A body of up to so many times its bound is read to its end, unheeded: a client that is still
/// sending when the connection closes would not see why it was refused.
const UNHEEDED: usize = 4;

/// The gateway of one member.
pub struct Gateway {
    services: Services,
    paths: BTreeMap<String, MethodDescriptor>,
    /// Bytes that a request's JSON may have.
    body_bytes_max: usize,
}

impl Gateway {
    /// `message_bytes_max` is the size of the largest message that a service takes.
    pub fn new(services: Services, message_bytes_max: usize) -> Self {
        // Base64 makes four bytes of three; the names take far less than the overhead in it.
        let body_bytes_max = message_bytes_max.div_ceil(3) * 4;
        Self { services, paths: paths::all(), body_bytes_max }
    }

    /// Answers if the path is one of the gateway's; else gives the request back.
    pub async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, Request<Body>> {
        let Some(path) = paths::canonical(request.uri().path()) else { return Err(request) };
        let Some(method) = self.paths.get(&path) else {
            return Ok(failure::answer(&Status::not_found("Not Found")));
        };
        if request.method() != Method::POST {
            return Ok(failure::answer(&Status::unimplemented("Method Not Allowed")));
        }
        let mut answer = match method.is_server_streaming() {
            true => match stream::serve(&self.services, method, request, self.body_bytes_max).await
            {
                Ok(answer) => answer,
                Err(status) => return Ok(failure::instead_of_stream(&status)),
            },
            false => match self.unary(method, request).await {
                Ok(text) => reply::json(StatusCode::OK, text),
                Err(status) => return Ok(failure::answer(&status)),
            },
        };
        let grpc = HeaderValue::from_static("application/grpc");
        answer.headers_mut().insert(CALL_CONTENT_TYPE.clone(), grpc);
        Ok(answer)
    }

    async fn unary(
        &self,
        method: &MethodDescriptor,
        request: Request<Body>,
    ) -> Result<Vec<u8>, Status> {
        let (parts, body) = request.into_parts();
        let text = collect(body, self.body_bytes_max).await?;
        let message = json::to_wire(&method.input(), &text)?;
        let body = Body::new(http_body_util::Full::new(call::framed(&message)));
        let answers = call::open(&self.services, method, &parts.headers, body).await?;
        json::from_wire(&method.output(), answers.only().await?)
    }
}

/// The whole body, if it is not too long.
pub async fn collect(mut body: Body, bytes_max: usize) -> Result<Bytes, Status> {
    let (mut text, mut seen) = (BytesMut::new(), 0);
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Status::invalid_argument(format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        seen += data.len();
        if seen > bytes_max * UNHEEDED {
            break;
        }
        if seen <= bytes_max {
            text.extend_from_slice(&data);
        }
    }
    if seen > bytes_max { Err(too_long(bytes_max)) } else { Ok(text.freeze()) }
}

fn too_long(bytes_max: usize) -> Status {
    Status::resource_exhausted(format!("the body is longer than {bytes_max} bytes"))
}
