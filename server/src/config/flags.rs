//! The one table of the server's flags. Parsing, the help text and the names of the environment
//! variables all come from it; a flag that is not here does not exist.

/// What a flag's text stands for; decides how it is written and what help shows after its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// Comma-separated URLs.
    Urls,
    /// Whole milliseconds, as etcd's timing flags.
    Millis,
    /// Go's notation: `10m`, `1h30m`, `100ms`.
    Duration,
    Count,
    Bytes,
    /// May stand bare: `--pre-vote`.
    Bool,
    Choice(&'static [&'static str]),
}

/// Where help shows a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    Member,
    Clustering,
    Limits,
    Compaction,
    Metrics,
    Logging,
    Unsafe,
    /// Accepted so that an etcd unit file keeps working; nothing here needs tuning.
    NoEffect,
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without dashes, as etcd spells it.
    pub name: &'static str,
    pub kind: Kind,
    /// What holds when neither argument nor environment says anything; empty is "derived".
    pub default: &'static str,
    pub group: Group,
    pub help: &'static str,
    /// The version of ours that brought it.
    pub since: &'static str,
}

/// A flag of etcd that would change what the server promises, and so is refused rather than
/// ignored.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported {
    pub name: &'static str,
    /// What to do instead.
    pub instead: &'static str,
}

const fn flag(
    group: Group,
    name: &'static str,
    kind: Kind,
    default: &'static str,
    help: &'static str,
) -> Flag {
    Flag { name, kind, default, group, help, since: "0.1.0" }
}

use Group::{Clustering, Compaction, Limits, Logging, Member, Metrics, NoEffect, Unsafe};

/// All flags, in the order help shows them.
#[rustfmt::skip]
pub static FLAGS: &[Flag] = &[
    flag(Member, "name", Kind::Text, "default", "human-readable name of this member"),
    flag(Member, "data-dir", Kind::Text, "", "path to the data directory; ${name}.portunus unless given"),
    flag(Member, "listen-client-urls", Kind::Urls, "http://localhost:2379", "URLs to listen on for clients"),
    flag(Member, "listen-peer-urls", Kind::Urls, "http://localhost:2380", "URLs to listen on for peers"),
    flag(Member, "heartbeat-interval", Kind::Millis, "100", "time between two heartbeats of the leader"),
    flag(Member, "election-timeout", Kind::Millis, "1000", "time without a leader before an election; at least 5 heartbeats, at most 50000"),
    flag(Member, "snapshot-count", Kind::Count, "10000", "entries applied between two snapshots"),
    flag(Member, "snapshot-catchup-entries", Kind::Count, "5000", "entries kept behind a snapshot for slow followers"),
    flag(Member, "pre-vote", Kind::Bool, "true", "ask whether an election could be won before calling it"),
    flag(Member, "watch-progress-notify-interval", Kind::Duration, "10m", "how often an idle watch that asked for it hears of progress"),
    flag(Member, "lease-checkpoint-interval", Kind::Duration, "5m", "experimental: how often what is left of longer leases is replicated, for the next leader; at least 1s"),

    flag(Clustering, "advertise-client-urls", Kind::Urls, "http://localhost:2379", "URLs at which clients reach this member; required when --listen-client-urls is given"),
    flag(Clustering, "initial-advertise-peer-urls", Kind::Urls, "http://localhost:2380", "URLs at which the other members reach this one"),
    flag(Clustering, "initial-cluster", Kind::Text, "", "first members as name=url,...; this member alone unless given"),
    flag(Clustering, "initial-cluster-state", Kind::Choice(&["new", "existing"]), "new", "form a new cluster or join one that runs"),
    flag(Clustering, "initial-cluster-token", Kind::Text, "etcd-cluster", "sets clusters with the same member URLs apart"),
    flag(Clustering, "strict-reconfig-check", Kind::Bool, "true", "refuse member changes that would lose the quorum"),

    flag(Limits, "quota-backend-bytes", Kind::Bytes, "0", "alarm and refuse writes above this size; 0 is 2 GiB, below 0 is no quota"),
    flag(Limits, "max-txn-ops", Kind::Count, "128", "operations in one branch of a txn"),
    flag(Limits, "max-request-bytes", Kind::Bytes, "1572864", "size of one client request"),

    flag(Compaction, "auto-compaction-mode", Kind::Choice(&["periodic", "revision"]), "periodic", "what auto-compaction-retention counts: time or revisions"),
    flag(Compaction, "auto-compaction-retention", Kind::Text, "0", "history to keep: '30m' or hours when periodic, revisions when revision; 0 is off"),

    flag(Metrics, "metrics", Kind::Choice(&["basic", "extensive"]), "basic", "extensive also measures how long each kind of call takes"),
    flag(Metrics, "listen-metrics-urls", Kind::Urls, "", "more URLs that answer /metrics, /health, /livez, /readyz and /version"),
    flag(Metrics, "cors", Kind::Text, "*", "comma-separated origins whose web pages may call; '*' is all"),

    flag(Logging, "log-level", Kind::Text, "info", "debug, info, warn, error, panic, fatal, or filters such as portunus::raft=debug"),
    flag(Logging, "log-format", Kind::Choice(&["json", "console"]), "json", "one JSON object per line, or text for people"),
    flag(Logging, "log-outputs", Kind::Text, "default", "stderr, stdout, or default (stderr)"),

    flag(Unsafe, "unsafe-no-fsync", Kind::Bool, "false", "never wait for the disk; a power loss loses acknowledged writes"),

    flag(NoEffect, "feature-gates", Kind::Text, "", "etcd's gates; what they switch on is always on here, or not needed"),
    flag(NoEffect, "logger", Kind::Choice(&["zap"]), "zap", "there is one logger"),
    flag(NoEffect, "initial-election-tick-advance", Kind::Bool, "true", "the first election needs no hurrying"),
    flag(NoEffect, "max-snapshots", Kind::Count, "5", "old snapshots are removed as soon as nothing needs them"),
    flag(NoEffect, "max-wals", Kind::Count, "5", "log segments are removed as soon as nothing needs them"),
    flag(NoEffect, "backend-batch-interval", Kind::Duration, "100ms", "the store is written behind the log"),
    flag(NoEffect, "backend-batch-limit", Kind::Count, "10000", "the store is written behind the log"),
    flag(NoEffect, "backend-bbolt-freelist-type", Kind::Text, "map", "the store is not bbolt"),
    flag(NoEffect, "bootstrap-defrag-threshold-megabytes", Kind::Count, "0", "the store never needs defragmentation"),
    flag(NoEffect, "compaction-batch-limit", Kind::Count, "1000", "compaction does not hold writers up"),
    flag(NoEffect, "compaction-sleep-interval", Kind::Duration, "10ms", "compaction does not hold writers up"),
];

