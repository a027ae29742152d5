//! One member: generations, rollbacks, modes and removal, through a restart.

use anyhow::{Context, Result};
use portunus_proto::portunus::v1::deployed_plugin::Source;
use portunus_proto::portunus::v1::{
    DeployedPlugin, Mode, Point, RemoveRequest, RollbackRequest, SetModeRequest,
};
use portunus_tests::{Member, Plugins, binding, plugin};
use tonic::Code;

use crate::{ALLOW_ALL, PROBE, put_refused};

fn policy(file: &str) -> Result<DeployedPlugin> {
    plugin("guard", file, vec![binding(Point::WritePolicy, "/g/")])
}

async fn rollback(plugins: &mut Plugins, to_generation: u64) -> Result<(u64, u64), tonic::Status> {
    let request = RollbackRequest { name: "guard".into(), to_generation };
    let current = plugins.client.rollback(request).await?.into_inner().current.unwrap_or_default();
    Ok((current.generation, current.restored))
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_come_go_back_and_outlive_a_restart() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = Plugins::connect(&member.client_url).await?;

    let first = plugins.deploy(vec![policy(PROBE)?]).await?;
    assert_eq!(
        (first[0].generation, first[0].bindings[0].id.as_str()),
        (1, "guard/write-policy//g/")
    );
    assert!(put_refused(&mut client, "/g/").await?);
    let second = plugins.deploy(vec![policy(ALLOW_ALL)?]).await?;
    assert_eq!(second[0].generation, 2);
    assert!(!put_refused(&mut client, "/g/").await?);
    let same = plugins.deploy(vec![policy(ALLOW_ALL)?]).await?;
    assert_eq!(same, second, "the same again is no change");
    assert_eq!(rollback(&mut plugins, 0).await?, (3, 1));
    assert!(put_refused(&mut client, "/g/").await?);
    let first_of_all = rollback(&mut plugins, 0).await.expect_err("nothing before it");
    assert_eq!(first_of_all.code(), Code::FailedPrecondition, "{first_of_all}");

    member.kill()?;
    member.start()?;
    let mut client = member.client().await?;
    let mut plugins = Plugins::connect(&member.client_url).await?;
    assert!(put_refused(&mut client, "/g/").await?, "after a restart");
    let listed = plugins.list().await?;
    let behind: Vec<_> = listed[0].previous.iter().map(|plugin| plugin.generation).collect();
    assert_eq!((listed.len(), behind), (1, vec![2, 1]));
    assert_eq!(rollback(&mut plugins, 2).await?, (4, 2));
    assert!(!put_refused(&mut client, "/g/").await?);
    let lost = rollback(&mut plugins, 9).await.expect_err("no such generation");
    assert!(lost.message().contains("no generation 9"), "{lost}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_switched_off_and_on_and_taken_away() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = Plugins::connect(&member.client_url).await?;
    let deployed = plugins.deploy(vec![policy(PROBE)?]).await?;

    for (mode, refused) in [(Mode::Disabled, false), (Mode::Monitor, false), (Mode::Enforce, true)]
    {
        let request = SetModeRequest {
            name: "guard".into(),
            binding_id: "guard/write-policy//g/".into(),
            mode: mode.into(),
        };
        let current = plugins.client.set_mode(request).await?.into_inner().current;
        let current = current.context("the generation that holds")?;
        assert_eq!((current.generation, current.bindings[0].mode()), (1, mode));
        assert_eq!(put_refused(&mut client, "/g/").await?, refused, "{mode:?}");
    }
    plugins.client.remove(RemoveRequest { name: "guard".into() }).await?;
    assert!(!put_refused(&mut client, "/g/").await?);
    let gone = plugins.client.remove(RemoveRequest { name: "guard".into() }).await;
    assert_eq!(gone.expect_err("it is gone").code(), Code::NotFound);
    // Its component went with it.
    let mut stored = policy(PROBE)?;
    stored.source = Some(Source::Digest(deployed[0].digest.clone()));
    let unknown = plugins.deploy(vec![stored]).await.expect_err("nobody names it");
    assert_eq!(unknown.code(), Code::NotFound, "{unknown}");
    Ok(())
}
