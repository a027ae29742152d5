//! Every refusal and failure, with the code and the text that etcd's clients match on.

use tonic::Code;

use super::{of_ended_watch, of_failure, of_refusal};
use crate::auth::AuthRefusal;
use crate::decide::{LockRefusal, QueueRefusal, Refusal};
use crate::node::Failure;
use crate::watch::Ended;

#[allow(clippy::too_many_lines, reason = "a table with a row for each refusal")]
fn refusals() -> Vec<(Refusal, Code, &'static str)> {
    use Code::*;
    use Refusal::*;
    vec![
        (EmptyKey, InvalidArgument, "etcdserver: key is not provided"),
        (KeyNotFound, InvalidArgument, "etcdserver: key not found"),
        (ValueProvided, InvalidArgument, "etcdserver: value is provided"),
        (LeaseProvided, InvalidArgument, "etcdserver: lease is provided"),
        (TooManyOps, InvalidArgument, "etcdserver: too many operations in txn request"),
        (DuplicateKey, InvalidArgument, "etcdserver: duplicate key given in txn request"),
        (InvalidSortOption, InvalidArgument, "etcdserver: invalid sort option"),
        (Compacted, OutOfRange, "etcdserver: mvcc: required revision has been compacted"),
        (FutureRevision, OutOfRange, "etcdserver: mvcc: required revision is a future revision"),
        (StreamSorted, Unimplemented, "RangeStream does not support custom sort orders"),
        (StreamFiltered, Unimplemented, "RangeStream does not support revision filters"),
        (LeaseNotFound, NotFound, "etcdserver: requested lease not found"),
        (LeaseExists, FailedPrecondition, "etcdserver: lease already exists"),
        (LeaseTtlTooLarge, OutOfRange, "etcdserver: too large lease TTL"),
        (NoSpace, ResourceExhausted, "etcdserver: mvcc: database space exceeded"),
        (Corrupt, DataLoss, "etcdserver: corrupt cluster"),
        (
            FeatureLevel { needed: 2, level: 1 },
            FailedPrecondition,
            "portunus: not all members know what this needs (feature level 2, the cluster is at 1): \
             upgrade the members of older versions",
        ),
        (NotApplied(7), Unavailable, "portunus: revision 7 is not applied yet"),
        (Unreadable("bad sector".into()), Unknown, "portunus: bad sector"),
        (
            PolicyRefused { binding: "quota".into(), reason: "too many".into() },
            FailedPrecondition,
            "portunus: refused by quota: too many",
        ),
        (
            Conflict { binding: "quota".into() },
            Aborted,
            "portunus: conflict: other writes kept changing what quota reads; try again",
        ),
        (
            InvalidComponent("no export".into()),
            InvalidArgument,
            "portunus: not a plugin: no export",
        ),
        (
            ComponentNotFound("0a".into()),
            NotFound,
            "portunus: component 0a is not stored: deploy it with the plugin",
        ),
        (
            ComponentTooLarge { bytes: 9, max: 4 },
            InvalidArgument,
            "portunus: component of 9 bytes is larger than 4",
        ),
        (
            DeployTooLarge { bytes: 9, max: 4 },
            InvalidArgument,
            "portunus: the components of one deploy have 9 bytes, 4 are allowed: deploy in parts",
        ),
        (
            InvalidPlugin { plugin: "quota".into(), why: "no".into() },
            InvalidArgument,
            "portunus: plugin quota: no",
        ),
        (
            TooManyBindings { bindings: 9, max: 4 },
            ResourceExhausted,
            "portunus: 9 bindings are more than 4: remove plugins that are not used",
        ),
        (
            PluginNotFound("quota".into()),
            NotFound,
            "portunus: plugin quota not found: see portunus plugin list",
        ),
        (
            BindingNotFound("quota/trigger/a".into()),
            NotFound,
            "portunus: binding quota/trigger/a not found: see portunus plugin list",
        ),
        (
            GenerationNotKept { plugin: "quota".into(), generation: 2, kept: "4, 3".into() },
            FailedPrecondition,
            "portunus: plugin quota has no generation 2 to go back to: it has 4, 3",
        ),
        (
            NoEarlierGeneration { plugin: "quota".into(), generation: 1 },
            FailedPrecondition,
            "portunus: plugin quota has no generation before 1",
        ),
        (
            CursorMoved("a/trigger/b".into()),
            Aborted,
            "portunus: trigger a/trigger/b has moved on: read its state again",
        ),
        (
            InvalidSkip { binding: "a/trigger/b".into(), to: 9, cursor: 5, revision: 7 },
            OutOfRange,
            "portunus: trigger a/trigger/b cannot skip to revision 9: it stands at 5 of 7",
        ),
        (
            NoRecipe("quota".into()),
            FailedPrecondition,
            "portunus: plugin quota offers no recipe: deploy it with a recipe binding",
        ),
        (
            PluginDisabled("quota".into()),
            FailedPrecondition,
            "portunus: plugin quota is disabled: enable it with portunus plugin enable",
        ),
        (
            UnknownFunction { plugin: "c".into(), function: "x".into(), known: "add".into() },
            NotFound,
            "portunus: recipe c has no function x: it has add",
        ),
        (
            InvalidPayload { plugin: "c".into(), reason: "no number".into() },
            InvalidArgument,
            "portunus: recipe c cannot use the payload: no number",
        ),
        (
            Refusal::Wait { until_ms: None },
            Code::Unavailable,
            "portunus: nothing can be decided yet",
        ),
        (
            Refusal::Untidy { queue: "q".into() },
            Code::Unavailable,
            "portunus: the queue has items to bring back first",
        ),
        (
            Refusal::Lock(LockRefusal::Admitted { prefix: "jobs/".into(), plugin: "gate".into() }),
            Code::FailedPrecondition,
            "etcdserver: locks under \"jobs/\" are admitted by plugin gate; use the Lock service",
        ),
        (
            Refusal::Lock(LockRefusal::Held { name: "door".into() }),
            Code::Aborted,
            "portunus: lock door is held",
        ),
        (
            Refusal::Queue(QueueRefusal::Full { queue: "q".into(), max: 2 }),
            Code::ResourceExhausted,
            "portunus: queue q is full: 2 items wait",
        ),
        (
            Refusal::Auth(AuthRefusal::Denied),
            Code::PermissionDenied,
            "etcdserver: permission denied",
        ),
    ]
}

