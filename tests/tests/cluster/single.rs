//! A single member: killed under load, again and again, and what it writes about itself.

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

/// What reads etcd's log reads ours: no line is anything but JSON with etcd's four fields.
#[tokio::test(flavor = "multi_thread")]
async fn every_line_a_member_writes_is_json_as_etcds() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = Member::single(dir.path(), &["--log-level=debug"])?;
    member.client().await?.put("key", "value", None).await?;
    tokio::task::block_in_place(|| member.terminate())?;
    let output = member.output();
    assert!(output.contains("\"msg\":\"ready to serve client requests\""), "{output}");
    for line in output.lines() {
        let entry: serde_json::Value = serde_json::from_str(line).context(line.to_owned())?;
        for field in ["level", "ts", "caller", "msg"] {
            let text = entry.get(field).and_then(serde_json::Value::as_str);
            assert!(text.is_some_and(|text| !text.is_empty()), "{field} of {line}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_logs_for_people_says_in_plain_words_that_it_is_ready() -> Result<()> {
    for log in ["--log-format=console", "--log-level=error"] {
        let dir = tempfile::tempdir()?;
        let member = Member::single(dir.path(), &[log])?;
        let output = member.output();
        assert!(output.lines().any(|line| line == "ready to serve client requests"), "{output}");
    }
    Ok(())
}
