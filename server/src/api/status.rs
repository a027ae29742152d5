//! The only place that knows gRPC codes and etcd's exact texts. Clients match on both, so a text
//! changes only when etcd's does.

use tonic::body::Body;
use tonic::codegen::http::Response;
use tonic::{Code, Status};

use super::access::{PasswordError, TokenError};
use crate::auth::AuthRefusal;
use crate::decide::{LockRefusal, QueueRefusal, Refusal};
use crate::node::{Error, Failure, MemberError, MemberRefusal};
use crate::watch::Ended;

/// A node's error as clients know it.
pub fn of(error: Error) -> Status {
    match error {
        Error::Refused(refusal) => of_refusal(&refusal),
        Error::Failed(failure) => of_failure(failure),
    }
}

/// Why the members were not changed, in etcd's words.
pub fn of_member(error: MemberError) -> Status {
    let refusal = match error {
        MemberError::Refused(refusal) => refusal,
        MemberError::Node(error) => return of(error),
    };
    let failed = Code::FailedPrecondition;
    let (code, text) = match refusal {
        MemberRefusal::IdExists => (failed, "etcdserver: member ID already exist"),
        MemberRefusal::PeerUrlExists => (failed, "etcdserver: Peer URLs already exists"),
        MemberRefusal::NotFound => (Code::NotFound, "etcdserver: member not found"),
        MemberRefusal::TooManyLearners => {
            (failed, "etcdserver: too many learner members in cluster")
        }
        MemberRefusal::NotLearner => (failed, "etcdserver: can only promote a learner member"),
        MemberRefusal::LearnerNotReady => {
            (failed, "etcdserver: can only promote a learner member which is in sync with leader")
        }
        MemberRefusal::NotEnoughStarted => {
            (failed, "etcdserver: re-configuration failed due to not enough started members")
        }
        MemberRefusal::Unhealthy => (Code::Unavailable, "etcdserver: unhealthy cluster"),
    };
    Status::new(code, text)
}

/// A learner only tells what it holds.
pub fn not_for_learners() -> Status {
    Status::failed_precondition("etcdserver: rpc not supported for learner")
}

/// Peer URLs that are none.
pub fn bad_member_urls() -> Status {
    Status::invalid_argument("etcdserver: given member URLs are invalid")
}

/// A node's error in the words of etcd's lock and election services: they are clients of their own
/// server and pass on its refusals as texts without a code.
pub fn of_recipe(error: Error) -> Status {
    match error {
        // etcd knows no plugins: there is nothing to imitate.
        Error::Refused(
            refusal @ (Refusal::Lock(LockRefusal::Admitted { .. }) | Refusal::PolicyRefused { .. }),
        ) => of_refusal(&refusal),
        Error::Refused(refusal) => Status::unknown(of_refusal(&refusal).message()),
        Error::Failed(failure) => of_failure(failure),
    }
}

fn of_refusal(refusal: &Refusal) -> Status {
    match refusal_text(refusal) {
        (code, Some(text)) => Status::new(code, text),
        // Told to clients that know etcd alone, of what etcd lets them do.
        (code, None) if matches!(refusal, Refusal::Lock(LockRefusal::Admitted { .. })) => {
            Status::new(code, format!("etcdserver: {refusal}"))
        }
        (code, None) => Status::new(code, format!("portunus: {refusal}")),
    }
}

