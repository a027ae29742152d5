//! The metrics: names, labels and buckets that dashboards and alerts for etcd ask for, and figures
//! that are true.

use std::collections::BTreeMap;

use portunus_proto::etcdserverpb as pb;
use portunus_tests::http::get;
use portunus_tests::{Cluster, Member, eventually, free_ports};

use crate::fixture::{Single, delete, range};

/// A scrape: each series with its value.
struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    async fn of(url: &str) -> Self {
        let answer = get(url, "/metrics").await.unwrap();
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        Self(lines.map(series).collect())
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        let found = self.0.get(series);
        *found.unwrap_or_else(|| panic!("{series} is missing"))
    }
}

fn series(line: &str) -> (String, f64) {
    let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line:?} is no sample"));
    (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line:?} has no number")))
}

fn rpc(metric: &str, method: &str, kind: &str, code: Option<&str>) -> String {
    let (service, method) = method.split_once('/').unwrap();
    let code = code.map_or(String::new(), |code| format!("grpc_code=\"{code}\","));
    format!(
        "{metric}{{{code}grpc_method=\"{method}\",grpc_service=\"{service}\",grpc_type=\"{kind}\"}}"
    )
}

#[tokio::test]
async fn everything_that_etcds_dashboard_and_alerts_ask_for_is_there_from_the_start() {
    let single = Single::start().await;
    let scrape = Scrape::of(&single.member.client_url).await;
    for series in [
        "etcd_server_has_leader",
        "etcd_server_is_leader",
        "etcd_server_is_learner",
        "etcd_server_leader_changes_seen_total",
        "etcd_server_proposals_committed_total",
        "etcd_server_proposals_applied_total",
        "etcd_server_proposals_pending",
        "etcd_server_proposals_failed_total",
        "etcd_server_slow_apply_total",
        "etcd_server_slow_read_indexes_total",
        "etcd_server_read_indexes_failed_total",
        "etcd_server_heartbeat_send_failures_total",
        "etcd_server_health_success",
        "etcd_server_health_failures",
        "etcd_server_quota_backend_bytes",
        "etcd_server_version{server_version=\"3.7.1\"}",
        "etcd_cluster_version{cluster_version=\"3.7\"}",
        "etcd_mvcc_db_total_size_in_bytes",
        "etcd_mvcc_db_total_size_in_use_in_bytes",
        "etcd_mvcc_put_total",
        "etcd_mvcc_delete_total",
        "etcd_mvcc_range_total",
        "etcd_mvcc_txn_total",
        "etcd_debugging_mvcc_keys_total",
        "etcd_debugging_mvcc_watcher_total",
        "etcd_debugging_mvcc_slow_watcher_total",
        "etcd_debugging_mvcc_watch_stream_total",
        "etcd_debugging_mvcc_events_total",
        "etcd_debugging_lease_granted_total",
        "etcd_debugging_lease_revoked_total",
        "etcd_debugging_server_lease_expired_total",
        "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"0.001\"}",
        "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"8.192\"}",
        "etcd_disk_wal_fsync_duration_seconds_bucket{le=\"+Inf\"}",
        "etcd_disk_backend_commit_duration_seconds_bucket{le=\"0.256\"}",
        "etcd_disk_wal_write_duration_seconds_bucket{le=\"0.001\"}",
        "etcd_mvcc_hash_duration_seconds_bucket{le=\"163.84\"}",
        "etcd_server_range_duration_seconds_bucket{success=\"true\",le=\"0.0001\"}",
        "etcd_server_request_duration_seconds_bucket{success=\"true\",type=\"Put\",le=\"8.192\"}",
        "etcd_network_client_grpc_received_bytes_total",
        "etcd_network_client_grpc_sent_bytes_total",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "os_fd_used",
        "os_fd_limit",
    ] {
        scrape.value(series);
    }
    let watch = "etcdserverpb.Watch/Watch";
    scrape.value(&rpc("grpc_server_started_total", watch, "bidi_stream", None));
    scrape.value(&rpc("grpc_server_handled_total", watch, "bidi_stream", Some("Canceled")));
    let snapshot = "etcdserverpb.Maintenance/Snapshot";
    scrape.value(&rpc("grpc_server_handled_total", snapshot, "server_stream", Some("OK")));
    let extensive = scrape.0.keys().any(|name| name.starts_with("grpc_server_handling_seconds"));
    assert!(!extensive, "time is measured with --metrics=extensive only");
    assert_eq!(scrape.value("etcd_server_quota_backend_bytes"), 2147483648.0);
    assert!(scrape.value("process_resident_memory_bytes") > 1e6);
    assert!(scrape.value("etcd_disk_wal_fsync_duration_seconds_count") >= 1.0);
}

