//! One exclusive lock under faults of all kinds, and what it guards.

use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use portunus_proto::portunus::v1::{Binding, KeyRange, Point};
use portunus_tests::{Cluster, Member, Plugins, binding, eventually, plugin};

use crate::driver::{harm, turn, wires};
use crate::history;
use crate::lock_check::{LOCK, Outcome, Record, Rules, check};
use crate::lock_users::User;
use crate::session::{Clock, Stop};

const USERS: usize = 8;
/// Grants between two faults.
const STEP: usize = 12;

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_has_one_holder_and_its_token_keeps_the_others_out() -> Result<()> {
    one_holder(Rules::Line).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_a_plugin_admits_has_one_holder_and_its_token_too() -> Result<()> {
    one_holder(Rules::Plugin).await
}

async fn one_holder(rules: Rules) -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let mut plugins = Plugins::connect(&cluster.members[0].client_url).await?;
    let guard = Binding {
        config: "lock = door".into(),
        grant_read: vec![KeyRange { key: "door".into(), range_end: "doos".into() }],
        ..binding(Point::WritePolicy, "guarded/")
    };
    plugins.deploy(vec![plugin("fencing", env!("PLUGIN_FENCING"), vec![guard])?]).await?;
    if rules == Rules::Plugin {
        let endpoints = format!("--endpoints={}", cluster.members[0].client_url);
        let mut deploy = Command::new(Member::program()?);
        let words = ["plugin", "deploy", "builtin:semaphore", "--lock-admission", LOCK];
        let status = deploy.args(words).arg(endpoints).stdout(Stdio::null()).status()?;
        ensure!(status.success(), "{status}");
    }
    let wires = wires(&cluster, USERS).await?;
    let (clock, stop) = (Clock::start(), Stop::default());
    let record: Arc<Mutex<Record>> = Arc::default();
    let mut users = Vec::new();
    for (id, wire) in (0..).zip(&wires) {
        let user = User::new(id, &wire.url, clock, Arc::clone(&record), rules)?;
        users.push(tokio::spawn(user.work(stop.clone())));
    }
    harm(&mut cluster, &wires, STEP, || record.lock().grants.len()).await?;
    // Somebody was late, and was told so.
    eventually("a deposed holder that is refused", || async {
        let refused = |outcome: Outcome| outcome == Outcome::Refused;
        ensure!(record.lock().writes.iter().any(|write| refused(write.outcome)), "none yet");
        Ok(())
    })
    .await;
    stop.set();
    for user in users {
        user.await?;
    }
    let record = record.lock().clone();
    let history = history::read(&mut cluster.client().await?).await?;
    println!("{} grants, {} writes", record.grants.len(), record.writes.len());
    check(&record, &history, rules).map_err(anyhow::Error::msg)?;
    cluster.assert_equal().await;
    Ok(())
}
