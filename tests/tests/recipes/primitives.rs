//! The recipes that are plugins of the server's own, each on a real member: what they do in detail
//! is tested beside their code.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portunus_tests::{Member, Plugins, http};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::Code;

use crate::fixture::{Single, lease};

struct Deployed {
    single: Single,
    plugins: Plugins,
    plugin: &'static str,
}

impl Deployed {
    /// A member with one plugin, bound to a prefix of its name.
    async fn new(plugin: &'static str, has_trigger: bool) -> Result<Self> {
        let single = Single::start().await?;
        let endpoint = format!("--endpoints={}", single.member.client_url);
        let (source, prefix) = (format!("builtin:{plugin}"), format!("{plugin}/"));
        let mut command = Command::new(Member::program()?);
        command.args(["plugin", "deploy", &source, "--recipe", &prefix, &endpoint]);
        if has_trigger {
            command.args(["--trigger", &prefix]);
        }
        let deployed = tokio::task::block_in_place(|| command.output())?;
        ensure!(deployed.status.success(), "{deployed:?}");
        let plugins = Plugins::connect(&single.member.client_url).await?;
        Ok(Self { single, plugins, plugin })
    }

    async fn call(&self, function: &str, args: Value) -> Result<Value> {
        let reply = self.plugins.clone().call(self.plugin, function, &args.to_string()).await?;
        Ok(serde_json::from_str(&reply)?)
    }

    /// Why a call that must be refused was.
    async fn refused(&self, function: &str, args: Value) -> Result<String> {
        let reply = self.plugins.clone().call(self.plugin, function, &args.to_string()).await;
        let status = reply.err().with_context(|| format!("{function} {args} is served"))?;
        ensure!(status.code() == Code::FailedPrecondition, "{status:?}");
        Ok(status.message().to_owned())
    }

    /// A call that waits, by the member's own account.
    async fn waiting(&self, function: &str, args: Value) -> JoinHandle<Result<Value>> {
        let (mut plugins, plugin) = (self.plugins.clone(), self.plugin);
        let (function, before) = (function.to_owned(), self.parked().await.expect("a count"));
        let call = tokio::spawn(async move {
            let reply = plugins.call(plugin, &function, &args.to_string()).await?;
            Ok(serde_json::from_str(&reply)?)
        });
        portunus_tests::eventually("the call waits", || async {
            let now = self.parked().await?;
            ensure!(now == before + 1, "{now} calls wait");
            Ok(())
        })
        .await;
        call
    }

    async fn parked(&self) -> Result<u64> {
        let metrics = http::get(&self.single.member.client_url, "/metrics").await?.body;
        let row = |line: &&str| line.starts_with("portunus_plugin_parked_calls{");
        let count = metrics.lines().find(row).and_then(|line| line.rsplit(' ').next());
        Ok(count.map_or(Ok(0), str::parse)?)
    }

    /// A lease that ends by itself, in seconds.
    async fn brief(&self) -> Result<i64> {
        Ok(self.single.client.lease_client().grant(2, None).await?.id())
    }

    async fn lasting(&self) -> Result<i64> {
        lease(&self.single.client).await
    }