/// The number of variants; a new one does not compile until it has a place, and its place must be
/// in the table above.
const REFUSALS: usize = 42;

fn place(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::EmptyKey => 0,
        Refusal::KeyNotFound => 1,
        Refusal::ValueProvided => 2,
        Refusal::LeaseProvided => 3,
        Refusal::TooManyOps => 4,
        Refusal::DuplicateKey => 5,
        Refusal::InvalidSortOption => 6,
        Refusal::Compacted => 7,
        Refusal::FutureRevision => 8,
        Refusal::StreamSorted => 9,
        Refusal::StreamFiltered => 10,
        Refusal::LeaseNotFound => 11,
        Refusal::LeaseExists => 12,
        Refusal::LeaseTtlTooLarge => 13,
        Refusal::NoSpace => 14,
        Refusal::Corrupt => 15,
        Refusal::NotApplied(_) => 16,
        Refusal::Unreadable(_) => 17,
        Refusal::PolicyRefused { .. } => 18,
        Refusal::ComponentNotFound(_) => 19,
        Refusal::ComponentTooLarge { .. } => 20,
        Refusal::DeployTooLarge { .. } => 21,
        Refusal::BindingNotFound(_) => 22,
        Refusal::InvalidPlugin { .. } => 23,
        Refusal::Conflict { .. } => 24,
        Refusal::InvalidComponent(_) => 25,
        Refusal::TooManyBindings { .. } => 26,
        Refusal::PluginNotFound(_) => 27,
        Refusal::GenerationNotKept { .. } => 28,
        Refusal::NoEarlierGeneration { .. } => 29,
        Refusal::CursorMoved(_) => 30,
        Refusal::InvalidSkip { .. } => 31,
        Refusal::NoRecipe(_) => 32,
        Refusal::PluginDisabled(_) => 33,
        Refusal::UnknownFunction { .. } => 34,
        Refusal::InvalidPayload { .. } => 35,
        Refusal::FeatureLevel { .. } => 36,
        Refusal::Wait { .. } => 37,
        Refusal::Untidy { .. } => 38,
        Refusal::Lock(_) => 39,
        Refusal::Queue(_) => 40,
        Refusal::Auth(_) => 41,
    }
}

