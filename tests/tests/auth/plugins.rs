//! Plugins and users: a recipe does nothing that its caller may not do, and knows who that is.

use anyhow::Result;
use portunus_proto::portunus::v1::{CallRequest, DeployRequest, Point};
use portunus_tests::{Plugins, binding, plugin};

use crate::PROBE;
use crate::fixture::{DENIED, Token, World, assert_done, assert_refused, login};

async fn call(
    plugins: &mut Plugins,
    token: &Token,
    plugin: &str,
    function: &str,
    payload: &str,
) -> Result<String, tonic::Status> {
    let request = CallRequest {
        plugin: plugin.to_owned(),
        function: function.to_owned(),
        payload: payload.to_owned().into(),
    };
    let answer = plugins.recipes.call(token.with(request)).await?.into_inner().payload;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_has_no_more_rights_than_its_caller() -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    let ada = login(&mut world.rpc, "ada", "secret").await?;
    let mut plugins = Plugins::connect(&world.member.client_url).await?;
    let under =
        |name: &str, prefix: &str| plugin(name, PROBE, vec![binding(Point::Recipe, prefix)]);
    let all = vec![under("own", "a/")?, under("read", "r/")?, under("write", "w/")?];
    let deploy = DeployRequest { plugins: all, from_revision: None };
    assert_refused("ada", plugins.client.deploy(ada.with(deploy.clone())).await, DENIED);
    assert_done("root", plugins.client.deploy(root.with(deploy)).await);

    assert_eq!(call(&mut plugins, &ada, "own", "add", "2").await?, "2");
    // Reads what may not be read, and writes what may not be written.
    for name in ["read", "write"] {
        assert_refused(name, call(&mut plugins, &ada, name, "add", "2").await, DENIED);
        assert_eq!(call(&mut plugins, &root, name, "add", "3").await?, "3", "the first");
    }
    let nobody = call(&mut plugins, &Token::none(), "own", "add", "2").await;
    assert_refused("nobody", nobody, crate::fixture::NOBODY);
    for (token, name) in [(&ada, "ada"), (&root, "root")] {
        let told = call(&mut plugins, token, "own", "context", "").await?;
        assert!(told.starts_with(&format!("own a/ {name} ")), "{told}");
    }
    Ok(())
}