    async fn revoke(&self, lease: i64) -> Result<()> {
        self.single.client.lease_client().revoke(lease).await?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_barrier_opens_when_all_have_met() -> Result<()> {
    let it = Deployed::new("barrier", false).await?;
    let arrival =
        |who, lease: i64| json!({ "name": "a", "who": who, "parties": 2, "lease": lease });
    let dying = it.brief().await?;
    assert_eq!(it.call("enter", arrival("x", dying)).await?, 1);
    let met = it.waiting("entered", json!({ "name": "a" })).await;
    assert_eq!(it.call("enter", arrival("y", it.lasting().await?)).await?, 2);
    met.await??;
    assert_eq!(it.call("leave", json!({ "name": "a", "who": "y" })).await?, 1);
    // x never leaves: its lease ends.
    it.call("left", json!({ "name": "a" })).await?;
    let round = it.call("arrive", arrival("x", 0)).await?;
    assert_eq!(round, json!({ "round": 1, "complete": false }));
    let next = it.waiting("round", json!({ "name": "a", "after": 1 })).await;
    it.call("arrive", arrival("y", 0)).await?;
    assert_eq!(next.await??, 1);
    it.call("hold", json!({ "name": "a" })).await?;
    let pass = it.waiting("pass", json!({ "name": "a" })).await;
    it.call("release", json!({ "name": "a" })).await?;
    pass.await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_latch_opens_with_its_last_step() -> Result<()> {
    let it = Deployed::new("latch", false).await?;
    it.call("create", json!({ "name": "a", "count": 2 })).await?;
    let open = it.waiting("pass", json!({ "name": "a" })).await;
    for (id, left) in [("x", 1), ("x", 1), ("y", 0)] {
        assert_eq!(it.call("down", json!({ "name": "a", "id": id })).await?, left);
    }
    open.await??;
    let why = it.refused("create", json!({ "name": "a", "count": 2 })).await?;
    assert!(why.contains("there is a latch a already"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn work_is_shared_out_again_when_a_member_dies() -> Result<()> {
    let it = Deployed::new("membership", true).await?;
    let [a, b] = [it.lasting().await?, it.lasting().await?];
    let join = |member, lease: i64| json!({ "group": "g", "member": member, "lease": lease });
    it.call("join", join("a", a)).await?;
    it.call("share", json!({ "group": "g", "items": ["p0", "p1", "p2"] })).await?;
    it.call("join", join("b", b)).await?;
    let first = it.call("mine", json!({ "group": "g", "member": "a" })).await?;
    assert_eq!((&first["own"], &first["give_up"]), (&json!(["p0", "p1"]), &json!(["p2"])));
    let seen = it.call("mine", json!({ "group": "g", "member": "b" })).await?["version"].clone();
    let mine = json!({ "group": "g", "member": "b", "seen": seen });
    let next = it.waiting("mine", mine).await;
    it.call("gave_up", json!({ "group": "g", "member": "a", "items": ["p2"] })).await?;
    let given = next.await??;
    assert_eq!(given["own"], json!(["p2"]));
    let mine = json!({ "group": "g", "member": "b", "seen": given["version"] });
    let next = it.waiting("mine", mine).await;
    it.revoke(a).await?;
    assert_eq!(next.await??["own"], json!(["p0", "p1", "p2"]));
    let members = it.call("members", json!({ "group": "g" })).await?;
    assert_eq!(members.as_array().map(Vec::len), Some(1), "{members}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_runs_once_even_if_the_first_to_run_it_dies() -> Result<()> {
    let it = Deployed::new("once", false).await?;
    let [dying, next] = [it.lasting().await?, it.lasting().await?];
    let begin = |lease: i64| json!({ "job": "schema-7", "lease": lease });
    assert_eq!(it.call("begin", begin(dying)).await?, json!({ "run": true }));
    let waiting = it.waiting("begin", begin(next)).await;
    it.revoke(dying).await?;
    assert_eq!(waiting.await??, json!({ "run": true }));
    let why = it.refused("finish", begin(dying)).await?;
    assert!(why.contains("schema-7 is not run under lease"), "{why}");
    it.call("finish", json!({ "job": "schema-7", "lease": next, "result": "ok" })).await?;
    let told = it.call("begin", begin(it.lasting().await?)).await?;
    assert_eq!(told, json!({ "run": false, "result": "ok" }));
    assert_eq!(it.call("done", json!({})).await?, json!(["schema-7"]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_is_undone_in_reverse_when_its_coordinator_dies() -> Result<()> {
    let it = Deployed::new("saga", true).await?;
    let [dying, other] = [it.lasting().await?, it.lasting().await?];
    it.call("begin", json!({ "saga": "trip", "lease": dying })).await?;
    for name in ["hotel", "flight"] {
        let step = json!({ "saga": "trip", "lease": dying, "name": name, "undo": "cancel" });
        it.call("step", step).await?;
    }
    let work = it.waiting("recover", json!({ "lease": other })).await;
    it.revoke(dying).await?;
    let first = work.await??;
    assert_eq!(first, json!({ "saga": "trip", "name": "flight", "undo": "cancel" }));
    for name in ["flight", "hotel"] {
        let work = it.call("recover", json!({ "lease": other })).await?;
        assert_eq!(work["name"], name);
        it.call("undone", json!({ "saga": "trip", "name": name, "lease": other })).await?;
    }
    assert_eq!(it.call("outcome", json!({ "saga": "trip" })).await?, "undone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_is_appointed_and_followed_when_it_dies() -> Result<()> {
    let it = Deployed::new("elector", true).await?;
    let [a, b] = [it.lasting().await?, it.lasting().await?];
    let stand = |who, lease: i64| json!({ "topic": "t", "who": who, "lease": lease });
    assert_eq!(it.call("stand", stand("a", a)).await?, "a");
    assert_eq!(it.call("stand", stand("b", b)).await?, "a");
    let leads = it.waiting("lead", json!({ "topic": "t", "who": "b" })).await;
    it.call("appoint", json!({ "topic": "t", "who": "b" })).await?;
    let token = leads.await??;
    let next = it.waiting("leader", json!({ "topic": "t", "not": token })).await;
    it.revoke(b).await?;
    let next = next.await??;
    assert_eq!(next["who"], "a");
    assert!(next["token"].as_i64() > token.as_i64(), "{next} after {token}");
    assert_eq!(it.call("resign", json!({ "topic": "t", "who": "a" })).await?, true);
    let nobody = it.call("leader", json!({ "topic": "t" }));
    let nobody = tokio::time::timeout(Duration::from_millis(50), nobody).await;
    assert!(nobody.is_err(), "nobody leads, so it waits: {nobody:?}");
    Ok(())
}
