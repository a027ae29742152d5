//! A single member that is killed under load, again and again.

use std::time::Instant;

use anyhow::{Context, Result};
use portunus_tests::Member;

use crate::load::Ledger;

const ROUNDS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_killed_under_load_loses_nothing_it_acknowledged() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &[])?;
    let ledger = Ledger::start(std::slice::from_ref(&member), 6);
    let mut revision = 0;
    for round in 1..=ROUNDS {
        ledger.grows_by(200).await;
        member.kill()?;
        let start = Instant::now();
        tokio::task::block_in_place(|| member.start())?;
        println!("round {round}: serves {:?} after it was killed", start.elapsed());
        let read = member.client().await?.get("ledger/", None).await?;
        let now = read.header().context("a header")?.revision();
        assert!(now >= revision, "revision {now} follows {revision}");
        revision = now;
    }
    ledger.grows_by(10).await;
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut member.client().await?).await
}
