//! The plugins that come with the server, each deployed by its name into a real member and seen to
//! do what it is for. What they do in detail is tested beside their code.

use std::path::Path;

use anyhow::Result;
use etcd_client::{Client, GetOptions, PutOptions, Txn, TxnOp};
use portunus_tests::{Member, eventually};
use serde_json::{Value, json};

use crate::commands::Shell;

pub struct Deployed {
    _member: Member,
    pub client: Client,
    pub shell: Shell,
}

impl Deployed {
    /// A member with one plugin of its own.
    pub async fn new(dir: &Path, builtin: &str, options: &[&str]) -> Result<Self> {
        let member = Member::single(dir, &[])?;
        let shell = Shell::of(&member);
        let source = format!("builtin:{builtin}");
        shell.ok(&[&["plugin", "deploy", &source], options].concat())?;
        Ok(Self { client: member.client().await?, shell, _member: member })
    }

    async fn put(&mut self, key: &str, value: &str) -> Result<(), String> {
        let put = self.client.put(key, value, None).await;
        put.map(drop).map_err(|error| error.to_string())
    }

    pub async fn value(&mut self, key: &str) -> Result<Option<String>> {
        let got = self.client.get(key, None).await?;
        Ok(got.kvs().first().map(|kv| kv.value_str().map(str::to_owned)).transpose()?)
    }

    async fn keys(&mut self, prefix: &str) -> Result<Vec<String>> {
        let got = self.client.get(prefix, Some(GetOptions::new().with_prefix())).await?;
        Ok(got.kvs().iter().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()).collect())
    }

    fn call(&self, plugin: &str, function: &str, payload: &Value) -> Result<Value> {
        let payload = payload.to_string();
        let out = self.shell.ok(&["recipe", "call", plugin, function, &payload])?;
        Ok(serde_json::from_str(&out)?)
    }
}

