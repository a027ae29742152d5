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
    Security,
    Auth,
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

use Group::{
    Auth, Clustering, Compaction, Limits, Logging, Member, Metrics, NoEffect, Security, Unsafe,
};

/// All flags, in the order help shows them.
#[rustfmt::skip]
pub static FLAGS: &[Flag] = &[
    flag(Member, "name", Kind::Text, "default", "human-readable name of this member"),
    flag(Member, "data-dir", Kind::Text, "", "path to the data directory; ${name}.portunus unless given"),
    flag(Member, "wal-dir", Kind::Text, "", "path to the log's directory; wal below the data directory unless given"),
    flag(Member, "listen-client-urls", Kind::Urls, "http://localhost:2379", "URLs to listen on for clients"),
    flag(Member, "listen-peer-urls", Kind::Urls, "http://localhost:2380", "URLs to listen on for peers"),
    flag(Member, "listen-client-http-urls", Kind::Urls, "", "URLs to listen on for HTTP alone; takes HTTP away from listen-client-urls"),
    flag(Member, "socket-reuse-port", Kind::Bool, "false", "let another process listen on the same client and peer ports"),
    flag(Member, "config-file", Kind::Text, "", "YAML file of flags; with it other flags and variables are ignored"),
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
    flag(Clustering, "discovery-srv", Kind::Text, "", "domain whose DNS SRV records name the first members, in place of initial-cluster"),
    flag(Clustering, "discovery-srv-name", Kind::Text, "", "suffix of the SRV records' service, as in _etcd-server-SUFFIX"),
    flag(Clustering, "discovery-token", Kind::Text, "", "what the first members sign on under at discovery-endpoints, in place of initial-cluster"),
    flag(Clustering, "discovery-endpoints", Kind::Text, "", "comma-separated endpoints of the etcd where the first members sign on"),
    flag(Clustering, "discovery-dial-timeout", Kind::Duration, "2s", "how long connecting to a discovery endpoint may take"),
    flag(Clustering, "discovery-request-timeout", Kind::Duration, "5s", "how long one request to a discovery endpoint may take"),
    flag(Clustering, "discovery-keepalive-time", Kind::Duration, "2s", "silence after which a discovery endpoint is pinged"),
    flag(Clustering, "discovery-keepalive-timeout", Kind::Duration, "6s", "how long the answer to that ping may take"),
    flag(Clustering, "discovery-insecure-transport", Kind::Bool, "true", "discovery endpoints without a scheme are http unless certificates are named"),
    flag(Clustering, "discovery-insecure-skip-tls-verify", Kind::Bool, "false", "believe every certificate of discovery endpoints; whoever answers may be somebody else"),
    flag(Clustering, "discovery-cert", Kind::Text, "", "certificate shown to discovery endpoints, in PEM"),
    flag(Clustering, "discovery-key", Kind::Text, "", "private key of discovery-cert"),
    flag(Clustering, "discovery-cacert", Kind::Text, "", "CAs of the discovery endpoints' certificates; the system's unless given"),
    flag(Clustering, "discovery-user", Kind::Text, "", "user at the discovery endpoints, as name or name:password"),
    flag(Clustering, "discovery-password", Kind::Text, "", "password of discovery-user"),
    flag(Clustering, "strict-reconfig-check", Kind::Bool, "true", "refuse member changes that would lose the quorum"),
    flag(Clustering, "max-learners", Kind::Count, "1", "learners that the cluster may have at a time"),

    flag(Security, "cert-file", Kind::Text, "", "certificate shown to clients, in PEM, with those between it and the CA"),
    flag(Security, "key-file", Kind::Text, "", "private key of cert-file"),
    flag(Security, "trusted-ca-file", Kind::Text, "", "CAs of clients' certificates; with it every client must show one"),
    flag(Security, "client-cert-auth", Kind::Bool, "false", "clients must show a certificate; its common name is their user where they give no token"),
    flag(Security, "client-crl-file", Kind::Text, "", "revoked certificates of clients, as a list in DER or PEM"),
    flag(Security, "client-cert-allowed-hostname", Kind::Text, "", "comma-separated hosts of which a client's certificate must cover one"),
    flag(Security, "client-cert-allowed-cn", Kind::Text, "", "comma-separated common names of which a client's certificate must have one"),
    flag(Security, "client-skip-client-san-verification", Kind::Bool, "false", "do not ask a client's certificate to cover the address it calls from"),
    flag(Security, "auto-tls", Kind::Bool, "false", "show clients a certificate that this member makes for itself"),
    flag(Security, "peer-cert-file", Kind::Text, "", "certificate shown to peers, both as server and as client"),
    flag(Security, "peer-key-file", Kind::Text, "", "private key of peer-cert-file"),
    flag(Security, "peer-client-cert-file", Kind::Text, "", "another certificate to show as a client of peers"),
    flag(Security, "peer-client-key-file", Kind::Text, "", "private key of peer-client-cert-file"),
    flag(Security, "peer-trusted-ca-file", Kind::Text, "", "CAs of peers' certificates; with it every peer must show one"),
    flag(Security, "peer-client-cert-auth", Kind::Bool, "false", "peers must show a certificate"),
    flag(Security, "peer-crl-file", Kind::Text, "", "revoked certificates of peers, as a list in DER or PEM"),
    flag(Security, "peer-cert-allowed-cn", Kind::Text, "", "comma-separated common names of which a peer's certificate must have one"),
    flag(Security, "peer-cert-allowed-hostname", Kind::Text, "", "comma-separated hosts of which a peer's certificate must cover one"),
    flag(Security, "peer-skip-client-san-verification", Kind::Bool, "false", "do not ask a peer's certificate to cover the address it calls from"),
    flag(Security, "peer-auto-tls", Kind::Bool, "false", "show peers a certificate that this member makes for itself"),
    flag(Security, "self-signed-cert-validity", Kind::Count, "1", "years that certificates made by auto-tls and peer-auto-tls hold"),
    flag(Security, "cipher-suites", Kind::Text, "", "comma-separated suites of TLS 1.2, by Go's names; all secure ones unless given"),
    flag(Security, "tls-min-version", Kind::Text, "TLS1.2", "TLS1.2 or TLS1.3"),
    flag(Security, "tls-max-version", Kind::Text, "", "TLS1.2 or TLS1.3; the newest unless given"),
    flag(Security, "host-whitelist", Kind::Text, "*", "comma-separated hosts that HTTP requests without TLS may name; '*' is all"),

    flag(Auth, "auth-token", Kind::Text, "simple", "'simple', or 'jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m'"),
    flag(Auth, "auth-token-ttl", Kind::Count, "300", "seconds that a simple token holds after its last use"),
    flag(Auth, "bcrypt-cost", Kind::Count, "10", "cost of hashing a password, 4 to 31; each step doubles the time"),

    flag(Limits, "quota-backend-bytes", Kind::Bytes, "0", "alarm and refuse writes above this size; 0 is 2 GiB, below 0 is no quota"),
    flag(Limits, "max-txn-ops", Kind::Count, "128", "operations in one branch of a txn"),
    flag(Limits, "max-concurrent-streams", Kind::Count, "4294967295", "calls that one connection may have under way"),
    flag(Limits, "grpc-keepalive-interval", Kind::Duration, "2h", "silence after which a client is pinged; 0 is never"),
    flag(Limits, "grpc-keepalive-timeout", Kind::Duration, "20s", "how long the answer to a ping may take"),
    flag(Limits, "max-request-bytes", Kind::Bytes, "1572864", "size of one client request"),

    flag(Compaction, "auto-compaction-mode", Kind::Choice(&["periodic", "revision"]), "periodic", "what auto-compaction-retention counts: time or revisions"),
    flag(Compaction, "auto-compaction-retention", Kind::Text, "0", "history to keep: '30m' or hours when periodic, revisions when revision; 0 is off"),
    flag(Compaction, "corrupt-check-time", Kind::Duration, "0s", "how often the leader compares all members' data and raises the CORRUPT alarm; 0 is never"),
    flag(Compaction, "compact-hash-check-time", Kind::Duration, "1m", "how often it compares what the last compaction left, with the gate CompactHashCheck"),
    flag(Compaction, "feature-gates", Kind::Text, "", "as Name=true,...: InitialCorruptCheck and CompactHashCheck; what etcd's others switch on is always on here, or not needed"),

    flag(Metrics, "metrics", Kind::Choice(&["basic", "extensive"]), "basic", "extensive also measures how long each kind of call takes"),
    flag(Metrics, "listen-metrics-urls", Kind::Urls, "", "more URLs that answer /metrics, /health, /livez, /readyz and /version"),
    flag(Metrics, "enable-pprof", Kind::Bool, "false", "serve CPU and heap profiles at /debug/pprof/; the process begins once more so that its allocator samples"),
    flag(Metrics, "enable-grpc-gateway", Kind::Bool, "true", "serve the JSON gateway"),
    flag(Metrics, "warning-unary-request-duration", Kind::Duration, "300ms", "log calls that take longer"),
    flag(Metrics, "enable-distributed-tracing", Kind::Bool, "false", "send traces of calls to an OpenTelemetry collector; calls whose client traces them belong to its trace"),
    flag(Metrics, "distributed-tracing-address", Kind::Text, "localhost:4317", "host and port of the collector; it speaks OTLP over gRPC, without TLS"),
    flag(Metrics, "distributed-tracing-service-name", Kind::Text, "etcd", "the service that traces name"),
    flag(Metrics, "distributed-tracing-instance-id", Kind::Text, "", "the instance that traces name"),
    flag(Metrics, "distributed-tracing-sampling-rate", Kind::Count, "0", "calls of a million that are traced though their client does not ask for it"),
    flag(Metrics, "cors", Kind::Text, "*", "comma-separated origins whose web pages may call; '*' is all"),

    flag(Logging, "log-level", Kind::Text, "info", "debug, info, warn, error, panic, fatal, or filters such as portunus::raft=debug"),
    flag(Logging, "log-format", Kind::Choice(&["json", "console"]), "json", "one JSON object per line, or text for people"),
    flag(Logging, "log-outputs", Kind::Text, "default", "comma-separated: stderr, stdout, default (stderr), or paths of files to append to"),

    flag(Unsafe, "force-new-cluster", Kind::Bool, "false", "go on alone with this member's data, without the members it names; start the others anew"),
    flag(Unsafe, "unsafe-no-fsync", Kind::Bool, "false", "never wait for the disk; a power loss loses acknowledged writes"),

    flag(NoEffect, "logger", Kind::Choice(&["zap"]), "zap", "there is one logger"),
    flag(NoEffect, "initial-election-tick-advance", Kind::Bool, "true", "the first election needs no hurrying"),
    flag(NoEffect, "v2-deprecation", Kind::Text, "write-only-drop-data", "there is no v2 store"),
    flag(NoEffect, "client-cert-file", Kind::Text, "", "the gateway calls its services without a connection"),
    flag(NoEffect, "client-key-file", Kind::Text, "", "the gateway calls its services without a connection"),
    flag(NoEffect, "grpc-keepalive-min-time", Kind::Duration, "5s", "clients may ping as often as they like"),
    flag(NoEffect, "socket-reuse-address", Kind::Bool, "false", "an address in TIME_WAIT can always be bound"),
    flag(NoEffect, "raft-read-timeout", Kind::Duration, "5s", "connections between peers are probed every second"),
    flag(NoEffect, "raft-write-timeout", Kind::Duration, "5s", "connections between peers are probed every second"),
    flag(NoEffect, "memory-mlock", Kind::Bool, "false", "nothing is mapped that could be paged out, the store is read into memory"),
    flag(NoEffect, "downgrade-check-time", Kind::Duration, "5s", "what may be written follows from what the members say they know"),
    flag(NoEffect, "warning-apply-duration", Kind::Duration, "100ms", "applying is a change in memory, and waits for nothing"),
    flag(NoEffect, "enable-log-rotation", Kind::Bool, "false", "files are appended to, so logrotate with copytruncate works"),
    flag(NoEffect, "log-rotation-config-json", Kind::Text, "", "files are appended to, so logrotate with copytruncate works"),
    flag(NoEffect, "discovery-fallback", Kind::Text, "exit", "discovery that fails ends the start, as in etcd"),
    flag(NoEffect, "max-snapshots", Kind::Count, "5", "old snapshots are removed as soon as nothing needs them"),
    flag(NoEffect, "max-wals", Kind::Count, "5", "log segments are removed as soon as nothing needs them"),
    flag(NoEffect, "backend-batch-interval", Kind::Duration, "100ms", "the store is written behind the log"),
    flag(NoEffect, "backend-batch-limit", Kind::Count, "10000", "the store is written behind the log"),
    flag(NoEffect, "backend-bbolt-freelist-type", Kind::Text, "map", "the store is not bbolt"),
    flag(NoEffect, "bootstrap-defrag-threshold-megabytes", Kind::Count, "0", "the store never needs defragmentation"),
    flag(NoEffect, "compaction-batch-limit", Kind::Count, "1000", "compaction does not hold writers up"),
    flag(NoEffect, "compaction-sleep-interval", Kind::Duration, "10ms", "compaction does not hold writers up"),
];

const DISCOVERY: &str =
    "name the members in --initial-cluster, or use --discovery-token and --discovery-endpoints";

const fn unsupported(name: &'static str, instead: &'static str) -> Unsupported {
    Unsupported { name, instead }
}

/// Flags of etcd that are refused by name. `=false` is let through: it asks for nothing.
#[rustfmt::skip]
pub static UNSUPPORTED: &[Unsupported] = &[
    unsupported("discovery", DISCOVERY),
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

/// Flags that etcd once had and still takes, with or without a value.
pub static FORGOTTEN: &[&str] = &[
    "cluster-active-size",
    "cluster-remove-delay",
    "cluster-sync-interval",
    "config",
    "discovery-proxy",
    "force",
    "max-result-buffer",
    "max-retry-attempts",
    "peer-election-timeout",
    "peer-heartbeat-interval",
    "retry-interval",
    "snapshot",
    "v",
    "vv",
];