#[tokio::test]
async fn what_is_done_is_counted() {
    let mut single = Single::with(&["--metrics=extensive"]).await;
    let url = single.member.client_url.clone();
    for n in 0..3 {
        single.put(&format!("k{n}"), "value").await;
    }
    single.rpc.kv.delete_range(delete("k0")).await.unwrap();
    single.rpc.kv.range(range("k1")).await.unwrap();
    single.rpc.kv.range(range("")).await.unwrap_err();
    let lease = pb::LeaseGrantRequest { id: 7, ttl: 60 };
    single.rpc.lease.lease_grant(lease).await.unwrap();
    single.rpc.lease.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap();
    single.rpc.lease.lease_revoke(pb::LeaseRevokeRequest { id: 7 }).await.unwrap_err();
    let mut maintenance = single.rpc.maintenance.clone();
    maintenance.hash(pb::HashRequest {}).await.unwrap();
    maintenance.hash_kv(pb::HashKvRequest { revision: 0 }).await.unwrap();
    let scrape = Scrape::of(&url).await;
    for (series, value) in [
        ("etcd_mvcc_put_total", 3.0),
        ("etcd_mvcc_delete_total", 1.0),
        ("etcd_mvcc_range_total", 1.0),
        ("etcd_debugging_mvcc_keys_total", 2.0),
        ("etcd_debugging_mvcc_current_revision", 5.0),
        ("etcd_debugging_lease_granted_total", 1.0),
        ("etcd_debugging_lease_revoked_total", 1.0),
        ("etcd_debugging_lease_ttl_total_bucket{le=\"64\"}", 1.0),
        ("etcd_debugging_lease_ttl_total_bucket{le=\"32\"}", 0.0),
        ("etcd_server_has_leader", 1.0),
        ("etcd_server_is_leader", 1.0),
        ("etcd_server_is_learner", 0.0),
        ("etcd_server_leader_changes_seen_total", 1.0),
        ("etcd_server_proposals_pending", 0.0),
        ("etcd_server_proposals_failed_total", 0.0),
        ("etcd_server_request_duration_seconds_count{success=\"true\",type=\"Put\"}", 3.0),
        ("etcd_server_request_duration_seconds_count{success=\"true\",type=\"Range\"}", 1.0),
        ("etcd_server_request_duration_seconds_count{success=\"true\",type=\"LeaseGrant\"}", 1.0),
        ("etcd_server_request_duration_seconds_count{success=\"false\",type=\"LeaseRevoke\"}", 1.0),
        ("etcd_server_range_duration_seconds_count{success=\"true\"}", 1.0),
        ("etcd_mvcc_hash_duration_seconds_count", 1.0),
        ("etcd_mvcc_hash_rev_duration_seconds_count", 1.0),
    ] {
        assert_eq!(scrape.value(series), value, "{series}");
    }
    let put = "etcdserverpb.KV/Put";
    for (series, value) in [
        (rpc("grpc_server_started_total", put, "unary", None), 3.0),
        (rpc("grpc_server_handled_total", put, "unary", Some("OK")), 3.0),
        (rpc("grpc_server_msg_received_total", put, "unary", None), 3.0),
        (rpc("grpc_server_msg_sent_total", put, "unary", None), 3.0),
        (rpc("grpc_server_handling_seconds_count", put, "unary", None), 3.0),
    ] {
        assert_eq!(scrape.value(&series), value, "{series}");
    }
    let refused =
        rpc("grpc_server_handled_total", "etcdserverpb.KV/Range", "unary", Some("InvalidArgument"));
    assert_eq!(scrape.value(&refused), 1.0);
    let applied = scrape.value("etcd_server_proposals_applied_total");
    assert!(applied >= 6.0 && applied <= scrape.value("etcd_server_proposals_committed_total"));
    // A put's request is key and value with two heads of two bytes each.
    assert!(scrape.value("etcd_network_client_grpc_received_bytes_total") >= 3.0 * 11.0);
    assert!(scrape.value("etcd_network_client_grpc_sent_bytes_total") > 0.0);
}

