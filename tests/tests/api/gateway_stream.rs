//! Streams of the JSON gateway: lines of `{"result":...}` until the client or an error ends them.

use std::time::Duration;

use portunus_tests::eventually;
use portunus_tests::http::{Lines, get, post, stream};
use serde_json::{Value, json};

use crate::fixture::{PATIENCE, Single};

async fn line(lines: &mut Lines) -> Value {
    let line = tokio::time::timeout(PATIENCE, lines.next()).await.expect("a line").unwrap();
    line.expect("the stream goes on")
}

#[tokio::test]
async fn a_watch_is_lines_of_results() {
    let mut single = Single::start().await;
    let url = single.member.client_url.clone();
    single.put("foo", "bar").await;
    let body = r#"{"create_request": {"key":"Zm9v", "start_revision": "1"}}"#;
    let mut lines = stream(&url, "/v3/watch", body).await.unwrap();
    assert_eq!(lines.status, 200);
    assert_eq!(line(&mut lines).await["result"]["created"], true);
    let event = json!({
        "kv": {
            "key": "Zm9v", "create_revision": "2", "mod_revision": "2", "version": "1",
            "value": "YmFy",
        },
    });
    assert_eq!(line(&mut lines).await["result"]["events"], json!([event]));
    single.client.delete("foo", None).await.unwrap();
    let event = json!({ "type": "DELETE", "kv": { "key": "Zm9v", "mod_revision": "3" } });
    assert_eq!(line(&mut lines).await["result"]["events"], json!([event]));
    drop(lines);
    eventually("the end of a watch that nobody reads", || async {
        let metrics = get(&url, "/metrics").await?.body;
        anyhow::ensure!(metrics.contains("\netcd_debugging_mvcc_watch_stream_total 0\n"));
        anyhow::Ok(())
    })
    .await;
}

#[tokio::test]
async fn several_requests_in_one_body_are_several_messages() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let body = r#"{"create_request":{"key":"YQ==","watch_id":"5"}} {"create_request":{"key":"Yg==","watch_id":9}}
        {"cancel_request":{"watch_id":5}}"#;
    let mut lines = stream(url, "/v3/watch", body).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        let result = line(&mut lines).await["result"].take();
        let state = if result["canceled"] == true { "canceled" } else { "created" };
        seen.push((result["watch_id"].as_str().unwrap().to_owned(), state));
    }
    let expected = [("5", "created"), ("9", "created"), ("5", "canceled")];
    assert_eq!(seen, expected.map(|(id, state)| (id.to_owned(), state)));
}

#[tokio::test]
async fn a_later_message_that_is_rubbish_ends_the_stream_with_the_reason() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    let body = r#"{"create_request":{"key":"YQ=="}} {"create_request":7}"#;
    let mut lines = stream(url, "/v3/watch", body).await.unwrap();
    let mut last = Value::Null;
    while let Some(line) = tokio::time::timeout(PATIENCE, lines.next()).await.unwrap().unwrap() {
        last = line;
    }
    assert_eq!(last["error"]["code"], 3, "{last}");
}

#[tokio::test]
async fn keep_alives_are_answered_and_the_stream_ends_with_the_body() {
    let single = Single::start().await;
    let url = &single.member.client_url;
    post(url, "/v3/lease/grant", r#"{"ID":7,"TTL":60}"#).await.unwrap();
    let answer = post(url, "/v3/lease/keepalive", r#"{"ID":7}{"ID":"8"}"#).await.unwrap();
    let lines: Vec<Value> =
        answer.body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{}", answer.body);
    assert_eq!(
        (&lines[0]["result"]["ID"], &lines[0]["result"]["TTL"]),
        (&json!("7"), &json!("60"))
    );
    // A lease that is gone has TTL 0, and zero is left out.
    assert_eq!(
        (&lines[1]["result"]["ID"], &lines[1]["result"]["TTL"]),
        (&json!("8"), &Value::Null)
    );
}

#[tokio::test]
async fn a_member_that_stops_ends_streams_in_time() {
    let mut single = Single::start().await;
    let url = single.member.client_url.clone();
    let body = r#"{"create_request":{"key":"YQ=="}}"#;
    let mut lines = stream(&url, "/v3/watch", body).await.unwrap();
    line(&mut lines).await;
    let status = tokio::task::spawn_blocking(move || single.member.terminate()).await.unwrap();
    assert!(status.unwrap().success());
    let last = tokio::time::timeout(Duration::from_secs(20), lines.next()).await.unwrap();
    if let Ok(Some(last)) = last {
        assert_eq!(last["error"]["code"], 14, "{last}");
    }
}
