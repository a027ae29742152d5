//! From texts to [`Config`]: defaults that depend on other flags, and the relations between them.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::address::{self, Url};
use crate::config::discovery::Bootstrap;
use crate::config::flags::{self, FLAGS, Flag, Group, Kind};
use crate::config::options::{
    Auth, Checks, ClusterState, Config, InitialCluster, InitialMember, LogConfig, LogFormat,
    Serving,
};
use crate::config::read::Values;
use crate::config::tls::Tls;
use crate::config::{Error, parse};
use crate::traces;

/// etcd's limit: with a longer one a cluster without a leader takes minutes to notice.
const ELECTION_MAX: Duration = Duration::from_millis(50_000);

impl Config {
    /// Types and checks what was given. Says nothing about data that may exist already; see
    /// [`Config::check_bootstrap`].
    pub fn from_values(values: &Values) -> Result<Self, Error> {
        for flag in FLAGS {
            check_kind(values, flag)?;
        }
        let name = get(values, "name", parse::name)?;
        let advertised_peers = get(values, "initial-advertise-peer-urls", Url::parse_list)?;
        let config = Self {
            data_dir: data_dir(values, &name),
            wal_dir: Some(text(values, "wal-dir")).filter(|dir| !dir.is_empty()).map(PathBuf::from),
            listen_client_urls: get(values, "listen-client-urls", Url::parse_list)?,
            advertise_client_urls: get(values, "advertise-client-urls", Url::parse_list)?,
            listen_peer_urls: get(values, "listen-peer-urls", Url::parse_list)?,
            bootstrap: Bootstrap::read(values)?,
            initial_cluster: initial_cluster(values, &name, &advertised_peers)?,
            initial_advertise_peer_urls: advertised_peers,
            initial_cluster_state: match text(values, "initial-cluster-state") {
                "existing" => ClusterState::Existing,
                _ => ClusterState::New,
            },
            initial_cluster_token: text(values, "initial-cluster-token").to_owned(),
            force_new_cluster: get(values, "force-new-cluster", parse::boolean)?,
            strict_reconfig_check: get(values, "strict-reconfig-check", parse::boolean)?,
            heartbeat: get(values, "heartbeat-interval", parse::millis)?,
            election: get(values, "election-timeout", parse::millis)?,
            pre_vote: get(values, "pre-vote", parse::boolean)?,
            snapshot_count: get(values, "snapshot-count", parse::count)?,
            snapshot_catchup_entries: get(values, "snapshot-catchup-entries", parse::count)?,
            watch_progress_notify_interval: get(
                values,
                "watch-progress-notify-interval",
                parse::duration,
            )?,
            lease_checkpoint_interval: get(
                values,
                "lease-checkpoint-interval",
                parse::checkpoint_interval,
            )?,
            quota_bytes: get(values, "quota-backend-bytes", parse::signed_bytes)?,
            max_txn_ops: get(values, "max-txn-ops", parse::positive)?,
            max_request_bytes: get(values, "max-request-bytes", parse::positive)?,
            checks: checks(values)?,
            auto_compaction: get(values, "auto-compaction-retention", |retention| {
                parse::retention(text(values, "auto-compaction-mode"), retention)
            })?,
            extensive_metrics: text(values, "metrics") == "extensive",
            listen_metrics_urls: urls(values, "listen-metrics-urls")?,
            cors: parse::origins(text(values, "cors")),
            serving: serving(values)?,
            tracing: tracing(values)?,
            client_tls: Tls::of_clients(values)?,
            peer_tls: Tls::of_peers(values)?,
            self_signed_cert_validity: get(values, "self-signed-cert-validity", parse::years)?,
            max_learners: get(values, "max-learners", parse::count)? as usize,
            auth: auth(values)?,
            config_file: values.file.clone(),
            log: log(values)?,
            unsafe_no_fsync: get(values, "unsafe-no-fsync", parse::boolean)?,
            ignored_flags: ignored(values),
            unrecognized_variables: values.unrecognized_variables.clone(),
            former_flags: values.former.clone(),
            name,
        };
        config.check_relations(values)?;
        Ok(config)
    }

