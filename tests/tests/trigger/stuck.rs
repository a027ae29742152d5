//! Triggers that get stuck: one that keeps failing is skipped by hand, one that answers itself is
//! stopped and named. And who wrote what they wrote.

use anyhow::{Context, Result, ensure};
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{
    BlameRequest, Point, SkipTriggerRequest, StatusRequest, TriggerStatus,
};
use portunus_tests::tally::{ORDERS, TALLY, counted, deploy_tally};
use portunus_tests::{Member, eventually};
use tonic::transport::Channel;

async fn standing(plugins: &PluginClient<Channel>) -> Result<TriggerStatus> {
    let request = StatusRequest { name: TALLY.into() };
    let status = plugins.clone().status(request).await?.into_inner();
    let binding = status.bindings.into_iter().next().context("one binding")?;
    binding.trigger.context("it is a trigger")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_event_holds_up_those_behind_it_until_it_is_skipped() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    deploy_tally(&member.client_url, "").await?;
    let mut client = member.client().await?;
    let first = client.put(format!("{ORDERS}1"), "fine", None).await?;
    let first = first.header().context("a header")?.revision();
    let bad = client.put(format!("{ORDERS}2"), "fail", None).await?;
    let bad = bad.header().context("a header")?.revision();
    client.put(format!("{ORDERS}3"), "fine", None).await?;
    eventually("the first event is told", || {
        let mut client = client.clone();
        async move {
            let counted = counted(&mut client).await?;
            ensure!(counted == 1, "{counted} events");
            Ok(())
        }
    })
    .await;
    // A restart forgets nothing and skips nothing.
    member.kill()?;
    tokio::task::block_in_place(|| member.start())?;
    let mut client = member.client().await?;
    let mut plugins = PluginClient::connect(member.client_url.clone()).await?;
    // What the trigger wrote itself may lie between the two events.
    let cursor = standing(&plugins).await?.cursor;
    assert!((first..bad).contains(&cursor), "{cursor}, not from {first} to before {bad}");
    assert_eq!(counted(&mut client).await?, 1);
    let skip =
        SkipTriggerRequest { name: TALLY.into(), binding_id: String::new(), to_revision: bad };
    plugins.skip_trigger(skip).await?;
    eventually("the event behind it is told", || {
        let mut client = client.clone();
        async move {
            let counted = counted(&mut client).await?;
            ensure!(counted == 2, "{counted} events");
            Ok(())
        }
    })
    .await;
    Ok(())
}

/// What a command of `portunus plugin` about the tally prints.
fn plugin(member: &Member, words: &[&str]) -> Result<String> {
    let endpoint = format!("--endpoints={}", member.client_url);
    let mut command = std::process::Command::new(Member::program()?);
    command.arg("plugin").args(words).args([TALLY, &endpoint]);
    let output = tokio::task::block_in_place(|| command.output())?;
    ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_a_paused_trigger_resumes_it_and_skips_what_it_fails_at() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    deploy_tally(&member.client_url, "echo=true").await?;
    let mut client = member.client().await?;
    client.put(format!("{ORDERS}1"), "fine", None).await?;
    let plugins = PluginClient::connect(member.client_url.clone()).await?;
    let paused = || async {
        let standing = standing(&plugins).await?;
        ensure!(standing.paused, "{standing:?}");
        Ok(standing)
    };
    let first = eventually("the circle is stopped", paused).await;
    let status = plugin(&member, &["status"])?;
    assert!(status.contains("paused") && status.contains("cascade deeper than 8"), "{status}");
    // Resumed, it comes to the same events and stops at them again: nothing is passed over.
    plugin(&member, &["disable"])?;
    plugin(&member, &["resume"])?;
    assert!(!standing(&plugins).await?.paused, "it would go on if it were enabled");
    plugin(&member, &["enable"])?;
    let again = eventually("it is stopped again", paused).await;
    assert_eq!((again.cursor, &again.error), (first.cursor, &first.error));
    plugin(&member, &["skip"])?;
    let running = standing(&plugins).await?;
    assert!(!running.paused && running.cursor > first.cursor, "{running:?}");
    let status = plugin(&member, &["status"])?;
    assert!(!status.contains("paused"), "{status}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_is_stopped_and_named_and_its_writes_have_an_author() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    deploy_tally(&member.client_url, "echo=true").await?;
    let mut client = member.client().await?;
    client.put(format!("{ORDERS}1"), "fine", None).await?;
    let mut plugins = PluginClient::connect(member.client_url.clone()).await?;
    let stopped = eventually("the circle is stopped", || async {
        let standing = standing(&plugins).await?;
        ensure!(standing.paused, "{standing:?}");
        Ok(standing)
    })
    .await;
    let circle = ["tally"; 9].join(" -> ");
    assert_eq!(stopped.error, format!("trigger cascade deeper than 8: {circle}"));
    // The client's event and the eight echoes, but for the last one, which is not told.
    assert_eq!(counted(&mut client).await?, 8);
    let request = BlameRequest { key: format!("{ORDERS}echo").into(), limit: 1 };
    let blamed = plugins.blame(request).await?.into_inner().revisions;
    let author = blamed[0].author.clone().context("a plugin wrote it")?;
    assert_eq!((&author.plugin[..], author.point), (TALLY, Point::Trigger.into()));
    assert_eq!((author.depth, author.digest.len()), (8, 32));
    let request = BlameRequest { key: format!("{ORDERS}1").into(), limit: 1 };
    let blamed = plugins.blame(request).await?.into_inner().revisions;
    assert_eq!(blamed[0].author, None, "a client wrote it");
    Ok(())
}