#[tokio::test]
async fn a_watch_is_active_until_its_client_is_gone() {
    let mut single = Single::start().await;
    let url = single.member.client_url.clone();
    let watch = "etcdserverpb.Watch/Watch";
    let started = rpc("grpc_server_started_total", watch, "bidi_stream", None);
    let cancelled = rpc("grpc_server_handled_total", watch, "bidi_stream", Some("Canceled"));
    let mut stream = single.client.watch("k", None).await.unwrap();
    stream.message().await.unwrap();
    single.put("k", "v").await;
    stream.message().await.unwrap();
    let scrape = Scrape::of(&url).await;
    assert_eq!((scrape.value(&started), scrape.value(&cancelled)), (1.0, 0.0));
    assert_eq!(scrape.value("etcd_debugging_mvcc_watcher_total"), 1.0);
    assert_eq!(scrape.value("etcd_debugging_mvcc_events_total"), 1.0);
    drop(stream);
    eventually("the end of the watch in the metrics", || async {
        let scrape = Scrape::of(&url).await;
        anyhow::ensure!(scrape.value("etcd_debugging_mvcc_watcher_total") == 0.0);
        let ended: f64 = scrape
            .0
            .iter()
            .filter(|(name, _)| {
                name.starts_with("grpc_server_handled_total{")
                    && name.contains("Watch/") | name.contains("etcdserverpb.Watch")
            })
            .map(|(_, value)| value)
            .sum();
        anyhow::ensure!(ended == 1.0, "{ended} watches have ended");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_port_of_its_own_serves_metrics_and_health_and_no_data() {
    let dir = tempfile::tempdir().unwrap();
    let [port] = free_ports();
    let url = format!("http://127.0.0.1:{port}");
    let member = Member::single(dir.path(), &[&format!("--listen-metrics-urls={url}")]).unwrap();
    assert_eq!(Scrape::of(&url).await.value("etcd_server_has_leader"), 1.0);
    assert_eq!(get(&url, "/readyz").await.unwrap().body, "ok\n");
    assert_eq!(get(&url, "/version").await.unwrap().status, 200);
    let mut rpc = portunus_tests::Rpc::connect(&url).await.unwrap();
    let refused = rpc.kv.range(range("k")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    drop(member);
}

#[tokio::test(flavor = "multi_thread")]
async fn members_measure_the_way_to_their_peers() {
    let cluster = Cluster::three(&[]).await.unwrap();
    let mut client = cluster.client().await.unwrap();
    client.put("k", "v", None).await.unwrap();
    let leader = cluster.leader().await;
    let mut ids = Vec::new();
    for member in &cluster.members {
        let status = member.client().await.unwrap().status().await.unwrap();
        ids.push(format!("{:x}", status.header().unwrap().member_id()));
    }
    let url = &cluster.members[leader].client_url;
    let follower = (leader + 1) % 3;
    eventually("figures of the peers", || async {
        let scrape = Scrape::of(url).await;
        let has = |series: String| {
            let value = scrape.0.get(&series).copied().unwrap_or(0.0);
            anyhow::ensure!(value > 0.0, "{series} is {value}");
            Ok(())
        };
        let (me, peer) = (&ids[leader], &ids[follower]);
        has(format!("etcd_network_peer_sent_bytes_total{{To=\"{peer}\"}}"))?;
        has(format!("etcd_network_peer_round_trip_time_seconds_count{{To=\"{peer}\"}}"))?;
        has(format!("etcd_network_active_peers{{Local=\"{me}\",Remote=\"{peer}\"}}"))?;
        let scrape = Scrape::of(&cluster.members[follower].client_url).await;
        let received = format!("etcd_network_peer_received_bytes_total{{From=\"{me}\"}}");
        anyhow::ensure!(scrape.0.get(&received).is_some_and(|bytes| *bytes > 0.0), "{received}");
        Ok(())
    })
    .await;
}
