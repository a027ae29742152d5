//! What is known of plugins: what they offer, how they fare, what they say, what they wrote.

use anyhow::{Context, Result};
use etcd_client::PutOptions;
use portunus_proto::etcdserverpb::request_op::Request as Op;
use portunus_proto::etcdserverpb::{PutRequest, RequestOp, TxnRequest};
use portunus_proto::portunus::v1::inspect_request::What;
use portunus_proto::portunus::v1::{
    BlameRequest, ExplainRequest, InspectRequest, LogsRequest, Point, StatusRequest,
};
use portunus_tests::{Member, Plugins, binding, eventually, plugin};
use tonic::Code;

use crate::{PROBE, put_refused};

async fn with_probe(member: &Member) -> Result<Plugins> {
    let mut plugins = Plugins::connect(&member.client_url).await?;
    let bindings = vec![binding(Point::WritePolicy, "/p/"), binding(Point::Recipe, "/r/")];
    plugins.deploy(vec![plugin("probe", PROBE, bindings)?]).await?;
    Ok(plugins)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_tells_what_it_offers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut plugins = with_probe(&member).await?;
    let by_name = InspectRequest { what: Some(What::Name("probe".into())) };
    let by_name = plugins.client.inspect(by_name).await?.into_inner();
    let points = [Point::WritePolicy, Point::Trigger, Point::Recipe];
    assert!(by_name.points.iter().copied().eq(points.map(i32::from)), "{:?}", by_name.points);
    assert!(by_name.functions.iter().any(|name| name == "add"), "{:?}", by_name.functions);
    let current = by_name.deployed.and_then(|plugin| plugin.current).context("it is deployed")?;
    assert_eq!(current.digest, by_name.digest);
    let bytes = std::fs::read(PROBE)?;
    let by_bytes = InspectRequest { what: Some(What::Component(bytes.into())) };
    let by_bytes = plugins.client.inspect(by_bytes).await?.into_inner();
    assert_eq!((by_bytes.digest, by_bytes.deployed), (by_name.digest, None));
    let missing = InspectRequest { what: Some(What::Name("nobody".into())) };
    let missing = plugins.client.inspect(missing).await.expect_err("not deployed");
    assert_eq!(missing.code(), Code::NotFound, "{missing}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_refusals_and_lines_are_counted_and_kept() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = with_probe(&member).await?;
    assert!(put_refused(&mut client, "/p/").await?);
    client.put("/p/k", "fine", Some(PutOptions::new())).await?;
    assert_eq!(plugins.call("probe", "add", "2").await?, "2");
    assert_eq!(plugins.call("probe", "add", "3").await?, "5");
    let unknown = plugins.call("probe", "ad", "3").await.expect_err("no such function");
    assert_eq!(unknown.code(), Code::NotFound, "{unknown}");
    assert!(unknown.message().contains("add"), "{unknown}");
    let garbage = plugins.call("probe", "add", "{").await.expect_err("no number");
    assert_eq!(garbage.code(), Code::InvalidArgument, "{garbage}");

    let request = StatusRequest { name: "probe".into() };
    let status = plugins.client.status(request).await?.into_inner();
    assert!(status.counted_by_leader && status.counted_by != 0);
    let [policy, recipe] = &status.bindings[..] else { panic!("{status:?}") };
    assert_eq!((policy.calls, policy.refusals, policy.traps), (2, 1, 0), "{policy:?}");
    assert!(recipe.calls >= 2 && recipe.broken.is_empty(), "{recipe:?}");

    // A reader that follows gets what is kept and what comes.
    plugins.call("probe", "context", "").await?;
    let request = LogsRequest { name: "probe".into(), follow: true, tail: 1 };
    let mut lines = plugins.client.clone().logs(request).await?.into_inner();
    let kept = lines.message().await?.context("a line that is kept")?.lines;
    assert_eq!((kept.len(), kept[0].text.as_str()), (1, "asked for the context"));
    plugins.call("probe", "context", "").await?;
    let came = lines.message().await?.context("a line that came")?.lines;
    assert_eq!((came[0].number, came[0].level.as_str()), (kept[0].number + 1, "warn"));
    let nobody = LogsRequest { name: "nobody".into(), ..LogsRequest::default() };
    assert_eq!(plugins.client.logs(nobody).await.expect_err("unknown").code(), Code::NotFound);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_tells_each_verdict_and_writes_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = with_probe(&member).await?;
    let putting = |value: &str| {
        let put = PutRequest {
            key: "/p/k".to_owned().into(),
            value: value.to_owned().into(),
            ..PutRequest::default()
        };
        let success = vec![RequestOp { request: Some(Op::RequestPut(put)) }];
        ExplainRequest { txn: Some(TxnRequest { success, ..TxnRequest::default() }) }
    };
    let fine = plugins.client.explain(putting("fine")).await?.into_inner();
    assert!(fine.allowed, "{fine:?}");
    let first = fine.verdicts.first().context("the probe was asked")?;
    assert_eq!(first.binding_id, "probe/write-policy//p/");
    assert!(first.added.iter().any(|write| &write.key[..] == b"/p/note/0"), "{first:?}");
    let refused = plugins.client.explain(putting("refuse")).await?.into_inner();
    assert!(!refused.allowed && refused.refusal.contains("refused by probe"), "{refused:?}");
    assert!(!refused.verdicts[0].allowed && !refused.verdicts[0].reason.is_empty());
    assert_eq!(client.get("/p/k", None).await?.count(), 0, "nothing was written");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugins_writes_name_it_and_a_clients_do_not() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = with_probe(&member).await?;
    client.put("/r/total", "40", None).await?;
    assert_eq!(plugins.call("probe", "add", "2").await?, "42");
    let request = BlameRequest { key: "/r/total".to_owned().into(), limit: 0 };
    let blamed = plugins.client.blame(request).await?.into_inner().revisions;
    let [newest, oldest] = &blamed[..] else { panic!("{blamed:?}") };
    let author = newest.author.as_ref().context("the plugin wrote it")?;
    assert_eq!((author.plugin.as_str(), author.point()), ("probe", Point::Recipe));
    assert_eq!(author.digest.len(), 32);
    assert_eq!((oldest.author.as_ref(), oldest.deleted), (None, false));
    assert!(newest.revision > oldest.revision);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_goes_on_when_its_key_comes() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = with_probe(&member).await?;
    let mut waiting = plugins.clone();
    let held = tokio::spawn(async move { waiting.call("probe", "hold", "").await });
    eventually("a call that is parked", || {
        let mut client = plugins.client.clone();
        async move {
            let status = client.status(StatusRequest::default()).await?.into_inner();
            let parked = status.bindings.iter().map(|binding| binding.parked).sum::<u64>();
            anyhow::ensure!(parked == 1, "{parked} are parked");
            Ok(())
        }
    })
    .await;
    client.put("/r/gate", "open", None).await?;
    assert_eq!(held.await??, "open");
    let unknown = plugins.call("nobody", "hold", "").await.expect_err("no such plugin");
    assert_eq!(unknown.code(), Code::NotFound, "{unknown}");
    Ok(())
}
