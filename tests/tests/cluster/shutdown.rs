//! An orderly end: leadership is handed over, clients lose no acknowledgement.

use std::time::{Duration, Instant};

use anyhow::Result;
use portunus_tests::Cluster;

use crate::load::{Ledger, writes_resume};
use crate::turn::turn;

/// Far above what it takes, and below an election: a member that waits for something is caught.
const OUT_WITHIN: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_told_to_stop_hands_over_and_ends() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let ledger = Ledger::start(&cluster.members, 2);
    for _ in 0..2 {
        ledger.grows_by(100).await;
        let leader = cluster.leader().await;
        let other = (leader + 1) % 3;
        let start = Instant::now();
        let status = tokio::task::block_in_place(|| cluster.members[leader].terminate())?;
        let out = start.elapsed();
        let resumed = writes_resume(&cluster.members[other]).await?;
        println!("out after {out:?}, then {resumed:?} until a write was taken");
        assert!(status.success(), "{status}: {}", cluster.members[leader].output());
        assert!(out < OUT_WITHIN, "{}", cluster.members[leader].output());
        let output = cluster.members[leader].output();
        assert!(!output.contains("was not handed over"), "{output}");
        cluster.restart(leader).await?;
    }
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.client().await?).await?;
    cluster.assert_equal().await;
    Ok(())
}