    fn check_relations(&self, values: &Values) -> Result<(), Error> {
        let contradiction = |text: String| Err(Error::Contradiction(text));
        // A file without the second leaves it at its default, as with etcd.
        let given = |name| values.file.is_none() && values.is_given(name);
        if given("listen-client-urls") && !given("advertise-client-urls") {
            return contradiction(
                "--advertise-client-urls is required when --listen-client-urls is set explicitly"
                    .to_owned(),
            );
        }
        each_url(values, "listen-peer-urls", &self.listen_peer_urls, Url::check_bind)?;
        each_url(values, "listen-client-urls", &self.listen_client_urls, Url::check_bind)?;
        each_url(values, "listen-metrics-urls", &self.listen_metrics_urls, Url::check_bind)?;
        let http = &self.serving.listen_client_http_urls;
        each_url(values, "listen-client-http-urls", http, Url::check_bind)?;
        self.check_tls()?;
        for (name, urls) in [
            ("initial-advertise-peer-urls", &self.initial_advertise_peer_urls),
            ("advertise-client-urls", &self.advertise_client_urls),
        ] {
            each_url(values, name, urls, Url::check_advertise)?;
        }
        let (heartbeat, election) = (self.heartbeat.as_millis(), self.election.as_millis());
        if self.heartbeat * 5 > self.election {
            return contradiction(format!(
                "--election-timeout[{election}ms] should be at least as 5 times as \
                 --heartbeat-interval[{heartbeat}ms]"
            ));
        }
        if self.election > ELECTION_MAX {
            return contradiction(format!(
                "--election-timeout[{election}ms] is too long, and should be set less than {}ms",
                ELECTION_MAX.as_millis()
            ));
        }
        Ok(())
    }
}

