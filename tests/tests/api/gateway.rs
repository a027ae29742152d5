//! The JSON gateway over real HTTP: what `curl` gets.

use portunus_tests::http::{get, post, request};
use serde_json::{Value, json};

use crate::fixture::Single;

/// Posts and expects a 200.
async fn ask(url: &str, path: &str, body: Value) -> Value {
    let answer = post(url, path, body.to_string()).await.unwrap();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("grpc-metadata-content-type"), Some("application/grpc"));
    answer.json()
}

#[track_caller]
fn assert_header(answer: &Value, revision: &str) {
    let header = &answer["header"];
    for id in ["cluster_id", "member_id", "raft_term"] {
        let text = header[id].as_str().unwrap_or_else(|| panic!("{id} is no string: {answer}"));
        assert!(text.parse::<u64>().unwrap() > 0, "{answer}");
    }
    assert_eq!(header["revision"], revision, "{answer}");
}

/// The transcript that every introduction to etcd shows, word for word.
#[tokio::test]
async fn the_curl_lines_of_the_scenarios() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let put = post(url, "/v3alpha/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#).await.unwrap();
    assert_eq!(put.status, 200);
    assert_header(&put.json(), "2");
    let kv = json!({
        "key": "Zm9v", "create_revision": "2", "mod_revision": "2", "version": "1", "value": "YmFy",
    });
    for body in [r#"{"key": "Zm9v"}"#, r#"{"key": "Zm9v", "range_end": "Zm9w"}"#] {
        for prefix in ["/v3alpha", "/v3beta", "/v3"] {
            let range = post(url, &format!("{prefix}/kv/range"), body).await.unwrap().json();
            assert_header(&range, "2");
            assert_eq!((&range["kvs"], &range["count"]), (&json!([kv]), &json!("1")));
        }
    }
}

#[tokio::test]
async fn the_kv_and_lease_services_as_json() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let grant = ask(url, "/v3/lease/grant", json!({ "TTL": 60, "ID": "77" })).await;
    assert_eq!((&grant["ID"], &grant["TTL"]), (&json!("77"), &json!("60")));
    ask(url, "/v3/kv/put", json!({ "key": "Zm9v", "value": "YmFy", "lease": 77 })).await;
    let put = json!({ "key": "Zm9v", "value": "YmF6", "prev_kv": true });
    let answer = ask(url, "/v3/kv/put", put).await;
    assert_header(&answer, "3");
    assert_eq!(answer["prev_kv"]["lease"], "77");
    let txn = json!({
        "compare": [{ "key": "Zm9v", "target": "VERSION", "result": "EQUAL", "version": "2" }],
        "success": [
            { "request_put": { "key": "YQ==" } },
            { "request_range": { "key": "Zm9v" } },
            { "request_delete_range": { "key": "Zm9v", "prev_kv": true } },
        ],
    });
    let answer = ask(url, "/v3/kv/txn", txn).await;
    assert_eq!(answer["succeeded"], true);
    let responses = &answer["responses"];
    assert_eq!(responses[0]["response_put"]["header"]["revision"], "4");
    assert_eq!(responses[1]["response_range"]["kvs"][0]["value"], "YmF6");
    assert_eq!(responses[2]["response_delete_range"]["deleted"], "1");
    assert_eq!(responses[2]["response_delete_range"]["prev_kvs"][0]["version"], "2");
    let left = ask(url, "/v3/kv/lease/timetolive", json!({ "ID": 77, "keys": true })).await;
    assert_eq!(left["grantedTTL"], "60");
    let leases = ask(url, "/v3/lease/leases", json!({})).await;
    assert_eq!(leases["leases"], json!([{ "ID": "77" }]));
    assert_header(&ask(url, "/v3/kv/deleterange", json!({ "key": "YQ==" })).await, "5");
    ask(url, "/v3/kv/compaction", json!({ "revision": 5, "physical": true })).await;
    assert_header(&ask(url, "/v3/lease/revoke", json!({ "ID": 77 })).await, "5");
}

#[tokio::test]
async fn the_services_about_the_member_as_json() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let list = ask(url, "/v3/cluster/member/list", json!({})).await;
    assert_eq!(list["members"][0]["name"], "m0");
    assert_eq!(list["members"][0]["clientURLs"], json!([url]));
    let status = ask(url, "/v3/maintenance/status", json!({})).await;
    assert_eq!(
        (&status["version"], &status["dbSizeQuota"]),
        (&json!("3.7.1"), &json!("2147483648"))
    );
    // These have no header.
    let defragment = post(url, "/v3/maintenance/defragment", "{}").await.unwrap();
    assert_eq!((defragment.status, defragment.body.as_str()), (200, "{}"));
    let hash = ask(url, "/v3/maintenance/hashkv", json!({ "revision": 0 })).await;
    assert!(hash["hash"].is_u64(), "{hash}");
    let body = json!({ "action": "ACTIVATE", "alarm": "NOSPACE" });
    ask(url, "/v3/maintenance/alarm", body).await;
    let alarms = ask(url, "/v3/maintenance/alarm", json!({ "action": "GET" })).await;
    assert_eq!(alarms["alarms"], json!([{ "alarm": "NOSPACE" }]));
    let full = post(url, "/v3/kv/put", r#"{"key":"YQ=="}"#).await.unwrap();
    assert_eq!((full.status, &full.json()["code"]), (429, &json!(8)));
    let auth = ask(url, "/v3/auth/status", json!({})).await;
    assert!(auth["authRevision"].is_string(), "{auth}");
    ask(url, "/v1/plugin/list", json!({})).await;
}