/// The code, and etcd's text where etcd has one. What etcd does not know says it for itself.
fn refusal_text(refusal: &Refusal) -> (Code, Option<&'static str>) {
    let (code, text) = match refusal {
        Refusal::EmptyKey => (Code::InvalidArgument, "etcdserver: key is not provided"),
        Refusal::KeyNotFound => (Code::InvalidArgument, "etcdserver: key not found"),
        Refusal::ValueProvided => (Code::InvalidArgument, "etcdserver: value is provided"),
        Refusal::LeaseProvided => (Code::InvalidArgument, "etcdserver: lease is provided"),
        Refusal::TooManyOps => {
            (Code::InvalidArgument, "etcdserver: too many operations in txn request")
        }
        Refusal::DuplicateKey => {
            (Code::InvalidArgument, "etcdserver: duplicate key given in txn request")
        }
        Refusal::InvalidSortOption => (Code::InvalidArgument, "etcdserver: invalid sort option"),
        Refusal::Compacted => {
            (Code::OutOfRange, "etcdserver: mvcc: required revision has been compacted")
        }
        Refusal::FutureRevision => {
            (Code::OutOfRange, "etcdserver: mvcc: required revision is a future revision")
        }
        Refusal::StreamSorted => {
            (Code::Unimplemented, "RangeStream does not support custom sort orders")
        }
        Refusal::StreamFiltered => {
            (Code::Unimplemented, "RangeStream does not support revision filters")
        }
        Refusal::LeaseNotFound => (Code::NotFound, "etcdserver: requested lease not found"),
        Refusal::LeaseExists => (Code::FailedPrecondition, "etcdserver: lease already exists"),
        Refusal::LeaseTtlTooLarge => (Code::OutOfRange, "etcdserver: too large lease TTL"),
        Refusal::NoSpace => (Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
        Refusal::Corrupt => (Code::DataLoss, "etcdserver: corrupt cluster"),
        Refusal::FeatureLevel { .. } => return (Code::FailedPrecondition, None),
        Refusal::NotApplied(_) => return (Code::Unavailable, None),
        Refusal::Wait { .. } | Refusal::Untidy { .. } => return (Code::Unavailable, None),
        Refusal::Auth(refusal) => auth_text(*refusal),
        Refusal::Lock(refusal) => return (lock_code(refusal), None),
        Refusal::Queue(refusal) => return (queue_code(refusal), None),
        Refusal::Unreadable(_) => return (Code::Unknown, None),
        Refusal::PolicyRefused { .. }
        | Refusal::NoEarlierGeneration { .. }
        | Refusal::GenerationNotKept { .. }
        | Refusal::PluginDisabled(_)
        | Refusal::NoRecipe(_) => return (Code::FailedPrecondition, None),
        Refusal::ComponentNotFound(_)
        | Refusal::PluginNotFound(_)
        | Refusal::BindingNotFound(_)
        | Refusal::UnknownFunction { .. } => return (Code::NotFound, None),
        Refusal::Conflict { .. } | Refusal::CursorMoved(_) => return (Code::Aborted, None),
        Refusal::InvalidSkip { .. } => return (Code::OutOfRange, None),
        Refusal::TooManyBindings { .. } => return (Code::ResourceExhausted, None),
        Refusal::ComponentTooLarge { .. }
        | Refusal::DeployTooLarge { .. }
        | Refusal::InvalidPlugin { .. }
        | Refusal::InvalidPayload { .. }
        | Refusal::InvalidComponent(_) => return (Code::InvalidArgument, None),
    };
    (code, Some(text))
}

fn auth_text(refusal: AuthRefusal) -> (Code, &'static str) {
    match refusal {
        AuthRefusal::NoRootUser => {
            (Code::FailedPrecondition, "etcdserver: root user does not exist")
        }
        AuthRefusal::NoRootRole => {
            (Code::FailedPrecondition, "etcdserver: root user does not have root role")
        }
        AuthRefusal::UserExists => {
            (Code::FailedPrecondition, "etcdserver: user name already exists")
        }
        AuthRefusal::UserEmpty => (Code::InvalidArgument, "etcdserver: user name is empty"),
        AuthRefusal::UserNotFound => (Code::FailedPrecondition, "etcdserver: user name not found"),
        AuthRefusal::RoleExists => {
            (Code::FailedPrecondition, "etcdserver: role name already exists")
        }
        AuthRefusal::RoleNotFound => (Code::FailedPrecondition, "etcdserver: role name not found"),
        AuthRefusal::RoleEmpty => (Code::InvalidArgument, "etcdserver: role name is empty"),
        AuthRefusal::Failed => (
            Code::InvalidArgument,
            "etcdserver: authentication failed, invalid user ID or password",
        ),
        AuthRefusal::PermissionNotGiven => {
            (Code::InvalidArgument, "etcdserver: permission not given")
        }
        AuthRefusal::Denied => (Code::PermissionDenied, "etcdserver: permission denied"),
        AuthRefusal::RoleNotGranted => {
            (Code::FailedPrecondition, "etcdserver: role is not granted to the user")
        }
        AuthRefusal::PermissionNotGranted => {
            (Code::FailedPrecondition, "etcdserver: permission is not granted to the role")
        }
        AuthRefusal::NotEnabled => {
            (Code::FailedPrecondition, "etcdserver: authentication is not enabled")
        }
        AuthRefusal::InvalidToken => (Code::Unauthenticated, "etcdserver: invalid auth token"),
        AuthRefusal::InvalidManagement => {
            (Code::InvalidArgument, "etcdserver: invalid auth management")
        }
        // etcd has no code for it.
        AuthRefusal::Passwordless => {
            (Code::Unknown, "auth: authentication failed, password was given for no password user")
        }
        AuthRefusal::OldRevision => {
            (Code::InvalidArgument, "etcdserver: revision of auth store is old")
        }
    }
}

fn lock_code(refusal: &LockRefusal) -> Code {
    match refusal {
        LockRefusal::Unnamed
        | LockRefusal::Reserved { .. }
        | LockRefusal::TooMany { .. }
        | LockRefusal::TooHeavy { .. } => Code::InvalidArgument,
        LockRefusal::Held { .. } => Code::Aborted,
        LockRefusal::Differs { .. } | LockRefusal::Lost { .. } | LockRefusal::Admitted { .. } => {
            Code::FailedPrecondition
        }
    }
}

fn queue_code(refusal: &QueueRefusal) -> Code {
    match refusal {
        QueueRefusal::Full { .. } => Code::ResourceExhausted,
        QueueRefusal::ClaimLost { .. } | QueueRefusal::NoCondition { .. } => {
            Code::FailedPrecondition
        }
        _ => Code::InvalidArgument,
    }
}

/// A lock that was not to be had in the time the client gave it.
pub fn not_held_in_time() -> Status {
    Status::deadline_exceeded("portunus: the lock was not free in time")
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
        Failure::TimedOutConnectionLost => {
            (Code::Unavailable, "etcdserver: request timed out, possibly due to connection lost")
        }
        Failure::TimedOutApplying => (
            Code::Unavailable,
            "etcdserver: request timed out, waiting for the applied index took too long",
        ),
        Failure::LeaderChanged => (Code::Unavailable, "etcdserver: leader changed"),
        Failure::TooManyRequests => (Code::ResourceExhausted, "etcdserver: too many requests"),
        Failure::Stopped => (Code::Unavailable, "etcdserver: server stopped"),
        Failure::BadTransferee => (Code::FailedPrecondition, "etcdserver: bad leader transferee"),
        Failure::NoRoom => {
            (Code::ResourceExhausted, "portunus: no room on this member's disk for a snapshot")
        }
        Failure::Unreadable => (Code::Unknown, "portunus: the store of this member cannot be read"),
    }
}

/// Why a watch stream cannot go on here. The client resumes it elsewhere from where it was.
pub fn of_ended_watch(ended: &Ended) -> Status {
    match ended {
        Ended::Closed(_) => of_failure(Failure::Stopped),
        Ended::History(_) => Status::unavailable(format!("portunus: {ended}")),
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

/// A password that cannot be hashed.
pub fn of_password(error: &PasswordError) -> Status {
    Status::unknown(error.to_string())
}

/// A token that cannot be signed here.
pub fn of_token(error: &TokenError) -> Status {
    Status::unknown(format!("portunus: {error}"))
}

pub fn wrong_downgrade_format() -> Status {
    Status::invalid_argument("etcdserver: wrong downgrade target version format")
}

pub fn invalid_downgrade_target() -> Status {
    Status::invalid_argument("etcdserver: invalid downgrade target version")
}

/// An order to begin what is not needed here.
pub fn no_downgrade() -> Status {
    Status::failed_precondition(
        "portunus: nothing needs to be enabled before members are replaced by older ones",
    )
}

/// A bug: the node answered another question than it was asked.
pub fn answer_of_another_kind() -> Status {
    Status::internal("portunus: the answer is of another kind than the request")
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