pub(super) fn named(name: &'static str) -> &'static Flag {
    flags::find(name).expect("the table of flags holds every name used here")
}

pub(super) fn text<'a>(values: &'a Values, name: &'static str) -> &'a str {
    values.text(named(name))
}

/// Reads a flag's value, with the flag's origin in the error.
pub(super) fn get<T>(
    values: &Values,
    name: &'static str,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, Error> {
    let text = text(values, name);
    read(text).map_err(|reason| bad_value(values, named(name), reason))
}

pub(super) fn bad_value(values: &Values, flag: &'static Flag, reason: String) -> Error {
    Error::Value { origin: values.origin(flag), value: values.text(flag).to_owned(), reason }
}

/// Checks what the table alone can tell, so that a flag without effect is checked too.
fn check_kind(values: &Values, flag: &'static Flag) -> Result<(), Error> {
    let text = values.text(flag);
    let checked = match flag.kind {
        Kind::Bool => parse::boolean(text).map(drop),
        Kind::Choice(choices) => parse::choice(text, choices),
        Kind::Duration => parse::duration(text).map(drop),
        Kind::Millis => parse::millis(text).map(drop),
        Kind::Count => parse::count(text).map(drop),
        Kind::Bytes => parse::signed_bytes(text).map(drop),
        // None at all is the default of some.
        Kind::Urls if text.is_empty() && flag.default.is_empty() => Ok(()),
        Kind::Urls => Url::parse_list(text).map(drop),
        Kind::Text => Ok(()),
    };
    checked.map_err(|reason| bad_value(values, flag, reason))
}

/// URLs of a flag that may have none.
fn urls(values: &Values, name: &'static str) -> Result<Vec<Url>, Error> {
    get(values, name, |urls| match urls {
        "" => Ok(Vec::new()),
        urls => Url::parse_list(urls),
    })
}

fn each_url(
    values: &Values,
    name: &'static str,
    urls: &[Url],
    check: impl Fn(&Url) -> Result<(), String>,
) -> Result<(), Error> {
    urls.iter().try_for_each(check).map_err(|reason| Error::Value {
        origin: values.origin(named(name)),
        value: address::join(urls),
        reason,
    })
}

/// When members' data is compared: two of etcd's gates, and how often.
fn checks(values: &Values) -> Result<Checks, Error> {
    let gates = get(values, "feature-gates", parse::gates)?;
    let is_on = |gate: &str| gates.iter().any(|(name, on)| *on && *name == gate);
    let every = |flag| -> Result<Option<Duration>, Error> {
        let every = get(values, flag, parse::duration)?;
        Ok(Some(every).filter(|every| !every.is_zero()))
    };
    let compaction = every("compact-hash-check-time")?;
    Ok(Checks {
        initial: is_on("InitialCorruptCheck"),
        periodic: every("corrupt-check-time")?,
        compaction: compaction.filter(|_| is_on("CompactHashCheck")),
    })
}

fn data_dir(values: &Values, name: &str) -> PathBuf {
    match text(values, "data-dir") {
        "" => PathBuf::from(format!("{name}.portunus")),
        given => PathBuf::from(given),
    }
}

/// Without the flag a member is alone, at the addresses it advertises.
fn initial_cluster(values: &Values, name: &str, peers: &[Url]) -> Result<InitialCluster, Error> {
    match values.is_given("initial-cluster") {
        true => get(values, "initial-cluster", InitialCluster::parse),
        false => Ok(InitialCluster {
            members: vec![InitialMember { name: name.to_owned(), peer_urls: peers.to_vec() }],
        }),
    }
}

fn tracing(values: &Values) -> Result<Option<traces::Options>, Error> {
    let is_on = get(values, "enable-distributed-tracing", parse::boolean)?;
    let options = traces::Options {
        address: get(values, "distributed-tracing-address", parse::host_and_port)?,
        service_name: text(values, "distributed-tracing-service-name").to_owned(),
        instance_id: text(values, "distributed-tracing-instance-id").to_owned(),
        per_million: get(values, "distributed-tracing-sampling-rate", parse::of_a_million)?,
    };
    Ok(is_on.then_some(options))
}

fn serving(values: &Values) -> Result<Serving, Error> {
    let interval = get(values, "grpc-keepalive-interval", parse::duration)?;
    Ok(Serving {
        listen_client_http_urls: urls(values, "listen-client-http-urls")?,
        reuse_port: get(values, "socket-reuse-port", parse::boolean)?,
        max_concurrent_streams: get(values, "max-concurrent-streams", parse::streams)?,
        keepalive_interval: (!interval.is_zero()).then_some(interval),
        keepalive_timeout: get(values, "grpc-keepalive-timeout", parse::duration)?,
        enable_gateway: get(values, "enable-grpc-gateway", parse::boolean)?,
        enable_profiles: get(values, "enable-pprof", parse::boolean)?,
        warning_unary_request_duration: get(
            values,
            "warning-unary-request-duration",
            parse::duration,
        )?,
        host_whitelist: parse::list(text(values, "host-whitelist")),
    })
}

fn auth(values: &Values) -> Result<Auth, Error> {
    Ok(Auth {
        token: text(values, "auth-token").to_owned(),
        token_ttl: Duration::from_secs(get(values, "auth-token-ttl", parse::count)?),
        bcrypt_cost: get(values, "bcrypt-cost", parse::bcrypt_cost)?,
    })
}

fn log(values: &Values) -> Result<LogConfig, Error> {
    Ok(LogConfig {
        level: get(values, "log-level", parse::log_level)?,
        format: match text(values, "log-format") {
            "console" => LogFormat::Console,
            _ => LogFormat::Json,
        },
        outputs: get(values, "log-outputs", parse::log_outputs)?,
    })
}

fn ignored(values: &Values) -> Vec<&'static str> {
    FLAGS
        .iter()
        .filter(|flag| flag.group == Group::NoEffect && values.is_given(flag.name))
        .map(|flag| flag.name)
        .collect()
}