#[tokio::test]
async fn errors_have_the_codes_and_bodies_of_grpc_gateway() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let refused = post(url, "/v3/kv/put", r#"{"key": ""}"#).await.unwrap();
    assert_eq!(refused.status, 400);
    assert_eq!(refused.header("content-type"), Some("application/json"));
    assert_eq!(refused.body, r#"{"code":3,"message":"etcdserver: key is not provided"}"#);
    for (path, body, status, code) in [
        ("/v3/kv/range", r#"{"key":"Zm9v","revision":99}"#, 400, 11),
        ("/v3/kv/range", r#"{"key":"Zm9v","sort_order":7}"#, 400, 3),
        ("/v3/lease/revoke", r#"{"ID":1}"#, 404, 5),
        ("/v3/lease/grant", r#"{"TTL":99999999999}"#, 400, 11),
        ("/v3/kv/put", "{", 400, 3),
        ("/v3/kv/put", "[1]", 400, 3),
        ("/v3/kv/put", r#"{"key":"*"}"#, 400, 3),
        ("/v3/kv/nothing", "{}", 404, 5),
        ("/v1/nothing/at-all", "{}", 404, 5),
        ("/v3/watch", "rubbish", 400, 3),
        ("/v3/watch", "{} rubbish", 400, 3),
    ] {
        let answer = post(url, path, body).await.unwrap();
        let said = answer.json();
        let said = said.get("error").unwrap_or(&said);
        assert_eq!((answer.status, said["code"].as_i64()), (status, Some(code)), "{path} {body}");
    }
    let answer = get(url, "/v3/kv/range").await.unwrap();
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (501, r#"{"code":12,"message":"Method Not Allowed"}"#)
    );
    assert_eq!(post(url, "/v2/keys/foo", "").await.unwrap().status, 404);
}

#[tokio::test]
async fn a_body_without_bounds_is_refused() {
    let single = Single::with(&["--max-request-bytes=1000"]).await;
    let url = &single.member.client_url;
    let value = "A".repeat(2000);
    let large = format!(r#"{{"key":"Zm9v","value":"{value}"}}"#);
    let answer = post(url, "/v3/kv/put", large).await.unwrap();
    let expected = r#"{"code":3,"message":"etcdserver: request is too large"}"#;
    assert_eq!((answer.status, answer.body.as_str()), (400, expected));
    let endless = post(url, "/v3/kv/put", vec![b' '; 16 * 1024 * 1024]).await.unwrap();
    assert_eq!((endless.status, &endless.json()["code"]), (429, &json!(8)), "{}", endless.body);
}

#[tokio::test]
async fn pages_of_listed_origins_may_call() {
    let single = Single::with(&["--cors=http://one,http://two"]).await;
    let url = &single.member.client_url;
    let asked = async |origin: &str, method: &str| {
        request(url, method, "/v3/kv/range", &[("origin", origin)], r#"{"key":"YQ=="}"#)
            .await
            .unwrap()
    };
    for (method, status) in [("OPTIONS", 200), ("POST", 200)] {
        let answer = asked("http://two", method).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("access-control-allow-origin"), Some("http://two"));
        let methods = answer.header("access-control-allow-methods");
        assert_eq!(methods, Some("POST, GET, OPTIONS, PUT, DELETE"));
        let headers = answer.header("access-control-allow-headers");
        assert_eq!(headers, Some("accept, content-type, authorization"));
    }
    assert_eq!(asked("http://three", "POST").await.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn metadata_reaches_the_service() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let headers = [("grpc-metadata-client-api-version", "\u{e9}")];
    let answer = request(url, "POST", "/v3/kv/range", &headers, r#"{"key":"YQ=="}"#).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let bytes = hyper::header::HeaderValue::from_bytes(b"\xff").unwrap();
    let name = "grpc-metadata-client-api-version";
    let refused =
        portunus_tests::http::request_with(url, "/v3/kv/range", name, bytes).await.unwrap();
    let expected = r#"{"code":3,"message":"etcdserver: invalid client api version"}"#;
    assert_eq!((refused.status, refused.body.as_str()), (400, expected));
}

#[tokio::test]
async fn the_gateway_describes_itself() {
    let single = Single::start().await;
    let answer = get(&single.member.client_url, "/openapi.json").await.unwrap();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    for path in ["/v3/kv/txn", "/v3/lock/lock", "/v3/election/observe", "/v1/plugin/list"] {
        assert!(document["paths"][path]["post"].is_object(), "{path}");
    }
}
