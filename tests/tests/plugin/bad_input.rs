//! What cannot be deployed: refused by name, with nothing changed.

use anyhow::Result;
use portunus_proto::portunus::v1::deployed_plugin::Source;
use portunus_proto::portunus::v1::{
    Binding, DeployedPlugin, InspectRequest, KeyRange, Limits, Point,
};
use portunus_tests::{Member, Plugins, binding, plugin};
use tonic::Code;

use crate::{ALLOW_ALL, PROBE, put_refused};

fn guard(change: impl FnOnce(&mut DeployedPlugin)) -> Result<DeployedPlugin> {
    let mut guard = plugin("guard", ALLOW_ALL, vec![binding(Point::WritePolicy, "/g/")])?;
    change(&mut guard);
    Ok(guard)
}

fn bound(change: impl FnOnce(&mut Binding)) -> Result<DeployedPlugin> {
    guard(|guard| change(&mut guard.bindings[0]))
}

fn component(bytes: &'static [u8]) -> Result<DeployedPlugin> {
    guard(|guard| guard.source = Some(Source::Component(bytes.into())))
}

/// Mistakes with what the refusal must say.
fn mistakes() -> Result<Vec<(DeployedPlugin, &'static str)>> {
    let range = |key: &str, end: &str| KeyRange {
        key: key.to_owned().into(),
        range_end: end.to_owned().into(),
    };
    let again = binding(Point::WritePolicy, "/g/");
    Ok(vec![
        (component(b"not wasm at all")?, "not a plugin"),
        (component(b"\0asm\x01\0\0\0")?, "not a plugin"),
        (guard(|guard| guard.source = None)?, "neither a component nor a digest"),
        (guard(|guard| guard.name = "Guard!".into())?, "1 to 64 characters of a-z, 0-9"),
        (guard(|guard| guard.bindings.clear())?, "bound nowhere"),
        (guard(|guard| guard.bindings.push(again))?, "bound twice"),
        (bound(|binding| binding.point = 0)?, "names no point"),
        (bound(|binding| binding.point = 77)?, "no extension point 77"),
        (bound(|binding| binding.mode = 77)?, "no mode 77"),
        (
            bound(|binding| binding.point = Point::Trigger.into())?,
            "offers write-policy, not trigger",
        ),
        (bound(|binding| binding.grant_read.push(range("b", "a")))?, "covers no key"),
        (
            bound(|binding| {
                binding.limits = Some(Limits { reads: Some(u64::MAX), ..Limits::default() });
            })?,
            "limit reads cannot be",
        ),
        (bound(|binding| binding.config = vec![b'x'; 1 << 20].into())?, "its configuration has"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_named_and_change_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    let mut plugins = Plugins::connect(&member.client_url).await?;
    let good = || plugin("good", PROBE, vec![binding(Point::WritePolicy, "/ok/")]);
    for (bad, expected) in mistakes()? {
        // All or nothing: the good one beside it does not come either.
        let refused = plugins.deploy(vec![good()?, bad]).await.expect_err(expected);
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert!(refused.message().contains(expected), "{expected}: {}", refused.message());
        assert_eq!(plugins.list().await?, []);
    }
    assert!(!put_refused(&mut client, "/ok/").await?);
    let none = plugins.deploy(Vec::new()).await.expect_err("nothing to deploy");
    assert!(none.message().contains("names no plugin"), "{none}");
    let nothing = plugins.client.inspect(InspectRequest { what: None }).await;
    assert_eq!(nothing.expect_err("nothing to inspect").code(), Code::InvalidArgument);
    plugins.deploy(vec![good()?, guard(|_| ())?]).await?;
    assert_eq!(plugins.list().await?.len(), 2);
    assert!(put_refused(&mut client, "/ok/").await?);
    Ok(())
}