fn refused(result: Result<(), String>, why: &str) {
    let error = result.expect_err(why);
    assert!(error.contains(why), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn write_once_keeps_what_was_written() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut it = Deployed::new(dir.path(), "write-once", &["--write-policy", "rel/"]).await?;
    it.put("rel/1", "a").await.expect("the first time");
    refused(it.put("rel/1", "b").await, "refused by write-once: rel/1 is written once");
    assert_eq!(it.value("rel/1").await?.as_deref(), Some("a"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn quota_counts_what_leases_take_away_too() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = ["--write-policy", "t/", "--trigger", "t/", "--config", "max-keys=2"];
    let mut it = Deployed::new(dir.path(), "quota", &options).await?;
    let lease = it.client.lease_grant(60, None).await?.id();
    it.client.put("t/a", "1", Some(PutOptions::new().with_lease(lease))).await?;
    it.put("t/b", "1").await.expect("fits");
    refused(it.put("t/c", "").await, "max-keys is 2, and there would be 3");
    it.client.lease_revoke(lease).await?;
    eventually("there is room again", async || it.client.clone().put("t/c", "", None).await).await;
    let left = "{\"keys\":2,\"bytes\":7}";
    assert_eq!(it.value("t/.quota").await?.as_deref(), Some(left));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn json_schema_names_what_does_not_fit() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let schema = dir.path().join("schema.json");
    std::fs::write(&schema, r#"{"type": "object", "required": ["name"]}"#)?;
    let config = format!("@{}", schema.display());
    let options = ["--write-policy", "users/", "--config", &config];
    let mut it = Deployed::new(dir.path(), "json-schema", &options).await?;
    it.put("users/1", r#"{"name": "a"}"#).await.expect("fits");
    refused(it.put("users/1", "{}").await, "is required");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn fencing_refuses_a_deposed_holder() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options =
        ["--write-policy", "app/", "--config", "lock=locks/app", "--grant-read", "locks/app"];
    let mut it = Deployed::new(dir.path(), "fencing", &options).await?;
    let mut tokens = Vec::new();
    for who in ["a", "b"] {
        let put = it.client.put(format!("locks/app/{who}"), "", None).await?;
        tokens.push(put.header().expect("a header").revision().to_string());
    }
    let mut client = it.client.clone();
    let mut write = async |token: &str| {
        let ops = [TxnOp::put("app/state", "x", None), TxnOp::put("app/.token", token, None)];
        let txn = client.txn(Txn::new().and_then(ops)).await;
        txn.map(drop).map_err(|error| error.to_string())
    };
    write(&tokens[0]).await.expect("the holder writes");
    it.client.delete("locks/app/a", None).await?;
    refused(write(&tokens[0]).await, "is not that of the holder");
    write(&tokens[1]).await.expect("the next holder writes");
    refused(it.put("app/state", "y").await, "no token");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn secondary_index_is_there_in_the_same_revision() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = ["--write-policy", "users/", "--grant-write", "by-city/"];
    let options =
        [&options[..], &["--config", "field=city", "--config", "index=by-city/"]].concat();
    let mut it = Deployed::new(dir.path(), "secondary-index", &options).await?;
    it.put("users/1", r#"{"city": "Rome"}"#).await.expect("put");
    assert_eq!(it.keys("by-city/").await?, ["by-city/Rome/users/1"]);
    it.put("users/1", r#"{"city": "Oslo"}"#).await.expect("put");
    assert_eq!(it.keys("by-city/").await?, ["by-city/Oslo/users/1"]);
    let [user, entry] = [it.client.get("users/1", None).await?, {
        it.client.get("by-city/Oslo/users/1", None).await?
    }];
    assert_eq!(user.kvs()[0].mod_revision(), entry.kvs()[0].mod_revision());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cascade_delete_takes_dependents_along() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut it = Deployed::new(dir.path(), "cascade-delete", &["--trigger", "jobs/"]).await?;
    it.put("jobs/1", "").await.expect("put");
    it.put("jobs/1/a", r#"{"owner": "jobs/1"}"#).await.expect("put");
    it.put("jobs/1/a/x", r#"{"owner": "jobs/1/a"}"#).await.expect("put");
    it.client.delete("jobs/1", None).await?;
    eventually("nothing is left", async || {
        let options = Some(GetOptions::new().with_prefix());
        match it.client.clone().get("jobs/", options).await {
            Ok(got) if got.kvs().is_empty() => Ok(()),
            other => Err(other),
        }
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn counter_adds_and_hands_out_blocks() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut it = Deployed::new(dir.path(), "counter", &["--recipe", "count/"]).await?;
    assert_eq!(it.call("counter", "add", &json!({"name": "a", "by": 5}))?, 5);
    assert_eq!(it.call("counter", "add", &json!({"name": "a", "by": -2}))?, 3);
    let block = it.call("counter", "block", &json!({"name": "ids", "size": 10}))?;
    assert_eq!(block, json!({"first": 1, "last": 10}));
    assert_eq!(it.value("count/a").await?.as_deref(), Some("3"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limit_admits_a_burst_and_says_when_to_come_back() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options =
        ["--recipe", "rate/", "--config", "rate=1", "--config", "per=3600", "--config", "burst=2"];
    let it = Deployed::new(dir.path(), "rate-limit", &options).await?;
    for _ in 0..2 {
        let answer = it.call("rate-limit", "allow", &json!({"name": "a"}))?;
        assert_eq!(answer["allowed"], true, "{answer}");
    }
    let answer = it.call("rate-limit", "allow", &json!({"name": "a"}))?;
    assert_eq!(answer["allowed"], false, "{answer}");
    assert!(answer["retry_after_ms"].as_u64().is_some_and(|ms| ms > 3_000_000), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_applies_a_change_with_the_vote_that_is_enough() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let options = ["--recipe", "changes/", "--write-policy", "prod/", "--grant-write", "prod/"];
    let config = ["--config", "voters=ann,bob,eve", "--config", "protected=prod/"];
    let mut it = Deployed::new(dir.path(), "approval", &[&options[..], &config].concat()).await?;
    refused(it.put("prod/flag", "on").await, "prod/flag changes by approval");
    let change = json!({"changes": [{"key": "prod/flag", "value": "on"}]});
    let id = it.call("approval", "propose", &change)?;
    let vote = |voter: &str| json!({"id": id, "approve": true, "voter": voter});
    assert_eq!(it.call("approval", "vote", &vote("ann"))?["state"], "open");
    assert_eq!(it.value("prod/flag").await?, None);
    assert_eq!(it.call("approval", "vote", &vote("bob"))?["state"], "applied");
    assert_eq!(it.value("prod/flag").await?.as_deref(), Some("on"));
    Ok(())
}
