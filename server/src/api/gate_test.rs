//! The gate in front of a service that records whether it was reached.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use tokio::sync::watch;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::codegen::http::{HeaderValue, Request, Response};

use super::Gate;
use crate::raft::Leadership;

/// Answers every call with a fixed refusal, or well.
#[derive(Clone)]
struct Fixed(Option<Status>);

impl Service<Request<()>> for Fixed {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(match &self.0 {
            Some(status) => status.clone().into_http(),
            None => Response::new(Body::empty()),
        }))
    }
}

async fn outcome(
    leader: Option<u64>,
    header: (&str, &[u8]),
    inner: Option<Status>,
) -> Option<Status> {
    let (_keep, leadership) = watch::channel(Leadership { leader, ..Leadership::default() });
    let mut gate = Gate::new(Fixed(inner), leadership);
    let mut request = Request::new(());
    let value = HeaderValue::from_bytes(header.1).expect("a legal header");
    request
        .headers_mut()
        .insert(header.0.parse::<tonic::codegen::http::HeaderName>().expect("a legal name"), value);
    let answer = gate.call(request).await.expect("infallible");
    Status::from_header_map(answer.headers())
}

#[tokio::test]
async fn a_demand_for_a_leader_is_met_or_refused() {
    let refused = outcome(None, ("hasleader", b"true"), None).await.expect("refused");
    assert_eq!(refused.message(), "etcdserver: no leader");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert!(outcome(Some(7), ("hasleader", b"true"), None).await.is_none());
    assert!(outcome(None, ("hasleader", b"false"), None).await.is_none());
}

#[tokio::test]
async fn a_client_version_must_be_text() {
    assert!(outcome(None, ("client-api-version", b"3.7"), None).await.is_none());
    let refused = outcome(None, ("client-api-version", b"\xff\xfe"), None).await.expect("refused");
    assert_eq!(refused.message(), "etcdserver: invalid client api version");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn grpc_size_refusals_are_reworded_and_others_are_not() {
    let found = "Error, decoded message length too large: found 9 bytes, the limit is: 4 bytes";
    let refused = outcome(None, ("x", b"y"), Some(Status::out_of_range(found))).await;
    let refused = refused.expect("refused");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert_eq!(refused.message(), "grpc: received message larger than max (9 vs. 4)");

    let other = Status::out_of_range("etcdserver: mvcc: required revision has been compacted");
    let kept = outcome(None, ("x", b"y"), Some(other.clone())).await.expect("refused");
    assert_eq!((kept.code(), kept.message()), (other.code(), other.message()));
}

/// The text with which a learner refuses a call of this path.
async fn from_a_learner(path: &str) -> Option<String> {
    let leadership = Leadership { leader: Some(7), is_learner: true, ..Leadership::default() };
    let (_keep, leadership) = watch::channel(leadership);
    let mut gate = Gate::new(Fixed(None), leadership);
    let request = Request::builder().uri(path).body(()).expect("a legal path");
    let answer = gate.call(request).await.expect("infallible");
    Status::from_header_map(answer.headers()).map(|status| status.message().to_owned())
}

#[tokio::test]
async fn a_learner_tells_what_it_holds_and_nothing_else() {
    for path in ["KV/Range", "Maintenance/Status", "Maintenance/Snapshot"] {
        assert_eq!(from_a_learner(&format!("/etcdserverpb.{path}")).await, None);
    }
    let said = Some("etcdserver: rpc not supported for learner".to_owned());
    for path in ["KV/Put", "KV/Txn", "Watch/Watch", "Cluster/MemberList", "Auth/Authenticate"] {
        assert_eq!(from_a_learner(&format!("/etcdserverpb.{path}")).await, said, "{path}");
    }
    assert_eq!(from_a_learner("/v3lockpb.Lock/Lock").await, said);
    assert_eq!(from_a_learner("/portunus.v1.Queue/Enqueue").await, said);
}
