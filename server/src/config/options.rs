//! The checked configuration, as the rest of the server takes it.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::address::Url;
use crate::config::discovery::Bootstrap;
use crate::config::tls::Tls;

/// Everything the operator can set, typed and checked. Each field is the flag of its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub name: String,
    pub data_dir: PathBuf,
    /// `None` is the one below the data directory.
    pub wal_dir: Option<PathBuf>,
    pub listen_client_urls: Vec<Url>,
    pub advertise_client_urls: Vec<Url>,
    pub listen_peer_urls: Vec<Url>,
    pub initial_advertise_peer_urls: Vec<Url>,
    /// Used by a member without data only, as all that follows up to the token.
    pub bootstrap: Bootstrap,
    /// This member alone where others are to be found first; see [`Config::check_bootstrap`].
    pub initial_cluster: InitialCluster,
    pub initial_cluster_state: ClusterState,
    pub initial_cluster_token: String,
    pub force_new_cluster: bool,
    pub strict_reconfig_check: bool,
    pub heartbeat: Duration,
    /// At least five heartbeats.
    pub election: Duration,
    pub pre_vote: bool,
    /// Entries.
    pub snapshot_count: u64,
    /// Entries.
    pub snapshot_catchup_entries: u64,
    pub watch_progress_notify_interval: Duration,
    /// At least a second.
    pub lease_checkpoint_interval: Duration,
    /// As given: 0 stands for the default of 2 GiB, below 0 for none.
    pub quota_bytes: i64,
    pub max_txn_ops: usize,
    pub max_request_bytes: usize,
    /// `None` when off.
    pub auto_compaction: Option<AutoCompaction>,
    pub checks: Checks,
    /// `--metrics=extensive`.
    pub extensive_metrics: bool,
    pub listen_metrics_urls: Vec<Url>,
    pub serving: Serving,
    /// `None` when off.
    pub tracing: Option<crate::traces::Options>,
    pub client_tls: Tls,
    pub peer_tls: Tls,
    /// Years.
    pub self_signed_cert_validity: u32,
    pub max_learners: usize,
    pub auth: Auth,
    /// Where the configuration was read from, when a file replaced flags and variables.
    pub config_file: Option<PathBuf>,
    /// Origins whose web pages may call.
    pub cors: Vec<String>,
    pub log: LogConfig,
    pub unsafe_no_fsync: bool,
    /// Flags that were given and have no effect here; worth a warning.
    pub ignored_flags: Vec<&'static str>,
    /// `ETCD_*` and `PORTUNUS_*` variables that name no flag; worth a warning.
    pub unrecognized_variables: Vec<String>,
    /// Flags that were given by a former name: that, and how they are written today.
    pub former_flags: Vec<(String, String)>,
}

/// How clients are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    /// When there are any, they alone answer HTTP.
    pub listen_client_http_urls: Vec<Url>,
    pub reuse_port: bool,
    pub max_concurrent_streams: u32,
    /// `None` never pings.
    pub keepalive_interval: Option<Duration>,
    pub keepalive_timeout: Duration,
    pub enable_gateway: bool,
    /// Serve `/debug/pprof/`.
    pub enable_profiles: bool,
    pub warning_unary_request_duration: Duration,
    /// Hosts that HTTP requests without TLS may name; `*` is any.
    pub host_whitelist: Vec<String>,
}

/// How users prove who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// `--auth-token` as given.
    pub token: String,
    pub token_ttl: Duration,
    /// 4 to 31.
    pub bcrypt_cost: u32,
}

/// What `--initial-cluster` lists, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialCluster {
    pub members: Vec<InitialMember>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMember {
    pub name: String,
    /// Sorted.
    pub peer_urls: Vec<Url>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    New,
    Existing,
}

/// When members' data is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checks {
    /// Before this member serves.
    pub initial: bool,
    /// By the leader, this often.
    pub periodic: Option<Duration>,
    /// By the leader after compactions, looked for this often.
    pub compaction: Option<Duration>,
}

/// How much history the leader keeps by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    Periodic(Duration),
    /// This many revisions behind the newest.
    Revision(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A bare level, or `EnvFilter` directives.
    pub level: String,
    pub format: LogFormat,
    /// At least one, each once.
    pub outputs: Vec<LogOutput>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Console,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    Stderr,
    Stdout,
    /// Appended to; made where it is not there.
    File(PathBuf),
}
