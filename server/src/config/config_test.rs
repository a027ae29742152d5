//! Every way to write a flag, who wins over whom, and the exact text of each refusal.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use crate::config::address::join;
use crate::config::flags::{FLAGS, Kind, UNSUPPORTED, find};
use crate::config::read::{Request, read};
use crate::config::{AutoCompaction, Checks, ClusterState, Config, LogFormat, LogOutput, help};

fn request(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Request, String> {
    let environment = environment.iter().map(|(k, v)| (OsString::from(k), OsString::from(v)));
    read(arguments.iter().map(OsString::from), environment).map_err(|error| error.to_string())
}

fn config(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Config, String> {
    match request(arguments, environment)? {
        Request::Serve(values) => Config::from_values(&values).map_err(|error| error.to_string()),
        other => panic!("{arguments:?} is no server but {other:?}"),
    }
}

fn served(arguments: &[&str]) -> Config {
    config(arguments, &[]).expect("valid flags")
}

fn bootstrap(arguments: &[&str]) -> Result<(), String> {
    served(arguments).check_bootstrap().map_err(|error| error.to_string())
}

fn refused(arguments: &[&str]) -> String {
    bootstrap(arguments).expect_err("a first start that cannot work")
}

#[test]
fn without_arguments_it_is_a_single_member_as_etcd() {
    let config = served(&[]);
    assert_eq!(config.name, "default");
    assert_eq!(config.data_dir, Path::new("default.portunus"));
    assert_eq!(join(&config.listen_client_urls), "http://localhost:2379");
    assert_eq!(join(&config.advertise_client_urls), "http://localhost:2379");
    assert_eq!(join(&config.listen_peer_urls), "http://localhost:2380");
    assert_eq!(join(&config.initial_advertise_peer_urls), "http://localhost:2380");
    assert_eq!(config.initial_cluster.to_string(), "default=http://localhost:2380");
    assert_eq!(config.initial_cluster_state, ClusterState::New);
    assert_eq!(
        (config.heartbeat, config.election),
        (Duration::from_millis(100), Duration::from_secs(1))
    );
    assert_eq!((config.snapshot_count, config.snapshot_catchup_entries), (10_000, 5_000));
    assert_eq!(config.watch_progress_notify_interval, Duration::from_secs(600));
    assert_eq!(config.quota_bytes, 0);
    assert_eq!(config.max_txn_ops, crate::limits::TXN_OPS_DEFAULT);
    assert_eq!(config.max_request_bytes, crate::limits::REQUEST_BYTES_DEFAULT);
    assert_eq!(config.auto_compaction, None);
    assert_eq!(config.log.level, "info");
    assert_eq!(
        (config.log.format, &config.log.outputs),
        (LogFormat::Json, &vec![LogOutput::Stderr])
    );
    assert!(config.pre_vote && config.strict_reconfig_check && !config.unsafe_no_fsync);
    assert_eq!(config.check_bootstrap(), Ok(()));
    let id = config.initial_cluster.members[0].id(&config.initial_cluster_token);
    assert_eq!(id.to_string(), "8e9e05c52164694d");
    let cluster = config.initial_cluster.cluster_id(&config.initial_cluster_token);
    assert_eq!(cluster.to_string(), "cdf818194e3a8c32");
}

#[test]
fn every_flag_can_be_written_in_every_form() {
    for flag in FLAGS {
        let value = match flag.kind {
            Kind::Urls => "http://127.0.0.1:7".to_owned(),
            Kind::Bool => "false".to_owned(),
            _ if flag.name == "initial-cluster" => "m=http://a:1".to_owned(),
            Kind::Count if flag.default.is_empty() => "1".to_owned(),
            _ if flag.default.is_empty() => "d".to_owned(),
            _ => flag.default.to_owned(),
        };
        let text = |arguments: &[&str], environment: &[(&str, &str)]| match request(
            arguments,
            environment,
        )
        .expect(flag.name)
        {
            Request::Serve(values) if values.is_given(flag.name) => values.text(flag).to_owned(),
            other => panic!("--{} was not read: {other:?}", flag.name),
        };
        for dashes in ["-", "--"] {
            let name = format!("{dashes}{}", flag.name);
            assert_eq!(text(&[&format!("{name}={value}")], &[]), value);
            match flag.kind {
                Kind::Bool => assert_eq!(text(&[&name], &[]), "true"),
                _ => assert_eq!(text(&[&name, &value], &[]), value),
            }
        }
        for prefix in ["ETCD", "PORTUNUS"] {
            assert_eq!(text(&[], &[(&flag.variable(prefix), &value)]), value);
        }
    }
}

#[test]
fn every_default_is_valid_and_shown_in_help() {
    let help = help::text();
    for flag in FLAGS {
        assert!(help.contains(&format!("--{}", flag.name)), "--{} has no help", flag.name);
        assert!(UNSUPPORTED.iter().all(|other| other.name != flag.name), "{}", flag.name);
        if !flag.default.is_empty() {
            let argument = format!("--{}={}", flag.name, flag.default);
            let client = "--advertise-client-urls=http://localhost:2379";
            assert!(config(&[&argument, client], &[]).is_ok(), "{argument}");
        }
    }
}

#[test]
fn flags_win_over_portunus_over_etcd_over_defaults() {
    let both = [("PORTUNUS_NAME", "ours"), ("ETCD_NAME", "theirs")];
    let name = |arguments: &[&str], environment: &[(&str, &str)]| {
        config(arguments, environment).expect("valid").name
    };
    assert_eq!(name(&["--name=flag"], &both), "flag");
    assert_eq!(name(&[], &both), "ours");
    assert_eq!(name(&[], &both[1..]), "theirs");
    assert_eq!(name(&[], &[("ETCD_NAME", "")]), "default");
    assert_eq!(name(&["--name=a", "-name", "b"], &[]), "b");
}

#[test]
fn a_value_may_begin_with_a_dash_and_hold_equals_signs() {
    assert_eq!(served(&["--quota-backend-bytes", "-1"]).quota_bytes, -1);
    let config = served(&["--initial-cluster=a=http://a:1,b=http://b:1"]);
    assert_eq!(config.initial_cluster.to_string(), "a=http://a:1,b=http://b:1");
}

#[test]
fn only_our_variables_are_looked_at() {
    let environment =
        [("ETCD_VERIFY", "all"), ("ETCDCTL_API", "3"), ("PORTUNUSNAME", "x"), ("PATH", "/")];
    let config = config(&[], &environment).expect("valid");
    assert_eq!(config.unrecognized_variables, ["ETCD_VERIFY"]);
    assert_eq!(config.name, "default");
}

#[test]
fn help_and_version_work_whatever_else_is_set() {
    let broken = [("ETCD_WAL_DIR", "wal")];
    for word in ["-h", "--help", "-help"] {
        assert_eq!(request(&["--name", "a", word], &broken), Ok(Request::Help));
    }
    for word in ["--version", "-version", "--version=true"] {
        assert_eq!(request(&[word], &broken), Ok(Request::Version));
    }
    assert!(matches!(request(&["--version=false"], &[]), Ok(Request::Serve(_))));
}

#[test]
fn values_are_typed() {
    let retention = |arguments: &[&str]| served(arguments).auto_compaction;
    let hours = |hours: u64| Some(AutoCompaction::Periodic(Duration::from_secs(hours * 3600)));
    assert_eq!(retention(&["--auto-compaction-retention=2"]), hours(2));
    assert_eq!(retention(&["--auto-compaction-retention=0h"]), None);
    assert_eq!(
        retention(&["--auto-compaction-retention=1h30m"]),
        Some(AutoCompaction::Periodic(Duration::from_secs(5400)))
    );
    assert_eq!(
        retention(&["--auto-compaction-mode=revision", "--auto-compaction-retention=1000"]),
        Some(AutoCompaction::Revision(1000))
    );
    assert_eq!(retention(&["--auto-compaction-mode=revision"]), None);
    assert_eq!(served(&["--log-level=panic"]).log.level, "error");
    assert_eq!(served(&["--log-level=info,portunus=debug"]).log.level, "info,portunus=debug");
    let both = vec![LogOutput::Stdout, LogOutput::Stderr];
    assert_eq!(served(&["--log-outputs=stdout,default,stderr"]).log.outputs, both);
    assert_eq!(served(&["--name=n"]).data_dir, Path::new("n.portunus"));
    assert_eq!(served(&["--logger", "zap"]).ignored_flags, ["logger"]);
    let checks = |arguments: &[&str]| served(arguments).checks;
    let minute = Duration::from_secs(60);
    let gates =
        "--feature-gates=CompactHashCheck=true,InitialCorruptCheck=true,PriorityRequest=false";
    let all = Checks { initial: true, periodic: Some(minute), compaction: Some(minute) };
    assert_eq!(checks(&[gates, "--corrupt-check-time=1m"]), all);
    assert_eq!(checks(&[]), Checks::default());
    assert_eq!(served(&["--wal-dir=w"]).wal_dir.as_deref(), Some(Path::new("w")));
    for (text, expected) in [("1", true), ("T", true), ("False", false), ("0", false)] {
        assert_eq!(served(&[&format!("--pre-vote={text}")]).pre_vote, expected);
    }
}

#[test]
fn names_of_older_etcds_mean_what_is_meant_today() {
    let old = served(&[
        "--experimental-initial-corrupt-check=true",
        "--experimental-watch-progress-notify-interval=5s",
        "--experimental-compact-hash-check-enabled",
        "--experimental-compact-hash-check-time",
        "2m",
        "--feature-gates=PriorityRequest=true",
        "--experimental-max-learners=3",
    ]);
    let new = served(&[
        "--watch-progress-notify-interval=5s",
        "--compact-hash-check-time=2m",
        "--feature-gates=InitialCorruptCheck=true,CompactHashCheck=true",
        "--max-learners=3",
    ]);
    assert_eq!(old.checks, new.checks);
    assert_eq!(old.watch_progress_notify_interval, new.watch_progress_notify_interval);
    assert_eq!(old.max_learners, new.max_learners);
    let (former, today) = &old.former_flags[0];
    assert_eq!(former, "--experimental-initial-corrupt-check");
    assert_eq!(today, "--feature-gates=InitialCorruptCheck=true");
    assert_eq!(old.former_flags.len(), 5);
    assert!(new.former_flags.is_empty());
    let variables = [("ETCD_EXPERIMENTAL_INITIAL_CORRUPT_CHECK", "true")];
    let config = config(&["--experimental-max-learners=4"], &variables).expect("valid");
    assert!(config.checks.initial && config.unrecognized_variables.is_empty());
    assert_eq!((config.max_learners, config.former_flags.len()), (4, 2));
    // They were flags of their own: one does not take the other's place.
    let both = self::config(&["--experimental-compact-hash-check-enabled"], &variables);
    let checks = both.expect("valid").checks;
    assert!(checks.initial && checks.compaction.is_some());
}

const CLIENT: &str = "--advertise-client-urls=http://localhost:1";

#[rustfmt::skip]
const REFUSALS: &[(&[&str], &str)] = &[
    (&["--nmae=a"], "unknown flag --nmae; did you mean --name?"),
    (&["-listen-client-url=x"], "unknown flag --listen-client-url; did you mean --listen-client-urls?"),
    (&["--verbose"], "unknown flag --verbose; see --help"),
    (&["-versoin"], "unknown flag --versoin; did you mean --version?"),
    (&["--name"], "--name needs a value; write --name=VALUE"),
    (&["extra"], "\"extra\" is not a flag; see --help"),
    (&["--"], "\"--\" is not a flag; see --help"),
    (&["---name=a"], "\"---name=a\" is not a flag; see --help"),
    (&["--pre-vote", "false"], "\"false\" is not a flag; to set --pre-vote write --pre-vote=VALUE"),
    (&["--pre-vote=yes"], "invalid value \"yes\" for --pre-vote: expected true or false"),
    (&["--name="], "invalid value \"\" for --name: a name is not empty and has neither \",\" nor \"=\""),
    (&["--heartbeat-interval=100ms"], "invalid value \"100ms\" for --heartbeat-interval: expected milliseconds without a unit, such as 100"),
    (&["--heartbeat-interval=0"], "invalid value \"0\" for --heartbeat-interval: must be above 0 milliseconds"),
    (&["--election-timeout=499"], "--election-timeout[499ms] should be at least as 5 times as --heartbeat-interval[100ms]"),
    (&["--election-timeout=50001"], "--election-timeout[50001ms] is too long, and should be set less than 50000ms"),
    (&["--snapshot-count=-1"], "invalid value \"-1\" for --snapshot-count: expected a whole number that is not negative"),
    (&["--max-txn-ops=0"], "invalid value \"0\" for --max-txn-ops: expected a whole number above 0"),
    (&["--quota-backend-bytes=2GB"], "invalid value \"2GB\" for --quota-backend-bytes: expected a whole number of bytes"),
    (&["--initial-cluster-state=old"], "invalid value \"old\" for --initial-cluster-state: expected new or existing"),
    (&["--auto-compaction-mode=always"], "invalid value \"always\" for --auto-compaction-mode: expected periodic or revision"),
    (&["--auto-compaction-retention=5d"], "invalid value \"5d\" for --auto-compaction-retention: expected a duration such as 100ms, 10m or 1h30m, or hours"),
    (&["--auto-compaction-mode=revision", "--auto-compaction-retention=1h"], "invalid value \"1h\" for --auto-compaction-retention: expected a number of revisions, as --auto-compaction-mode is revision"),
    (&["--lease-checkpoint-interval=500ms"], "invalid value \"500ms\" for --lease-checkpoint-interval: expected 1s or more"),
    (&["--watch-progress-notify-interval=10"], "invalid value \"10\" for --watch-progress-notify-interval: the unit is missing; expected a duration such as 100ms, 10m or 1h30m"),
    (&["--log-level=loud"], "invalid value \"loud\" for --log-level: expected debug, info, warn, error, panic or fatal, or filters such as info,portunus::raft=debug"),
    (&["--log-format=xml"], "invalid value \"xml\" for --log-format: expected json or console"),
    (&["--log-outputs=stderr,"], "invalid value \"stderr,\" for --log-outputs: expected stderr, stdout, default, or paths of files"),
    (&["--logger=capnslog"], "invalid value \"capnslog\" for --logger: expected zap"),
    (&["--listen-client-urls=http://127.0.0.1:1"], "--advertise-client-urls is required when --listen-client-urls is set explicitly"),
    (&["--listen-client-urls=https://127.0.0.1:1", CLIENT], "TLS key/cert (--cert-file, --key-file) must be provided for client url https://127.0.0.1:1 with HTTPS scheme"),
    (&["--listen-client-urls=http://example.com:1", CLIENT], "invalid value \"http://example.com:1\" for --listen-client-urls: expected IP in URL for binding (http://example.com:1)"),
    (&["--listen-peer-urls=127.0.0.1:1"], "invalid value \"127.0.0.1:1\" for --listen-peer-urls: URL scheme must be http, https, unix, or unixs: 127.0.0.1:1"),
    (&["--initial-advertise-peer-urls=http://:1"], "invalid value \"http://:1\" for --initial-advertise-peer-urls: unexpected empty host (http://:1)"),
    (&["--initial-cluster=a"], "invalid value \"a\" for --initial-cluster: \"a\" is not of the form name=url"),
    (&["--initial-cluster="], "invalid value \"\" for --initial-cluster: expected name=url,..."),
    (&["--cert-file=c.pem"], "--cert-file and --key-file must both be present[cert: c.pem, key: ]"),
    (&["--peer-client-key-file=k"], "--peer-client-cert-file and --peer-client-key-file must both be present[cert: , key: k]"),
    (&["--listen-peer-urls=https://127.0.0.1:1"], "cannot listen on TLS for https://127.0.0.1:1: KeyFile and CertFile are not presented (--peer-cert-file, --peer-key-file)"),
    (&["--listen-metrics-urls=https://127.0.0.1:1"], "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url"),
    (&["--cipher-suites=TLS_RSA_WITH_AES_128_GCM_SHA256,x"], "invalid value \"TLS_RSA_WITH_AES_128_GCM_SHA256,x\" for --cipher-suites: unexpected TLS cipher suite \"x\""),
    (&["--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "--tls-min-version=TLS1.3"], "cipher suites cannot be configured when only TLS1.3 is enabled"),
    (&["--cipher-suites=TLS_RSA_WITH_RC4_128_SHA", "--tls-max-version=TLS1.2"], "invalid value \"TLS_RSA_WITH_RC4_128_SHA\" for --cipher-suites: none of these can be used here; choose ECDHE with AES-GCM or ChaCha20"),
    (&["--tls-min-version=TLS1.1"], "invalid value \"TLS1.1\" for --tls-min-version: unexpected TLS version \"TLS1.1\" (must be one of: TLS1.2, TLS1.3)"),
    (&["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"], "min version (TLS1.3) is greater than max version (TLS1.2)"),
    (&["--peer-cert-allowed-cn=a", "--peer-cert-allowed-hostname=b,c"], "--peer-cert-allowed-cn and --peer-cert-allowed-hostname are mutually exclusive (cns=[\"a\"], hostnames=[\"b\", \"c\"])"),
    (&["--bcrypt-cost=3"], "invalid value \"3\" for --bcrypt-cost: expected a cost from 4 to 31"),
    (&["--self-signed-cert-validity=0"], "invalid value \"0\" for --self-signed-cert-validity: expected years, 1 to 1000"),
    (&["--max-concurrent-streams=0"], "invalid value \"0\" for --max-concurrent-streams: expected a number from 1 to 4294967295"),
    (&["--feature-gates=Everything=true"], "invalid value \"Everything=true\" for --feature-gates: unrecognized feature gate: Everything"),
    (&["--experimental-initial-corrupt-check=maybe"], "invalid value \"InitialCorruptCheck=maybe\" for --experimental-initial-corrupt-check: invalid value of InitialCorruptCheck=maybe: expected true or false"),
    (&["--experimental-max-learners=x"], "invalid value \"x\" for --experimental-max-learners: expected a whole number that is not negative"),
    (&["--experimental-name=x"], "unknown flag --experimental-name; see --help"),
    (&["--feature-gates=CompactHashCheck"], "invalid value \"CompactHashCheck\" for --feature-gates: missing bool value for CompactHashCheck"),
];

#[test]
fn refusals_name_the_flag_the_value_and_what_is_right() {
    for (arguments, expected) in REFUSALS {
        assert_eq!(
            config(arguments, &[]).map(|_| ()),
            Err((*expected).to_owned()),
            "{arguments:?}"
        );
    }
}

#[test]
fn refusals_name_the_variable_when_that_is_where_the_value_came_from() {
    let cases = [
        ("ETCD_PRE_VOTE", "x", "invalid value \"x\" for ETCD_PRE_VOTE: expected true or false"),
        (
            "PORTUNUS_MAX_TXN_OPS",
            "0",
            "invalid value \"0\" for PORTUNUS_MAX_TXN_OPS: expected a whole number above 0",
        ),
        (
            "ETCD_DISCOVERY",
            "u",
            "ETCD_DISCOVERY: not supported: name the members in --initial-cluster, or use \
             --discovery-token and --discovery-endpoints",
        ),
    ];
    for (name, value, expected) in cases {
        assert_eq!(config(&[], &[(name, value)]).map(|_| ()), Err(expected.to_owned()));
    }
    let forced = config(&["--force-new-cluster"], &[("ETCD_FORCE_NEW_CLUSTER", "false")]);
    assert!(forced.unwrap().force_new_cluster);
}

#[test]
fn a_first_start_must_be_part_of_its_initial_cluster() {
    let three = "--initial-cluster=a=http://a:1,b=http://b:1,c=http://c:1";
    let at_a = "--initial-advertise-peer-urls=http://a:1";
    assert_eq!(bootstrap(&["--name=a", at_a, three]), Ok(()));
    assert_eq!(
        refused(&["--name=d", at_a, three]),
        "couldn't find local name \"d\" in the initial cluster configuration"
    );
    assert_eq!(
        refused(&["--name=b", at_a, three]),
        "--initial-cluster has b=http://b:1 but missing from --initial-advertise-peer-urls=http://a:1"
    );
    assert_eq!(bootstrap(&["--name=b", at_a, three, "--initial-cluster-state=existing"]), Ok(()));
    let two_urls = "--initial-advertise-peer-urls=http://a:1,http://a:2";
    assert_eq!(
        refused(&["--name=a", two_urls, "--initial-cluster=a=http://a:1"]),
        "--initial-advertise-peer-urls has http://a:2 but missing from --initial-cluster=a=http://a:1"
    );
    assert_eq!(
        bootstrap(&["--name=a", two_urls, "--initial-cluster=a=http://a:2,a=http://a:1"]),
        Ok(())
    );
    assert_eq!(
        refused(&["--name=a", at_a, "--initial-cluster=a=http://a:1,b=http://a:1"]),
        "initial cluster a=http://a:1,b=http://a:1 has duplicate url"
    );
    assert_eq!(bootstrap(&["--name=a", at_a]), Ok(()), "a member alone needs no list");
}

#[test]
fn names_in_the_table_are_unique() {
    for flag in FLAGS {
        assert!(std::ptr::eq(find(flag.name).expect("in the table"), flag), "{}", flag.name);
    }
}

/// What etcd 3.7.1 takes, but for `help` and `version`: the names of its flag sets.
const OF_ETCD: &str = "advertise-client-urls auth-token auth-token-ttl auto-compaction-mode \
    auto-compaction-retention auto-tls backend-batch-interval backend-batch-limit \
    backend-bbolt-freelist-type bcrypt-cost bootstrap-defrag-threshold-megabytes cert-file \
    cipher-suites client-cert-allowed-hostname client-cert-auth client-cert-file client-crl-file \
    client-key-file compact-hash-check-time compaction-batch-limit compaction-sleep-interval \
    config-file corrupt-check-time cors data-dir discovery-cacert discovery-cert \
    discovery-dial-timeout discovery-endpoints discovery-fallback \
    discovery-insecure-skip-tls-verify discovery-insecure-transport discovery-keepalive-time \
    discovery-keepalive-timeout discovery-key discovery-password discovery-request-timeout \
    discovery-srv discovery-srv-name discovery-token discovery-user distributed-tracing-address \
    distributed-tracing-instance-id distributed-tracing-sampling-rate \
    distributed-tracing-service-name downgrade-check-time election-timeout \
    enable-distributed-tracing enable-grpc-gateway enable-log-rotation enable-pprof feature-gates \
    force-new-cluster grpc-keepalive-interval grpc-keepalive-min-time grpc-keepalive-timeout \
    heartbeat-interval host-whitelist initial-advertise-peer-urls initial-cluster \
    initial-cluster-state initial-cluster-token initial-election-tick-advance key-file \
    listen-client-http-urls listen-client-urls listen-metrics-urls listen-peer-urls log-format \
    log-level log-outputs log-rotation-config-json logger max-concurrent-streams max-learners \
    max-request-bytes max-snapshots max-txn-ops max-wals memory-mlock metrics name peer-auto-tls \
    peer-cert-allowed-cn peer-cert-allowed-hostname peer-cert-file peer-client-cert-auth \
    peer-client-cert-file peer-client-key-file peer-crl-file peer-key-file \
    peer-skip-client-san-verification peer-trusted-ca-file pre-vote quota-backend-bytes \
    raft-read-timeout raft-write-timeout self-signed-cert-validity snapshot-catchup-entries \
    snapshot-count socket-reuse-address socket-reuse-port strict-reconfig-check tls-max-version \
    tls-min-version trusted-ca-file unsafe-no-fsync v2-deprecation wal-dir warning-apply-duration \
    warning-unary-request-duration watch-progress-notify-interval";

#[test]
fn every_flag_of_etcd_is_known() {
    for name in OF_ETCD.split_whitespace() {
        let unsupported = UNSUPPORTED.iter().any(|flag| flag.name == name);
        assert!(find(name).is_some() != unsupported, "--{name} is in none or both of the tables");
    }
}

#[test]
fn flags_that_etcd_has_forgotten_are_passed_over() {
    for words in [["--v", "--name=a"], ["--force=true", "--name=a"], ["-snapshot=x", "--name=a"]] {
        assert_eq!(served(&words).name, "a");
    }
}

#[test]
fn tls_is_read_once_for_clients_and_once_for_peers() {
    let config = served(&[
        "--cert-file=c",
        "--key-file=k",
        "--trusted-ca-file=ca",
        "--client-cert-auth",
        "--client-cert-allowed-hostname=a, b,",
        "--peer-auto-tls",
        "--peer-cert-allowed-cn=x,y",
        "--tls-min-version=TLS1.3",
        "--listen-client-urls=https://127.0.0.1:1,http://127.0.0.1:1",
        "--advertise-client-urls=https://localhost:1",
    ]);
    let (clients, peers) = (&config.client_tls, &config.peer_tls);
    assert_eq!(clients.identity, Some(("c".into(), "k".into())));
    assert_eq!(clients.trusted_ca_file.as_deref(), Some(Path::new("ca")));
    assert!(clients.client_cert_auth && !clients.auto && peers.auto && !peers.client_cert_auth);
    assert_eq!(clients.allowed_hosts, ["a", "b"]);
    assert_eq!(peers.allowed_names, ["x", "y"]);
    assert!(!clients.versions.tls12 && clients.versions.tls13);
    assert!(peers.client_options(None).insecure_skip_verify, "nobody can check such a certificate");
    assert!(!clients.client_options(None).insecure_skip_verify);
}
