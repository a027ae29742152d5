//! Policies deployed into a real member: they hold for every way to write, survive a restart and
//! a hostile plugin's refusals reach the client by name while others are served.

use anyhow::{Context, Result};
use etcd_client::{Client, Compare, CompareOp, DeleteOptions, Txn, TxnOp};
use portunus_proto::portunus::v1::{Binding, Point, RemoveRequest};
use portunus_tests::{Member, Plugins, binding, eventually, plugin};
use tonic::Code;

use crate::fixture::{ALLOW_ALL, HOSTILE, VALUE_GUARD};

async fn deploy(member: &Member, name: &str, file: &str, prefix: &str, config: &str) -> Result<()> {
    let mut plugins = Plugins::connect(&member.client_url).await?;
    let policy =
        Binding { config: config.to_owned().into(), ..binding(Point::WritePolicy, prefix) };
    plugins.deploy(vec![plugin(name, file, vec![policy])?]).await?;
    Ok(())
}

/// The refusal's code and text.
fn refusal<T: std::fmt::Debug>(result: Result<T, etcd_client::Error>) -> (Code, String) {
    match result {
        Err(etcd_client::Error::GRpcStatus(status)) => {
            (Code::from(status.code() as i32), status.message().to_owned())
        }
        other => panic!("a refusal was expected: {other:?}"),
    }
}

fn assert_refused<T: std::fmt::Debug>(result: Result<T, etcd_client::Error>, by: &str) {
    let (code, text) = refusal(result);
    assert_eq!(code, Code::FailedPrecondition, "{text}");
    assert!(text.contains(&format!("refused by {by}")), "{text}");
}

async fn value(client: &mut Client, key: &str) -> Result<Option<String>> {
    let found = client.get(key, None).await?;
    Ok(found.kvs().first().map(|kv| String::from_utf8_lossy(kv.value()).into_owned()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_holds_for_every_way_to_write_and_through_a_restart() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    deploy(&member, "guard", VALUE_GUARD, "/g/", "max-value-bytes=4\nkey-chars=a-z").await?;

    client.put("/g/ok", "1234", None).await?;
    client.put("/elsewhere", "longer than four", None).await?;
    assert_refused(client.put("/g/ok", "12345", None).await, "guard");
    assert_refused(client.put("/g/NO", "1", None).await, "guard");
    // The branch that is taken counts, nested or not, and nothing of the transaction is done.
    let long = || TxnOp::put("/g/ok", "12345", None);
    let always = || Compare::version("/g/none", CompareOp::Equal, 0);
    let taken = Txn::new().when([always()]).and_then([TxnOp::put("/side", "x", None), long()]);
    assert_refused(client.txn(taken).await, "guard");
    let nested = Txn::new().and_then([TxnOp::txn(Txn::new().and_then([long()]))]);
    assert_refused(client.txn(nested).await, "guard");
    assert_eq!(value(&mut client, "/side").await?, None);
    let not_taken =
        Txn::new().when([always()]).and_then([TxnOp::put("/side", "y", None)]).or_else([long()]);
    assert!(client.txn(not_taken).await?.succeeded());
    assert_eq!(value(&mut client, "/side").await?.as_deref(), Some("y"));
    assert_eq!(value(&mut client, "/g/ok").await?.as_deref(), Some("1234"));

    member.kill()?;
    member.start()?;
    let mut client = member.client().await?;
    assert_refused(client.put("/g/ok", "12345", None).await, "guard");
    let mut plugins = Plugins::connect(&member.client_url).await?;
    plugins.client.remove(RemoveRequest { name: "guard".into() }).await?;
    client.put("/g/ok", "12345", None).await?;
    let missing = plugins.client.remove(RemoveRequest { name: "guard".into() }).await;
    assert_eq!(missing.expect_err("it is gone").code(), Code::NotFound);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_plugins_refuse_their_own_callers_and_nobody_else() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    deploy(&member, "hostile", HOSTILE, "/h/", "").await?;
    deploy(&member, "plain", ALLOW_ALL, "/p/", "").await?;

    // Callers of the hostile one keep its thread busy the whole time. More of them would wait for
    // each other until their deadline: calls that fail share a tenth of a core.
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut client = member.client().await?;
        busy.push(tokio::spawn(async move {
            for _ in 0..5 {
                assert_refused(client.put("/h/loop", "x", None).await, "hostile");
            }
        }));
    }
    for n in 0..50 {
        client.put(format!("/free/{n}"), "x", None).await?;
        client.put(format!("/p/{n}"), "x", None).await?;
    }
    for task in busy {
        task.await?;
    }
    for case in ["recurse", "memory", "panic", "reads", "big-answer"] {
        assert_refused(client.put(format!("/h/{case}"), "x", None).await, "hostile");
        client.put("/h/fine", case, None).await.context("a good call after a bad one")?;
    }
    let all = client.delete("/p/", Some(DeleteOptions::new().with_prefix())).await?;
    assert_eq!(all.deleted(), 50);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_plugin_is_refused_at_deploy() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let garbage = dir.path().join("garbage.wasm");
    std::fs::write(&garbage, b"not wasm")?;
    let file = garbage.to_str().context("a path that is text")?;
    let error = deploy(&member, "x", file, "/x/", "").await.expect_err("garbage");
    let status = error.downcast_ref::<tonic::Status>().context("a status")?;
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let mut client = member.client().await?;
    eventually("a write under the prefix of what was not deployed", || async {
        client.clone().put("/x/1", "1", None).await
    })
    .await;
    assert_eq!(value(&mut client, "/x/1").await?.as_deref(), Some("1"));
    Ok(())
}
