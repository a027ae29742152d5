//! Lines where plugins admit: who waits before whom, and what is noted beside them.

use bytes::Bytes;
use portunus_proto::portunus::v1::lock_ask::Ask;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAdmission, LockAsk, LockAwait, LockPlace, LockReleaseRequest, LockSaid,
    LockWord,
};
use proptest::prelude::*;

use super::{admitting, held, holder_key, is_waited_for, predecessor, waiting};
use crate::decide::lock::{describe, place_key};
use crate::decide::stepper::Stepper;
use crate::decide::{Deploy, LockRefusal, Refusal, Reply, Request, SetMode};
use crate::effect::{Binding, Component, Mode, Plugin, Point};
use crate::types::LeaseId;

const NAME: &str = "l/a";

/// A store with leases, and a plugin that admits where `prefix` is.
fn world(leases: i64, prefix: &'static str) -> Stepper {
    let mut world = Stepper::new();
    (1..=leases).for_each(|lease| world.grant(lease));
    deploy(&mut world, prefix);
    world
}

fn deploy(world: &mut Stepper, prefix: &'static str) {
    let (plugin, digest) = ("gate".to_owned(), Bytes::from_static(b"gate"));
    let (point, prefix, plugins) = (Point::LockAdmission, prefix.into(), plugin.clone());
    let binding = Binding { point, prefix, plugin, digest: digest.clone(), ..Binding::default() };
    let plugin = Plugin {
        name: plugins,
        digest: digest.clone(),
        bindings: vec![binding],
        ..Plugin::default()
    };
    let components = vec![Component { digest: digest.clone(), bytes: digest }];
    let deploy = Deploy { plugins: vec![plugin], components, ..Deploy::default() };
    world.tell(Request::Deploy(deploy)).expect("a plugin");
}

fn mode(world: &mut Stepper, mode: Mode) {
    let set = SetMode { name: "gate".into(), binding: None, mode, caller: String::new() };
    world.tell(Request::SetMode(set)).expect("a mode");
}

fn said(answer: Result<Reply, Refusal>) -> LockSaid {
    match answer.expect("not refused") {
        Reply::Lock(said) => said,
        other => panic!("{other:?}"),
    }
}

fn words(word: LockWord) -> Vec<LockAdmission> {
    vec![LockAdmission { name: NAME.into(), word: word.into() }]
}

fn enlisting(lease: i64, word: LockWord) -> Request {
    let names = vec![NAME.into()];
    let enlist = Ask::Enlist(LockAcquireRequest { names, lease, ..Default::default() });
    Request::Lock(LockAsk { ask: Some(enlist), admissions: words(word), ..LockAsk::default() })
}

fn enlist(world: &mut Stepper, lease: i64, word: LockWord) -> LockPlace {
    said(world.tell(enlisting(lease, word))).places.remove(0)
}

fn admit(world: &mut Stepper, place: LockPlace) -> LockPlace {
    let wait = Ask::AwaitTurn(LockAwait { places: vec![place] });
    let ask = LockAsk { ask: Some(wait), admissions: words(LockWord::Admit), ..LockAsk::default() };
    said(world.tell(Request::Lock(ask))).places.remove(0)
}

fn native(ask: Ask) -> Request {
    Request::Lock(LockAsk { ask: Some(ask), admissions: Vec::new(), ..LockAsk::default() })
}

fn wait(world: &mut Stepper, place: &LockPlace) -> u64 {
    world.ask(native(Ask::AwaitTurn(LockAwait { places: vec![place.clone()] })))
}

fn granted(world: &mut Stepper, number: u64) -> LockPlace {
    said(world.answer(number).expect("it is its turn")).places.remove(0)
}

fn release(world: &mut Stepper, lease: i64) {
    let names = vec![NAME.into()];
    let release = LockReleaseRequest { names, lease, entirely: true };
    said(world.tell(native(Ask::Release(release))));
}

fn holders(world: &Stepper) -> Vec<i64> {
    held(&world.head, &NAME.into()).iter().map(|holder| holder.lease.0).collect()
}

