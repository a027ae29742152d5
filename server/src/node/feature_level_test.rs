//! Feature levels at work: raised when all members know them, and the end of a member that meets
//! what it does not know. That end is the process's, so it is watched in a child.

use std::process::Command;

use super::answer::Delivery;
use super::ask::{Ask, Said};
use super::hand_test::Hand;
use crate::decide::{Reply, Request};
use crate::effect::{self, Attributes, ChainId, Effect};
use crate::fatal::EXIT_CODE;
use crate::machine::FEATURE_LEVEL;
use crate::raft::{MemberChange, Peer};
use crate::types::MemberId;

fn publish(member: u64, feature_level: u32) -> Ask {
    let member = MemberId(member);
    Ask::Decide(Request::Publish(Attributes { member, feature_level, ..Attributes::default() }))
}

async fn published(hand: &mut Hand, member: u64, feature_level: u32) {
    let answer = hand.submit([publish(member, feature_level)]).pop().unwrap();
    hand.resolve().await;
    let delivery: Delivery = answer.await.unwrap();
    let said = delivery.unwrap().result.unwrap();
    assert!(matches!(said, Said::Reply(Reply::Done { .. })), "{said:?}");
    hand.sequencer.on_lease_tick();
    hand.resolve().await;
}

fn level(hand: &Hand) -> u32 {
    hand.node.shared.applied.with(|version| version.state.feature_level)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_level_is_raised_once_every_member_knows_it() {
    const OLDER: u64 = 8;
    let mut hand = Hand::leading().await;
    let older = Peer { peer_urls: vec!["http://127.0.0.1:1".into()], ..Peer::default() };
    hand.node.shared.group().change_members(MemberChange::AddLearner(OLDER, older)).await.unwrap();
    published(&mut hand, 7, FEATURE_LEVEL).await;
    assert_eq!(level(&hand), 0, "the other member has said nothing");
    published(&mut hand, OLDER, 0).await;
    assert_eq!(level(&hand), 0, "the other member runs an older version");
    published(&mut hand, OLDER, FEATURE_LEVEL).await;
    assert_eq!(level(&hand), FEATURE_LEVEL);
    published(&mut hand, OLDER, 0).await;
    assert_eq!(level(&hand), FEATURE_LEVEL, "it is never lowered");
    hand.close().await;
}

/// Names what the child of a test is to meet.
const MEETS: &str = "PORTUNUS_TEST_MEETS";

/// What the children of the tests below run.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "ends its process; run by other tests, each in one of its own"]
async fn child_that_meets_a_newer_entry() {
    let meets = std::env::var(MEETS).expect("run by another test");
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let hand = Hand::leading().await;
    let mut effects = Vec::new();
    match meets.as_str() {
        "effect" => effects.extend([200, 1, 2]),
        _ => effect::encode_effect(&Effect::FeatureLevel(FEATURE_LEVEL + 1), &mut effects),
    }
    let version = hand.node.shared.applied.load();
    let ChainId { term, .. } = version.state.chain;
    let id = version.state.chain.next(term, 9, &effects);
    let entry = effect::encode_around(id, version.state.chain, version.state.digest, &effects);
    let term = hand.sequencer.reign.leading().unwrap().term;
    let fate = hand.node.shared.group().propose(entry, term).await;
    panic!("it goes on, {fate:?}");
}

/// Runs the child and returns what it wrote before it ended itself.
fn end_of_child(meets: &str) -> String {
    let child = "node::feature_level_test::child_that_meets_a_newer_entry";
    // What the child leaves behind goes with it.
    let dir = tempfile::tempdir().expect("a directory");
    let test = std::env::current_exe().expect("the test's own program");
    let output = Command::new(test)
        .args(["--exact", child, "--ignored", "--nocapture"])
        .env(MEETS, meets)
        .env("TMPDIR", dir.path())
        .output()
        .expect("the program starts again");
    let wrote = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(EXIT_CODE), "{wrote}");
    wrote
}

#[test]
fn a_member_that_meets_an_unknown_effect_stops_and_says_what_to_do() {
    let wrote = end_of_child("effect");
    assert!(wrote.contains("cannot read a committed entry"), "{wrote}");
    assert!(wrote.contains("effect 200 is newer than this program knows"), "{wrote}");
    assert!(wrote.contains("upgrade the member"), "{wrote}");
}

#[test]
fn a_member_that_meets_an_unknown_feature_level_stops_and_says_what_to_do() {
    let wrote = end_of_child("level");
    assert!(wrote.contains("this member cannot follow the cluster"), "{wrote}");
    let said = format!("feature level {} and this program knows", FEATURE_LEVEL + 1);
    assert!(wrote.contains(&said) && wrote.contains("upgrade the member"), "{wrote}");
}