const TLS: &str = "TLS is not supported yet; listen on http:// behind a proxy that ends TLS";
const DISCOVERY: &str = "name the members in --initial-cluster";

const fn unsupported(name: &'static str, instead: &'static str) -> Unsupported {
    Unsupported { name, instead }
}

/// Flags of etcd that are refused by name. `=false` is let through: it asks for nothing.
#[rustfmt::skip]
pub static UNSUPPORTED: &[Unsupported] = &[
    unsupported("config-file", "set flags, or environment variables of the same names"),
    unsupported("wal-dir", "the log lives under --data-dir"),
    unsupported("force-new-cluster", "restore a snapshot into a new --data-dir"),
    unsupported("listen-client-http-urls", "gRPC and HTTP share --listen-client-urls"),
    unsupported("cert-file", TLS), unsupported("key-file", TLS),
    unsupported("trusted-ca-file", TLS), unsupported("client-cert-auth", TLS),
    unsupported("client-crl-file", TLS), unsupported("client-cert-allowed-hostname", TLS),
    unsupported("auto-tls", TLS), unsupported("cipher-suites", TLS),
    unsupported("tls-min-version", TLS), unsupported("tls-max-version", TLS),
    unsupported("peer-cert-file", TLS), unsupported("peer-key-file", TLS),
    unsupported("peer-trusted-ca-file", TLS), unsupported("peer-client-cert-auth", TLS),
    unsupported("peer-crl-file", TLS), unsupported("peer-cert-allowed-cn", TLS),
    unsupported("peer-cert-allowed-hostname", TLS), unsupported("peer-auto-tls", TLS),
    unsupported("discovery", DISCOVERY), unsupported("discovery-srv", DISCOVERY),
    unsupported("discovery-srv-name", DISCOVERY), unsupported("discovery-token", DISCOVERY),
    unsupported("discovery-endpoints", DISCOVERY),
];

/// The flag of this name.
pub fn find(name: &str) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.name == name)
}

impl Flag {
    /// The environment variable of this flag under `prefix` (`ETCD` or `PORTUNUS`).
    pub fn variable(&self, prefix: &str) -> String {
        variable(prefix, self.name)
    }
}

/// The environment variable of a flag's name under `prefix`.
pub fn variable(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", name.to_uppercase().replace('-', "_"))
}