#[test]
fn whoever_was_let_in_out_of_turn_keeps_it_when_the_plugin_is_gone() {
    let mut world = world(3, "l/");
    let first = enlist(&mut world, 1, LockWord::Wait);
    let second = enlist(&mut world, 2, LockWord::Admit);
    assert_eq!(second.key, holder_key(NAME.as_bytes(), LeaseId(2)));
    mode(&mut world, Mode::Disabled);
    let number = wait(&mut world, &first);
    assert!(world.waits(number), "the second holds it");
    release(&mut world, 2);
    assert!(granted(&mut world, number).token > second.token);
    assert_eq!(holders(&world), [1]);
}

#[test]
fn without_its_word_nothing_is_granted_and_disabled_it_has_none() {
    let mut world = world(2, "l/");
    let names = || vec![NAME.into()];
    let unasked =
        |lease| Ask::Enlist(LockAcquireRequest { names: names(), lease, ..Default::default() });
    assert!(!said(world.tell(native(unasked(1)))).granted);
    assert_eq!(admitting(&world.head, &NAME.into()).count(), 1);
    mode(&mut world, Mode::Disabled);
    assert_eq!(admitting(&world.head, &NAME.into()).count(), 0);
    assert!(said(world.tell(native(unasked(1)))).granted);
}

#[test]
fn its_word_does_not_cut_a_lock_delay_short() {
    let mut world = world(2, "l/");
    let names = vec![NAME.into()];
    let delayed = LockAcquireRequest { names, lease: 1, lock_delay_ms: 5000, ..Default::default() };
    let (ask, admissions) = (Some(Ask::Enlist(delayed)), words(LockWord::Admit));
    let first = world.tell(Request::Lock(LockAsk { ask, admissions, ..LockAsk::default() }));
    assert!(said(first).granted);
    let second = enlist(&mut world, 2, LockWord::Wait);
    world.expire(1);
    let wait = Ask::AwaitTurn(LockAwait { places: vec![second] });
    let (ask, admissions) = (Some(wait), words(LockWord::Admit));
    let turn = world.ask(Request::Lock(LockAsk { ask, admissions, ..LockAsk::default() }));
    world.advance(4999);
    assert!(world.waits(turn));
    world.advance(1);
    granted(&mut world, turn);
    assert_eq!(holders(&world), [2]);
}

#[test]
fn tokens_still_grow_when_the_plugin_is_gone() {
    let mut world = world(4, "l/");
    let first = enlist(&mut world, 1, LockWord::Wait);
    let second = enlist(&mut world, 2, LockWord::Admit);
    mode(&mut world, Mode::Disabled);
    // It enters behind somebody whose grant will have a key of its own.
    let third = enlist(&mut world, 3, LockWord::Native);
    let numbers = [wait(&mut world, &first), wait(&mut world, &third)];
    let mut tokens = vec![second.token];
    for (lease, number) in [(2, numbers[0]), (1, numbers[1])] {
        release(&mut world, lease);
        tokens.push(granted(&mut world, number).token);
    }
    assert!(tokens.is_sorted_by(|one, other| one < other), "{tokens:?}");
    release(&mut world, 3);
    let later = enlist(&mut world, 4, LockWord::Native);
    assert!(later.token > tokens[2]);
    assert_eq!(later.key, place_key(NAME.as_bytes(), LeaseId(4)), "an empty line forgets it");
}

#[test]
fn a_holders_key_without_its_place_holds_nothing() {
    let mut world = world(3, "l/");
    let first = enlist(&mut world, 1, LockWord::Wait);
    enlist(&mut world, 2, LockWord::Admit);
    mode(&mut world, Mode::Disabled);
    let number = wait(&mut world, &first);
    // As a client of etcd lets go, which knows of one key.
    let key = String::from_utf8(place_key(NAME.as_bytes(), LeaseId(2)).to_vec()).expect("text");
    world.delete(&key);
    assert_eq!(granted(&mut world, number).name, NAME);
    assert_eq!(holders(&world), [1]);
}