#[test]
fn every_refusal_has_its_code_and_text() {
    let mut seen = [false; REFUSALS];
    for (refusal, code, text) in refusals() {
        seen[place(&refusal)] = true;
        let status = of_refusal(&refusal);
        assert_eq!((status.code(), status.message()), (code, text), "{refusal:?}");
    }
    assert_eq!(seen, [true; REFUSALS], "a refusal is missing from the table");
}

const FAILURES: [(Failure, Code, &str); 12] = [
    (Failure::NoLeader, Code::Unavailable, "etcdserver: no leader"),
    (Failure::NotLeader, Code::FailedPrecondition, "etcdserver: not leader"),
    (Failure::TimedOut, Code::Unavailable, "etcdserver: request timed out"),
    (
        Failure::TimedOutLeaderFailed,
        Code::Unavailable,
        "etcdserver: request timed out, possibly due to previous leader failure",
    ),
    (
        Failure::TimedOutConnectionLost,
        Code::Unavailable,
        "etcdserver: request timed out, possibly due to connection lost",
    ),
    (
        Failure::TimedOutApplying,
        Code::Unavailable,
        "etcdserver: request timed out, waiting for the applied index took too long",
    ),
    (Failure::LeaderChanged, Code::Unavailable, "etcdserver: leader changed"),
    (Failure::TooManyRequests, Code::ResourceExhausted, "etcdserver: too many requests"),
    (Failure::Stopped, Code::Unavailable, "etcdserver: server stopped"),
    (Failure::BadTransferee, Code::FailedPrecondition, "etcdserver: bad leader transferee"),
    (Failure::Unreadable, Code::Unknown, "portunus: the store of this member cannot be read"),
    (
        Failure::NoRoom,
        Code::ResourceExhausted,
        "portunus: no room on this member's disk for a snapshot",
    ),
];

fn failure_place(failure: Failure) -> usize {
    match failure {
        Failure::NoLeader => 0,
        Failure::NotLeader => 1,
        Failure::TimedOut => 2,
        Failure::TimedOutLeaderFailed => 3,
        Failure::TimedOutConnectionLost => 4,
        Failure::TimedOutApplying => 5,
        Failure::LeaderChanged => 6,
        Failure::TooManyRequests => 7,
        Failure::Stopped => 8,
        Failure::BadTransferee => 9,
        Failure::Unreadable => 10,
        Failure::NoRoom => 11,
    }
}

#[test]
fn every_failure_has_its_code_and_text() {
    let mut seen = [false; FAILURES.len()];
    for (failure, code, text) in FAILURES {
        seen[failure_place(failure)] = true;
        let status = of_failure(failure);
        assert_eq!((status.code(), status.message()), (code, text), "{failure:?}");
    }
    assert_eq!(seen, [true; FAILURES.len()], "a failure is missing from the table");
}

#[test]
fn a_watch_that_ends_here_can_go_on_elsewhere() {
    for ended in [Ended::Closed("closing".into()), Ended::History("bad sector".into())] {
        assert_eq!(of_ended_watch(&ended).code(), Code::Unavailable, "{ended:?}");
    }
}
