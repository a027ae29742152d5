//! Faults of members and of clients' links, drawn at random, one after the other.
//! `PORTUNUS_FAULTS` says how many, `PORTUNUS_SEED` repeats the draw of an earlier run.

use std::time::Duration;

use anyhow::{Result, ensure};
use portunus_tests::{Cluster, Wire, eventually};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Mutex, MutexGuard};

/// Unless the environment says otherwise: each kind at least once.
const FAULTS: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Kill,
    Pause,
    Cut,
    /// Half of the clients are cut off from their members.
    Clients,
}

const KINDS: [Fault; 4] = [Fault::Kill, Fault::Pause, Fault::Cut, Fault::Clients];

static TURN: Mutex<()> = Mutex::const_new(());

/// One cluster under faults at a time.
pub async fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().await
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

/// Ways of clients to the members, spread over them.
pub async fn wires(cluster: &Cluster, count: usize) -> Result<Vec<Wire>> {
    let mut wires = Vec::new();
    for n in 0..count {
        wires.push(Wire::to(&cluster.members[n % cluster.members.len()].client_url).await?);
    }
    Ok(wires)
}

/// Does harm again and again; after each `progress` must grow by `step`.
pub async fn harm(
    cluster: &mut Cluster,
    wires: &[Wire],
    step: usize,
    progress: impl Fn() -> usize,
) -> Result<()> {
    let seed = from_environment("PORTUNUS_SEED").unwrap_or_else(rand::random);
    println!("PORTUNUS_SEED={seed}");
    let mut draw = StdRng::seed_from_u64(seed);
    for n in 0..from_environment("PORTUNUS_FAULTS").unwrap_or(FAULTS) {
        grow(step, &progress).await;
        let kind = KINDS.get(n).copied().unwrap_or(KINDS[draw.random_range(0..KINDS.len())]);
        // Mostly who leads, for that is where it hurts.
        let leader = cluster.leader().await;
        let member = (leader + usize::from(draw.random_range(0..4) == 0)) % 3;
        println!("{kind:?} of {member}, {leader} leads");
        begin(cluster, wires, member, kind)?;
        // How long it lasts is part of the draw: shorter and longer than an election and a lease.
        // What must hold afterwards is waited for by itself.
        tokio::time::sleep(Duration::from_millis(draw.random_range(300..6000))).await;
        end(cluster, wires, member, kind)?;
        cluster.leader().await;
    }
    grow(step, &progress).await;
    Ok(())
}

async fn grow(step: usize, progress: &impl Fn() -> usize) {
    let target = progress() + step;
    eventually("clients get on", || async {
        ensure!(progress() >= target, "{} of {target}", progress());
        Ok(())
    })
    .await;
}

fn begin(cluster: &mut Cluster, wires: &[Wire], member: usize, fault: Fault) -> Result<()> {
    match fault {
        Fault::Kill => cluster.members[member].kill()?,
        Fault::Pause => cluster.members[member].pause()?,
        Fault::Cut => cluster.links.cut(member),
        Fault::Clients => wires.iter().step_by(2).for_each(Wire::cut),
    }
    Ok(())
}

fn end(cluster: &mut Cluster, wires: &[Wire], member: usize, fault: Fault) -> Result<()> {
    match fault {
        Fault::Kill => cluster.launch(member)?,
        Fault::Pause => cluster.members[member].resume()?,
        Fault::Cut => cluster.links.heal(member),
        Fault::Clients => wires.iter().for_each(Wire::heal),
    }
    Ok(())
}