#[test]
fn an_etcd_client_that_waited_before_there_was_a_plugin_is_let_in_like_others() {
    let mut world = Stepper::new();
    (1..=4).for_each(|lease| world.grant(lease));
    for lease in 1..=3 {
        let key = place_key(NAME.as_bytes(), LeaseId(lease));
        let put = portunus_proto::etcdserverpb::PutRequest { key, lease, ..Default::default() };
        world.tell(Request::Put(put)).expect("a place");
    }
    deploy(&mut world, "l/");
    assert_eq!(holders(&world), [1], "by being first");
    let key = place_key(NAME.as_bytes(), LeaseId(2));
    let token = world.head.get(&key).expect("a place").create_revision();
    let place = LockPlace { name: NAME.into(), key: key.clone(), token, holds: 0 };
    let let_in = admit(&mut world, place.clone());
    assert_eq!(let_in.key, holder_key(NAME.as_bytes(), LeaseId(2)));
    assert_eq!(holders(&world), [1, 2]);
    let waits: Vec<_> = waiting(&world.head, &NAME.into()).iter().map(|it| it.lease.0).collect();
    assert_eq!(waits, [3]);
    assert_eq!(admit(&mut world, place), let_in, "asked again it is the same");
    let told = describe(&world.head, NAME.as_bytes()).line;
    assert_eq!(told.iter().map(|it| it.holds_it).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn no_lock_has_the_name_of_holders_keys() {
    let mut world = world(1, "l/");
    for name in ["l/a!holders", "l/a!holders/1", "x!holders"] {
        let names = vec![name.into()];
        let enlist = LockAcquireRequest { names, lease: 1, ..Default::default() };
        let refused = world.tell(native(Ask::Enlist(enlist))).expect_err("refused");
        assert_eq!(refused, Refusal::Lock(LockRefusal::Reserved { name: name.into() }));
    }
    let names = vec!["l/a!holder".into()];
    let enlist = LockAcquireRequest { names, lease: 1, ..Default::default() };
    world.tell(native(Ask::Enlist(enlist))).expect("another name");
}

#[test]
fn a_lock_below_another_has_a_line_of_its_own() {
    let mut world = world(2, "l/");
    let admissions = vec![LockAdmission { name: "l/a/b".into(), word: LockWord::Admit.into() }];
    let names = vec!["l/a/b".into()];
    let below = Ask::Enlist(LockAcquireRequest { names, lease: 1, ..Default::default() });
    said(world.tell(Request::Lock(LockAsk { ask: Some(below), admissions, ..LockAsk::default() })));
    assert!(holders(&world).is_empty());
    let place = enlist(&mut world, 2, LockWord::Admit);
    assert!(predecessor(&world.head, &NAME.into(), LeaseId(2)).is_none());
    assert_eq!((holders(&world), place.holds), (vec![2], 1));
}

proptest! {
    /// Leases enter in any order, so that keys are in another order than places.
    #[test]
    fn the_predecessor_is_the_last_before_who_waits(
        leases in Just((1..=12_i64).collect::<Vec<_>>()).prop_shuffle(),
        admitted in prop::collection::vec(any::<bool>(), 12),
    ) {
        let mut world = world(12, "l/");
        for (lease, admitted) in leases.iter().zip(&admitted) {
            let word = if *admitted { LockWord::Admit } else { LockWord::Wait };
            enlist(&mut world, *lease, word);
        }
        let name = NAME.into();
        let mut last = None;
        for (lease, admitted) in leases.iter().zip(&admitted) {
            let before = predecessor(&world.head, &name, LeaseId(*lease));
            prop_assert_eq!(before, last.map(|lease| place_key(NAME.as_bytes(), LeaseId(lease))));
            last = if *admitted { last } else { Some(*lease) };
        }
        prop_assert_eq!(is_waited_for(&world.head, &name), admitted.contains(&false));
        let order: Vec<i64> = waiting(&world.head, &name).iter().map(|it| it.lease.0).collect();
        let waits = leases.iter().zip(&admitted).filter(|(_, admitted)| !**admitted);
        prop_assert_eq!(order, waits.map(|(lease, _)| *lease).collect::<Vec<_>>());
        let held = holders(&world);
        let expected = leases.iter().zip(&admitted).filter(|(_, admitted)| **admitted);
        prop_assert_eq!(held, expected.map(|(lease, _)| *lease).collect::<Vec<_>>());
    }
}
