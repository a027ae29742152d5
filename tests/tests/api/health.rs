//! Health, probes and version over HTTP: codes, bodies and reasons are etcd's, word for word.

use portunus_proto::etcdserverpb as pb;
use portunus_tests::http::{get, request};
use portunus_tests::{Cluster, eventually};

use crate::fixture::Single;

/// What a Go server says of text that it did not guess the type of.
const PLAIN: &str = "text/plain; charset=utf-8";

#[tokio::test]
async fn a_healthy_member_says_so_in_etcds_words() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let health = get(url, "/health").await.unwrap();
    assert_eq!((health.status, health.body.as_str()), (200, r#"{"health":"true","reason":""}"#));
    assert_eq!(health.header("content-type"), Some(PLAIN));
    assert_eq!(health.header("access-control-allow-origin"), Some("*"));
    for (path, body) in [
        ("/livez", "ok\n"),
        ("/readyz", "ok\n"),
        ("/livez/serializable_read", "ok\n"),
        ("/readyz/data_corruption", "ok\n"),
        ("/readyz/linearizable_read", "ok\n"),
        ("/livez?verbose", "[+]serializable_read ok\nok\n"),
        (
            "/readyz?verbose=",
            "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n\
             [+]non_learner ok\nok\n",
        ),
        (
            "/readyz?verbose&exclude=linearizable_read&exclude=non_learner&exclude=nothing",
            "[+]data_corruption ok\n[+]serializable_read ok\nok\n",
        ),
    ] {
        let answer = get(url, path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
        assert_eq!(answer.header("content-type"), Some(PLAIN));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
    let version = get(url, "/version").await.unwrap();
    let expected = r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#;
    assert_eq!((version.status, version.body.as_str()), (200, expected));
    assert_eq!(version.header("content-type"), Some("application/json"));
}

#[tokio::test]
async fn paths_and_methods_that_are_none_are_refused_as_gos_server_does() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    for path in ["/", "/nothing", "/livez/data_corruption", "/readyz/", "/healthz"] {
        let answer = get(url, path).await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{path}");
    }
    for path in ["/health", "/version", "/readyz/non_learner"] {
        let answer = request(url, "POST", path, &[], "").await.unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (405, "Method Not Allowed\n"), "{path}");
        assert_eq!(answer.header("allow"), Some("GET"));
    }
}

#[tokio::test]
async fn an_alarm_makes_a_member_unhealthy_unless_it_is_excluded() {
    let mut single = Single::start().await;
    let url = single.member.client_url.clone();
    let raise = pb::AlarmRequest {
        action: pb::alarm_request::AlarmAction::Activate.into(),
        member_id: 0,
        alarm: pb::AlarmType::Corrupt.into(),
    };
    single.rpc.maintenance.alarm(raise).await.unwrap();
    let health = get(&url, "/health").await.unwrap();
    let expected = "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}\n";
    assert_eq!((health.status, health.body.as_str()), (503, expected));
    let excluded = get(&url, "/health?exclude=CORRUPT").await.unwrap();
    assert_eq!(excluded.status, 200, "{excluded:?}");
    let ready = get(&url, "/readyz/data_corruption").await.unwrap();
    let expected = "[-]data_corruption failed: alarm activated: CORRUPT\n\n";
    assert_eq!((ready.status, ready.body.as_str()), (503, expected));
    assert_eq!(get(&url, "/livez").await.unwrap().status, 200, "it is no reason to restart it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_without_a_leader_serves_only_what_needs_none() {
    let mut cluster = Cluster::three(&[]).await.unwrap();
    for n in [1, 2] {
        cluster.members[n].kill().unwrap();
    }
    let url = cluster.members[0].client_url.clone();
    eventually("a member that has lost its leader", || async {
        let health = get(&url, "/health").await?;
        let expected = "{\"health\":\"false\",\"reason\":\"RAFT NO LEADER\"}\n";
        anyhow::ensure!((health.status, health.body.as_str()) == (503, expected), "{health:?}");
        anyhow::Ok(())
    })
    .await;
    let local = get(&url, "/health?serializable=true").await.unwrap();
    assert_eq!((local.status, local.body.as_str()), (200, r#"{"health":"true","reason":""}"#));
    assert_eq!(get(&url, "/livez").await.unwrap().status, 200);
    let metrics = get(&url, "/metrics").await.unwrap().body;
    assert!(metrics.contains("\netcd_server_has_leader 0\n"), "it says so in its metrics too");
}

#[tokio::test]
async fn variables_name_the_command_line_as_go_programs_do() {
    let single = Single::start().await;
    let variables = get(&single.member.client_url, "/debug/vars").await.unwrap();
    assert_eq!(variables.header("content-type"), Some("application/json"));
    let variables = variables.json();
    let words: Vec<_> = variables["cmdline"].as_array().unwrap().clone();
    assert!(words.iter().any(|word| word.as_str().unwrap().starts_with("--data-dir")), "{words:?}");
    assert!(variables["file_descriptor_limit"].as_u64().unwrap() > 0);
}
