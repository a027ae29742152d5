//! All members lost at the same moment.

use anyhow::Result;
use portunus_tests::Cluster;

use crate::load::Ledger;
use crate::turn::turn;

#[tokio::test(flavor = "multi_thread")]
async fn three_members_killed_at_once_lose_nothing_they_acknowledged() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let ledger = Ledger::start(&cluster.members, 2);
    for _ in 0..2 {
        ledger.grows_by(200).await;
        for member in &mut cluster.members {
            member.kill()?;
        }
        for n in 0..3 {
            cluster.launch(n)?;
        }
        cluster.wait_ready().await?;
    }
    ledger.grows_by(50).await;
    let acked = ledger.stop().await?;
    for member in &cluster.members {
        acked.assert_kept(&mut member.client().await?).await?;
    }
    cluster.assert_equal().await;
    Ok(())
}
