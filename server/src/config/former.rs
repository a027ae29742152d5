//! Names that flags had in older releases of etcd (3.4 to 3.6), as unit files and the manifests of
//! kubeadm still have them. They mean what the flag of today means.

use crate::config::flags::{self, Flag};

/// In front of all of them.
const PREFIX: &str = "experimental-";

/// Those that only lost the prefix.
const SAME: &[&str] = &[
    "backend-bbolt-freelist-type",
    "bootstrap-defrag-threshold-megabytes",
    "compact-hash-check-time",
    "compaction-batch-limit",
    "compaction-sleep-interval",
    "corrupt-check-time",
    "distributed-tracing-address",
    "distributed-tracing-instance-id",
    "distributed-tracing-sampling-rate",
    "distributed-tracing-service-name",
    "downgrade-check-time",
    "enable-distributed-tracing",
    "max-learners",
    "memory-mlock",
    "peer-skip-client-san-verification",
    "snapshot-catchup-entries",
    "warning-apply-duration",
    "warning-unary-request-duration",
    "watch-progress-notify-interval",
];

/// Those that have become gates of `--feature-gates`.
const GATES: &[(&str, &str)] = &[
    ("compact-hash-check-enabled", "CompactHashCheck"),
    ("enable-lease-checkpoint", "LeaseCheckpoint"),
    ("enable-lease-checkpoint-persist", "LeaseCheckpointPersist"),
    ("initial-corrupt-check", "InitialCorruptCheck"),
    ("set-member-localaddr", "SetMemberLocalAddr"),
    ("stop-grpc-service-on-defrag", "StopGRPCServiceOnDefrag"),
    ("txn-mode-write-with-shared-buffer", "TxnModeWriteWithSharedBuffer"),
];

/// What a former name stands for today.
#[derive(Clone, Copy, Debug)]
pub enum Former {
    Flag(&'static Flag),
    Gate(&'static str),
}

impl Former {
    /// `None` for a gate.
    pub fn flag(self) -> Option<&'static Flag> {
        match self {
            Self::Flag(flag) => Some(flag),
            Self::Gate(_) => None,
        }
    }

    /// As it is written today.
    pub fn today(self) -> String {
        match self {
            Self::Flag(flag) => format!("--{}", flag.name),
            Self::Gate(gate) => format!("--feature-gates={gate}=true"),
        }
    }
}

/// What the flag of this name is called today.
pub fn find(name: &str) -> Option<Former> {
    let name = name.strip_prefix(PREFIX)?;
    if let Some((_, gate)) = GATES.iter().find(|(former, _)| *former == name) {
        return Some(Former::Gate(gate));
    }
    SAME.contains(&name).then(|| flags::find(name)).flatten().map(Former::Flag)
}

/// Every former name.
pub fn names() -> impl Iterator<Item = String> {
    let gates = GATES.iter().map(|(former, _)| *former);
    SAME.iter().copied().chain(gates).map(|name| format!("{PREFIX}{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_former_name_stands_for_something_that_exists() {
        for name in names() {
            assert!(find(&name).is_some(), "{name}");
            assert!(flags::find(&name).is_none(), "{name} is a flag of its own");
        }
        assert!(find("experimental-name").is_none(), "it never was experimental");
        assert!(find("max-learners").is_none(), "it is no former name");
    }
}
