//! The only place that knows gRPC codes and etcd's exact texts. Clients match on both, so a text
//! changes only when etcd's does.

use std::borrow::Cow;

use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};

use crate::decide::Refusal;
use crate::node::{Error, Failure};
use crate::watch::Ended;

/// A node's error as clients know it.
pub fn of(error: Error) -> Status {
    match error {
        Error::Refused(refusal) => of_refusal(&refusal),
        Error::Failed(failure) => of_failure(failure),
    }
}

fn of_refusal(refusal: &Refusal) -> Status {
    let (code, text) = refusal_text(refusal);
    Status::new(code, text)
}

fn refusal_text(refusal: &Refusal) -> (Code, Cow<'static, str>) {
    let (code, text) = match refusal {
        Refusal::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
        Refusal::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
        Refusal::NoSpace => {
            (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded")
        }
    };
    (code, Cow::Borrowed(text))
}

/// A failure of the node as clients know it.
pub fn of_failure(failure: Failure) -> Status {
    let (code, text) = failure_text(failure);
    Status::new(code, text)
}

fn failure_text(failure: Failure) -> (Code, &'static str) {
    match failure {
        Failure::NoLeader => (Code::Unavailable, "etcdserver: no leader"),
        Failure::NotLeader => (Code::FailedPrecondition, "etcdserver: not leader"),
        Failure::TimedOut => (Code::Unavailable, "etcdserver: request timed out"),
        Failure::TimedOutLeaderFailed => (
            Code::Unavailable,
            "etcdserver: request timed out, possibly due to previous leader failure",
        ),
        Failure::TimedOutConnectionLost => (
            Code::Unavailable,
            "etcdserver: request timed out, possibly due to connection lost",
        ),
        Failure::TimedOutApplying => (
            Code::Unavailable,
            "etcdserver: request timed out, waiting for the applied index took too long",
        ),
        Failure::LeaderChanged => (Code::Unavailable, "etcdserver: leader changed"),
        Failure::TooManyRequests => (Code::ResourceExhausted, "etcdserver: too many requests"),
        Failure::Stopped => (Code::Unavailable, "etcdserver: server stopped"),
        Failure::BadTransferee => (Code::FailedPrecondition, "etcdserver: bad leader transferee"),
        Failure::Unreadable => (Code::Unknown, "the store of this member cannot be read"),
    }
}

/// Why a watch stream cannot go on here. The client resumes it elsewhere from where it was.
pub fn of_ended_watch(ended: &Ended) -> Status {
    match ended {
        Ended::Closed(_) => of_failure(Failure::Stopped),
        Ended::History(_) => Status::unavailable(ended.to_string()),
    }
}

/// The request is above `--max-request-bytes`.
pub fn request_too_large() -> Status {
    Status::invalid_argument("etcdserver: request is too large")
}

/// The client's API version is not text.
pub fn invalid_client_api_version() -> Status {
    Status::invalid_argument("etcdserver: invalid client api version")
}

/// An RPC of etcd's surface that this server does not offer yet.
pub fn not_offered(rpc: &'static str) -> Status {
    Status::unimplemented(format!("portunus does not offer {rpc} yet"))
}

/// A bug: the node answered another question than it was asked.
pub fn answer_of_another_kind() -> Status {
    Status::internal("the node's answer is of another kind than the request")
}

/// What tonic says of a message above the size limit, up to its numbers.
const TONIC_TOO_LARGE: &str = "Error, decoded message length too large: found ";

/// Replaces tonic's refusal of a message that is too large by that of grpc-go, which is what
/// etcd's clients know. Everything else passes: an answer that went well has its status in the
/// trailers, so this looks at refusals only.
pub fn reword_transport_refusal(answer: Response<Body>) -> Response<Body> {
    if !answer.headers().contains_key(Status::GRPC_STATUS) {
        return answer;
    }
    let Some(status) = Status::from_header_map(answer.headers()) else { return answer };
    match too_large_numbers(status.message()) {
        Some((found, limit)) => Status::resource_exhausted(format!(
            "grpc: received message larger than max ({found} vs. {limit})"
        ))
        .into_http(),
        None => answer,
    }
}

fn too_large_numbers(message: &str) -> Option<(&str, &str)> {
    let numbers = message.strip_prefix(TONIC_TOO_LARGE)?.strip_suffix(" bytes")?;
    numbers.split_once(" bytes, the limit is: ")
}

#[cfg(test)]
#[path = "status_test.rs"]
mod tests;
