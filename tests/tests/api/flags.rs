//! Flags that change what the client port does, config files, and where the log goes; on real
//! members.

use std::path::Path;

use portunus_tests::http::{get, post};
use portunus_tests::{Member, free_ports};

fn single(dir: &Path, flags: &[&str]) -> Member {
    Member::single(dir, flags).expect("a member starts")
}

#[tokio::test]
async fn the_gateway_can_be_switched_off() {
    let dir = tempfile::tempdir().unwrap();
    let member = single(dir.path(), &["--enable-grpc-gateway=false"]);
    let url = &member.client_url;
    assert_eq!(post(url, "/v3/kv/range", "{}").await.unwrap().status, 404);
    assert_eq!(get(url, "/health").await.unwrap().status, 200);
    member.client().await.unwrap().put("k", "v", None).await.unwrap();
}

#[tokio::test]
async fn the_log_goes_to_files_too() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("p.log");
    let outputs = format!("--log-outputs={},stderr", log.display());
    let mut member = single(dir.path(), &[&outputs]);
    let lines = || std::fs::read_to_string(&log).unwrap().lines().count();
    let first = lines();
    assert!(first > 0 && member.output().contains("starting a member"));
    // Truncated under it, as logrotate does, and appended to after a restart.
    std::fs::File::create(&log).unwrap();
    member.terminate().unwrap();
    let rest = std::fs::read_to_string(&log).unwrap();
    assert!(rest.starts_with('{') && rest.contains("\"msg\":\"stopping\""), "{rest:?}");
    let before = lines();
    member.start().unwrap();
    assert!(lines() > before);
}

#[tokio::test]
async fn a_log_file_that_cannot_be_opened_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let outputs = format!("--log-outputs={}", dir.path().display());
    let refused = Member::single(dir.path(), &[&outputs]).err().expect("refused").to_string();
    assert!(refused.contains("log file") && refused.contains("cannot be opened"), "{refused}");
}

#[tokio::test]
async fn streams_of_a_connection_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let member = single(dir.path(), &["--max-concurrent-streams=2"]);
    let mut client = member.client().await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..2 {
        watches.push(client.watch("k", None).await.unwrap());
    }
    // The third waits for a place, so it has not been answered when a short time is over.
    let third = client.put("k", "v", None);
    let waited = tokio::time::timeout(std::time::Duration::from_millis(300), third).await;
    assert!(waited.is_err(), "a third call was served beside two");
    drop(watches);
    let mut another = member.client().await.unwrap();
    another.put("k", "v", None).await.unwrap();
}

#[tokio::test]
async fn a_config_file_replaces_flags_and_variables() {
    let dir = tempfile::tempdir().unwrap();
    let [client, peer] = free_ports();
    let (url, peer_url) =
        (format!("http://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let file = dir.path().join("portunus.yml");
    let data = dir.path().join("from-file");
    let text = format!(
        "name: filed\ndata-dir: {}\nlisten-client-urls: {url}\nadvertise-client-urls: {url}\n\
         listen-peer-urls: {peer_url}\ninitial-advertise-peer-urls: {peer_url}\n\
         initial-cluster: filed={peer_url}\nmax-txn-ops: 1\nlog-outputs: [stderr]\n",
        data.display()
    );
    std::fs::write(&file, text).unwrap();
    let asked = vec![format!("--config-file={}", file.display())];
    // The harness passes a name and URLs of its own, which must not count.
    let mut member = Member::new("ignored", dir.path(), client, asked);
    member.start().unwrap();
    assert!(data.exists() && !member.data_dir.exists());
    let words = "other configuration command line flags and environment variables will be ignored";
    assert!(member.output().contains(words));
    let mut client = member.client().await.unwrap();
    let members = client.member_list().await.unwrap();
    assert_eq!(members.members()[0].name(), "filed");
}

#[tokio::test]
async fn a_config_file_with_an_unknown_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.yml");
    std::fs::write(&file, "snapshot-cuont: 5\n").unwrap();
    let refused = Member::single(dir.path(), &[&format!("--config-file={}", file.display())]);
    let refused = refused.err().expect("refused").to_string();
    assert!(refused.contains("unknown key \"snapshot-cuont\"; did you mean snapshot-count?"));
}

#[tokio::test]
async fn calls_that_take_long_are_told_of() {
    let dir = tempfile::tempdir().unwrap();
    let mut member = single(dir.path(), &["--warning-unary-request-duration=1ns"]);
    member.client().await.unwrap().put("k", "v", None).await.unwrap();
    member.wait_output("\"msg\":\"request stats\"").unwrap();
    assert!(member.output().contains("/etcdserverpb.KV/Put"), "{}", member.output());
    let dir = tempfile::tempdir().unwrap();
    let mut patient = single(dir.path(), &["--warning-unary-request-duration=1h"]);
    patient.client().await.unwrap().put("k", "v", None).await.unwrap();
    patient.terminate().unwrap();
    assert!(!patient.output().contains("request stats"), "{}", patient.output());
}
