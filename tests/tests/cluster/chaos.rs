//! Faults of all kinds, drawn at random, also those that take the quorum away for a while. What
//! must hold is what must always hold. `PORTUNUS_FAULTS` says how many (a few unless given) and
//! `PORTUNUS_SEED` repeats the draw of an earlier run, which is printed.

use std::time::Duration;

use anyhow::Result;
use portunus_tests::{Cluster, is_linearizable};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::load::{CHECK, LEDGER, Ledger, Registers, writes_resume};
use crate::turn::turn;
use crate::watchers::Watcher;

const FAULTS: usize = 6;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Kill,
    Terminate,
    Pause,
    Cut,
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn begin(cluster: &mut Cluster, member: usize, fault: Fault) -> Result<()> {
    match fault {
        Fault::Kill => cluster.members[member].kill(),
        Fault::Terminate => cluster.members[member].terminate().map(drop),
        Fault::Pause => cluster.members[member].pause(),
        Fault::Cut => {
            cluster.links.cut(member);
            Ok(())
        }
    }
}

fn end(cluster: &mut Cluster, member: usize, fault: Fault) -> Result<()> {
    match fault {
        Fault::Kill | Fault::Terminate => cluster.launch(member),
        Fault::Pause => cluster.members[member].resume(),
        Fault::Cut => {
            cluster.links.heal(member);
            Ok(())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_hold_holds_under_faults_of_all_kinds() -> Result<()> {
    let _turn = turn().await;
    let seed = from_environment("PORTUNUS_SEED").unwrap_or_else(rand::random);
    println!("PORTUNUS_SEED={seed}");
    let mut draw = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::three(&["--snapshot-catchup-entries=100"]).await?;
    let watcher = Watcher::start(&cluster.members[0].client_url, LEDGER, 1);
    let (registers, ledger) =
        (Registers::start(&cluster.members, 1), Ledger::start(&cluster.members, 1));
    for _ in 0..from_environment("PORTUNUS_FAULTS").unwrap_or(FAULTS) {
        ledger.grows_by(30).await;
        let kinds = [Fault::Kill, Fault::Terminate, Fault::Pause, Fault::Cut];
        let first = draw.random_range(0..3);
        let count = draw.random_range(1..=2);
        let faults: Vec<_> =
            (0..count).map(|n| ((first + n) % 3, kinds[draw.random_range(0..4)])).collect();
        println!("{faults:?}");
        for (member, fault) in &faults {
            tokio::task::block_in_place(|| begin(&mut cluster, *member, *fault))?;
        }
        // How long a fault lasts is part of the draw: shorter and longer than an election.
        tokio::time::sleep(Duration::from_millis(draw.random_range(100..3000))).await;
        for (member, fault) in &faults {
            end(&mut cluster, *member, *fault)?;
        }
        for member in &cluster.members {
            writes_resume(member).await?;
        }
    }
    let recorder = registers.stop().await?;
    let acked = ledger.stop().await?;
    let checked = tokio::task::block_in_place(|| is_linearizable(&recorder, CHECK));
    checked.map_err(anyhow::Error::msg)?;
    let mut client = cluster.client().await?;
    acked.assert_kept(&mut client).await?;
    cluster.assert_equal().await;
    let last = acked.0.values().copied().max().unwrap_or_default();
    let events = watcher.reaches(last).await.events;
    assert!(events.is_sorted_by(|a, b| a.revision < b.revision), "out of order or twice");
    let seen: std::collections::BTreeMap<_, _> =
        events.into_iter().map(|event| (event.key, event.revision)).collect();
    for (key, revision) in &acked.0 {
        assert_eq!(seen.get(key), Some(revision), "{key} was not seen");
    }
    Ok(())
}
