//! One script of requests, run against a real etcd and against this server: every answer must be
//! the same, field by field, apart from ids, terms and remaining times. Needs an `etcd` program,
//! in `PATH` or named by `REAL_ETCD`; without one the test says so and passes.

mod auth;
mod call;
mod edges;
mod etcd;
mod generator;
mod leases;
mod moves;
mod picture;
mod render;
mod side;
mod watching;

use call::{Call, Case, Version};
use etcd::Etcd;
use portunus_tests::Member;
use side::Side;

/// Requests drawn at random for each seed.
const DRAWN: usize = 400;
const SEEDS: [u64; 2] = [1, 2026];
/// Differences told in full; more hide the first one, which is often the cause of the rest.
const TOLD: usize = 25;

#[tokio::test(flavor = "multi_thread")]
async fn hand_written_requests_are_answered_as_by_etcd() {
    compare(edges::script()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered_as_by_etcd() {
    for seed in SEEDS {
        println!("seed {seed}");
        compare(generator::script(seed, DRAWN)).await;
    }
}

async fn compare(script: Vec<Case>) {
    let Some(etcd) = Etcd::start(&[]).await else { return };
    let dir = tempfile::tempdir().unwrap();
    let member = Member::single(dir.path(), &[]).unwrap();
    let mut theirs = Side::connect(&etcd.client_url).await;
    let mut ours = Side::connect(&member.client_url).await;
    let mut differences = Vec::new();
    let mut compared = 0;
    for (number, case) in script.iter().enumerate() {
        let others = case.only.as_ref().filter(|only| !only.releases.contains(&etcd.version));
        if let Some(only) = others {
            // Neither is asked: an old etcd ends at some of these.
            println!("not compared with {:?}: {}: {:?}", etcd.version, only.what, case.call);
            continue;
        }
        if is_about_members(&case.call) && etcd.version < (3, 6, 0) {
            println!("not compared with {:?}: members: {:?}", etcd.version, case.call);
            continue;
        }
        let (expected, found) = tokio::join!(theirs.run(&case.call), ours.run(&case.call));
        if is_only_another_order(&case.call, etcd.version, [&expected, &found]) {
            println!(
                "not compared with {:?}: which refusal comes first: {:?}",
                etcd.version, case.call
            );
            continue;
        }
        compared += 1;
        if expected != found && !is_without_code(&case.call, [&expected, &found]) {
            let call = &case.call;
            differences
                .push(format!("{number}: {call:?}\n    etcd: {expected}\n    ours: {found}\n"));
        }
    }
    println!("{compared} answers compared with etcd {:?}", etcd.version);
    let told: String = differences.iter().take(TOLD).map(String::as_str).collect();
    assert!(differences.is_empty(), "{} of {compared} answers differ:\n{told}", differences.len());
}

/// Old etcds give other codes, and promote a learner whose URLs change.
fn is_about_members(call: &Call) -> bool {
    matches!(
        call,
        Call::AddMember { .. }
            | Call::RemoveMember(_)
            | Call::AddOwnUrl { .. }
            | Call::UpdateMember(..)
            | Call::PromoteMember(_)
            | Call::Members { .. }
    )
}

/// etcd answers with its client's error where too few members have started, and so without the
/// code that it means (`FailedPrecondition`).
fn is_without_code(call: &Call, [theirs, ours]: [&str; 2]) -> bool {
    let meant = theirs.replacen("Unknown", "FailedPrecondition", 1);
    is_about_members(call) && theirs.contains("not enough started members") && meant == ours
}

/// Before 3.6 etcd checks all puts of a transaction and then all its ranges; since then, as we do,
/// all operations in their order. It tells only when two of them are refused for different reasons.
fn is_only_another_order(call: &Call, version: Version, answers: [&str; 2]) -> bool {
    let refused = answers.iter().all(|answer| answer.starts_with("refused"));
    matches!(call, Call::Txn(_)) && version < (3, 6, 0) && refused && answers[0] != answers[1]
}
