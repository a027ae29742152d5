//! Three members: what one is told all of them hold, through a change of the leader.

use anyhow::{Context, Result};
use portunus_proto::portunus::v1::{Point, RollbackRequest};
use portunus_tests::{Cluster, Plugins, binding, eventually, plugin};

use crate::{ALLOW_ALL, PROBE, put_refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_through_a_follower_outlives_the_leader() -> Result<()> {
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    let follower = (leader + 1) % 3;
    let policy = |file| plugin("guard", file, vec![binding(Point::WritePolicy, "/g/")]);
    let mut plugins = Plugins::connect(&cluster.members[follower].client_url).await?;
    plugins.deploy(vec![policy(ALLOW_ALL)?]).await?;
    let deployed = plugins.deploy(vec![policy(PROBE)?]).await?;
    // It holds once the deploy is answered, whichever member is asked.
    for member in &cluster.members {
        assert!(put_refused(&mut member.client().await?, "/g/").await?, "{}", member.name);
        let listed = Plugins::connect(&member.client_url).await?.list().await?;
        assert_eq!(listed[0].current.as_ref(), deployed.first(), "{}", member.name);
    }

    cluster.members[leader].kill()?;
    let refused = eventually("an answer after the leader is gone", || async {
        let mut client = cluster.members[follower].client().await?;
        put_refused(&mut client, "/g/").await
    })
    .await;
    assert!(refused, "the new leader asks the policy too");
    let request = RollbackRequest { name: "guard".into(), to_generation: 0 };
    let current = plugins.client.rollback(request).await?.into_inner().current;
    assert_eq!(current.context("a generation")?.generation, 3);

    // The member that was away learns of it.
    cluster.restart(leader).await?;
    let listed = Plugins::connect(&cluster.members[leader].client_url).await?.list().await?;
    let current = listed[0].current.as_ref().context("it is deployed")?;
    assert_eq!((current.generation, current.restored), (3, 1));
    assert!(!put_refused(&mut cluster.members[leader].client().await?, "/g/").await?);
    cluster.assert_equal().await;
    Ok(())
}
