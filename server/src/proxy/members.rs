//! The members that a client hears of: the proxy itself, where it is told what it is called, so
//! that clients which look for members do not go around it.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response};
use http_body_util::{BodyExt, Full};
use portunus_proto::etcdserverpb::{Member, MemberListResponse};
use prost::Message;
use tonic::body::Body;
use tonic::{Code, Status};

use super::passage;

const PATH: &str = "/etcdserverpb.Cluster/MemberList";

/// What the proxy calls itself.
pub struct Advertised {
    message: Bytes,
}

impl Advertised {
    pub fn new(name: String, url: String) -> Self {
        let member = Member { name, client_urls: vec![url], ..Default::default() };
        let answer = MemberListResponse { members: vec![member], ..Default::default() };
        let mut message = BytesMut::new();
        passage::put(&answer.encode_to_vec(), &mut message);
        Self { message: message.freeze() }
    }

    pub fn answers(&self, path: &str) -> bool {
        path == PATH
    }

    pub fn answer(&self) -> Response<Body> {
        let mut trailers = HeaderMap::new();
        trailers.insert(Status::GRPC_STATUS, HeaderValue::from(Code::Ok as i32));
        let body = Full::new(self.message.clone());
        let body = body.with_trailers(std::future::ready(Some(Ok(trailers))));
        let mut answer = Response::new(Body::new(body));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        answer
    }
}
