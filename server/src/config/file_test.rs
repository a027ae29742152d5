//! Config files: etcd's own sample, each kind of value, and what is refused.

use std::path::Path;

use super::{read, requested};
use crate::config::read::{Request, Values};
use crate::config::{Config, LogFormat, LogOutput, read as arguments};

/// The keys of etcd's own sample file, with its values, `null`s and forgotten keys included.
const SAMPLE: &str = r"
# a comment
name: 'default'
data-dir:
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
election-timeout: 1000
quota-backend-bytes: 0
listen-peer-urls: http://localhost:2380
listen-client-urls: http://localhost:2379
max-wals: 5
cors:
initial-advertise-peer-urls: http://localhost:2380
advertise-client-urls: http://localhost:2379
discovery:
discovery-fallback: 'proxy'
discovery-proxy:
discovery-srv:
initial-cluster:
initial-cluster-token: 'etcd-cluster'
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
client-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file:
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
  allowed-cn:
  allowed-hostname:
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: '1'
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
tls-min-version: 'TLS1.2'
tls-max-version: 'TLS1.3'
";

fn config(text: &str) -> Result<Config, String> {
    let values = read(Path::new("p.yml"), text).map_err(|error| error.to_string())?;
    Config::from_values(&values).map_err(|error| error.to_string())
}

#[test]
fn the_sample_of_etcd_is_a_configuration() {
    let config = config(SAMPLE).expect("valid");
    assert_eq!(config.name, "default");
    assert!(!config.strict_reconfig_check);
    assert_eq!(config.client_tls.versions.suites.len(), 2);
    assert_eq!(config.cors, ["*"], "nothing leaves the default");
    assert_eq!(config.config_file.as_deref(), Some(Path::new("p.yml")));
    assert_eq!(config.log.outputs, [LogOutput::Stderr]);
    assert!(config.serving.enable_profiles);
    assert!(config.ignored_flags.contains(&"max-wals"));
}

#[test]
fn sections_stand_for_their_flags() {
    let config = config(
        "client-transport-security: {cert-file: c, key-file: k, trusted-ca-file: ca,\n\
         \x20 client-cert-auth: true, allowed-cn: [a, b], skip-client-san-verification: true}\n\
         peer-transport-security:\n  cert-file: pc\n  key-file: pk\n  client-cert-file: cc\n\
         \x20 client-key-file: ck\n  allowed-hostname: h\n  crl-file: l\n\
         socket-options: {reuse-port: true, reuse-address: true}\n",
    )
    .expect("valid");
    let (clients, peers) = (&config.client_tls, &config.peer_tls);
    assert_eq!(clients.identity, Some(("c".into(), "k".into())));
    assert!(clients.client_cert_auth && clients.skip_origin && !peers.skip_origin);
    assert_eq!(clients.allowed_names, ["a", "b"]);
    assert_eq!(peers.identity, Some(("pc".into(), "pk".into())));
    assert_eq!(peers.client_identity, Some(("cc".into(), "ck".into())));
    assert_eq!((&peers.allowed_hosts[..], peers.crl_file.is_some()), (&["h".to_owned()][..], true));
    assert!(config.serving.reuse_port);
}

#[test]
fn durations_are_nanoseconds_or_gos_texts() {
    let interval = |text: &str| {
        let text = format!("watch-progress-notify-interval: {text}");
        config(&text).map(|config| config.watch_progress_notify_interval.as_millis())
    };
    assert_eq!(interval("600000000000"), Ok(600_000));
    assert_eq!(interval("100ms"), Ok(100));
    assert!(interval("soon").expect_err("no duration").contains("expected a duration"));
}

#[test]
fn a_file_needs_no_advertised_urls() {
    let config = config("listen-client-urls: http://127.0.0.1:1\nlog-format: console");
    assert_eq!(config.expect("valid").log.format, LogFormat::Console);
    assert!(super::read(Path::new("p"), "").is_ok(), "all of it may be missing");
}

#[test]
fn what_makes_no_sense_is_named_with_its_place() {
    let cases = [
        ("nmae: a", "config file p.yml: unknown key \"nmae\"; did you mean name?"),
        (
            "xyzzy: 1",
            "config file p.yml: unknown key \"xyzzy\"; keys are the names of flags, see --help",
        ),
        (
            "xyzzy:",
            "config file p.yml: unknown key \"xyzzy\"; keys are the names of flags, see --help",
        ),
        (
            "peer-transport-security: {cert-flie: a}",
            "config file p.yml: unknown key \"cert-flie\"; did you mean cert-file?",
        ),
        (
            "peer-transport-securty: {cert-file: a}",
            "config file p.yml: unknown key \"peer-transport-securty\"; did you mean peer-transport-security?",
        ),
        (
            "peer-transport-security: a",
            "config file p.yml: peer-transport-security is a section: indent its keys below it",
        ),
        (
            "snapshot-count: many",
            "invalid value \"many\" for snapshot-count in p.yml: expected a whole number that is not negative",
        ),
        (
            "name: {a: b}",
            "invalid value \"{\"a\":\"b\"}\" for name in p.yml: expected a text, a number, true or false, or a list of texts",
        ),
        (
            "config-file: f",
            "config file p.yml: unknown key \"config-file\"; keys are the names of flags, see --help",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(config(text).map(drop), Err(expected.to_owned()), "{text}");
    }
    for broken in ["a: b: c", "- a\n- b", "name: 'x", "name: a\nname: b"] {
        let refused = config(broken).map(drop).expect_err(broken);
        assert!(refused.starts_with("config file p.yml: "), "{broken}: {refused}");
    }
}

#[test]
fn the_flag_wins_over_variables_and_ours_over_etcds() {
    let values = |words: &[&str]| match arguments::read(words.iter().map(Into::into), []) {
        Ok(Request::Serve(values)) => values,
        other => panic!("{other:?}"),
    };
    let variables = |all: &[(&str, &str)]| {
        all.iter().map(|(name, value)| (name.into(), value.into())).collect::<Vec<_>>()
    };
    let asked = |values: &Values, all: &[(&str, &str)]| {
        requested(values, variables(all)).map(|path| path.display().to_string())
    };
    let both = [("ETCD_CONFIG_FILE", "theirs"), ("PORTUNUS_CONFIG_FILE", "ours")];
    assert_eq!(asked(&values(&["--config-file=f"]), &both).as_deref(), Some("f"));
    assert_eq!(asked(&values(&[]), &both).as_deref(), Some("ours"));
    assert_eq!(asked(&values(&[]), &both[..1]).as_deref(), Some("theirs"));
    assert_eq!(asked(&values(&[]), &[("ETCD_CONFIG_FILE", "")]), None);
    let broken = variables(&[("ETCD_WAL_DIR", "w")]);
    let read = arguments::read(["--config-file=f"].map(Into::into), broken);
    assert!(read.is_ok(), "variables do not count beside a file");
}

#[test]
fn keys_of_older_etcds_mean_what_is_meant_today() {
    let config = config(
        "experimental-initial-corrupt-check: true\nexperimental-corrupt-check-time: 60000000000\n\
         feature-gates: CompactHashCheck=true\nexperimental-max-learners: 2\n",
    )
    .expect("valid");
    assert!(config.checks.initial && config.checks.compaction.is_some());
    assert_eq!(config.checks.periodic, Some(std::time::Duration::from_secs(60)));
    assert_eq!((config.max_learners, config.former_flags.len()), (2, 3));
}
