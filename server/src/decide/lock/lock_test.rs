//! What locks do, case by case.

use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAsk, LockAwait, LockLeave, LockMode, LockPlace, LockReleaseRequest,
    LockRevocationRequest, LockSaid, lock_ask::Ask,
};

use super::describe;
use crate::decide::stepper::Stepper;
use crate::decide::{LockRefusal, Refusal, Reply, Request};

fn world(leases: i64) -> Stepper {
    let mut world = Stepper::new();
    (1..=leases).for_each(|lease| world.grant(lease));
    world
}

fn asking(lease: i64, names: &[&str]) -> LockAcquireRequest {
    let names = names.iter().map(|name| (*name).to_owned().into()).collect();
    LockAcquireRequest { names, lease, ..LockAcquireRequest::default() }
}

fn ask(ask: Ask) -> Request {
    Request::Lock(LockAsk { ask: Some(ask), ..Default::default() })
}

fn said(answer: Result<Reply, Refusal>) -> Result<LockSaid, Refusal> {
    match answer? {
        Reply::Lock(said) => Ok(said),
        other => panic!("{other:?}"),
    }
}

fn enlist(world: &mut Stepper, request: LockAcquireRequest) -> Result<LockSaid, Refusal> {
    said(world.tell(ask(Ask::Enlist(request))))
}

fn wait(world: &mut Stepper, places: Vec<LockPlace>) -> u64 {
    world.ask(ask(Ask::AwaitTurn(LockAwait { places })))
}

fn release(world: &mut Stepper, lease: i64, name: &str) -> u32 {
    let request =
        LockReleaseRequest { names: vec![name.to_owned().into()], lease, entirely: false };
    said(world.tell(ask(Ask::Release(request)))).unwrap().count
}

fn lock(refusal: LockRefusal) -> Refusal {
    Refusal::Lock(refusal)
}

#[test]
fn requests_that_cannot_be_are_refused() {
    let mut world = world(1);
    let refused = |world: &mut Stepper, request| enlist(world, request).unwrap_err();
    assert_eq!(refused(&mut world, asking(1, &[])), lock(LockRefusal::Unnamed));
    assert_eq!(refused(&mut world, asking(1, &[""])), lock(LockRefusal::Unnamed));
    assert_eq!(refused(&mut world, asking(1, &["a", "a"])), lock(LockRefusal::Unnamed));
    assert_eq!(refused(&mut world, asking(7, &["a"])), Refusal::LeaseNotFound);
    let heavy = LockAcquireRequest {
        mode: LockMode::Permits.into(),
        permits: 2,
        weight: 3,
        ..asking(1, &["a"])
    };
    let too_heavy = LockRefusal::TooHeavy { weight: 3, permits: 2 };
    assert_eq!(refused(&mut world, heavy), lock(too_heavy));
    assert_eq!(world.head.revision, 1, "nothing was written");
}

#[test]
fn a_release_wakes_the_next_alone() {
    let mut world = world(40);
    assert!(enlist(&mut world, asking(1, &["door"])).unwrap().granted);
    let mut waits = Vec::new();
    for lease in 2..=40 {
        let enlisted = enlist(&mut world, asking(lease, &["door"])).unwrap();
        assert!(!enlisted.granted);
        waits.push(wait(&mut world, enlisted.places));
    }
    world.woken = 0;
    for (n, number) in waits.iter().enumerate() {
        assert_eq!(release(&mut world, n as i64 + 1, "door"), 1);
        assert!(said(world.answer(*number).expect("it is its turn")).unwrap().granted);
    }
    // Each is looked at when the one before it is granted, and when that one lets go.
    assert!(world.woken <= 2 * waits.len(), "{} wake-ups", world.woken);
}

#[test]
fn those_who_share_hold_together_and_pass_nobody() {
    let mut world = world(5);
    let shared =
        |lease| LockAcquireRequest { mode: LockMode::Shared.into(), ..asking(lease, &["door"]) };
    assert!(enlist(&mut world, shared(1)).unwrap().granted);
    assert!(enlist(&mut world, shared(2)).unwrap().granted);
    let writer = enlist(&mut world, asking(3, &["door"])).unwrap();
    let writer = wait(&mut world, writer.places);
    let mut late = Vec::new();
    for lease in 4..=5 {
        let reader = enlist(&mut world, shared(lease)).unwrap();
        assert!(!reader.granted, "a writer waits before it");
        late.push(wait(&mut world, reader.places));
    }
    release(&mut world, 1, "door");
    assert!(world.waits(writer));
    release(&mut world, 2, "door");
    assert!(!world.waits(writer) && world.waits(late[0]));
    release(&mut world, 3, "door");
    assert!(late.iter().all(|reader| !world.waits(*reader)));
}

#[test]
fn permits_are_counted_by_weight() {
    let mut world = world(4);
    let weighing = |lease, weight| LockAcquireRequest {
        mode: LockMode::Permits.into(),
        permits: 5,
        weight,
        ..asking(lease, &["pool"])
    };
    assert!(enlist(&mut world, weighing(1, 2)).unwrap().granted);
    assert!(enlist(&mut world, weighing(2, 2)).unwrap().granted);
    let third = enlist(&mut world, weighing(3, 2)).unwrap();
    let third = wait(&mut world, third.places);
    let small = enlist(&mut world, weighing(4, 1)).unwrap();
    assert!(!small.granted, "it would fit, and passes nobody");
    let small = wait(&mut world, small.places);
    release(&mut world, 1, "pool");
    assert!(!world.waits(third) && !world.waits(small));
}

#[test]
fn a_try_leaves_nothing_behind() {
    let mut world = world(2);
    enlist(&mut world, asking(1, &["b"])).unwrap();
    let before = world.head.revision;
    let request = LockAcquireRequest { try_only: true, ..asking(2, &["a", "b"]) };
    let held = LockRefusal::Held { name: "b".into() };
    assert_eq!(enlist(&mut world, request).unwrap_err(), lock(held));
    assert_eq!(world.head.revision, before);
}

#[test]
fn several_names_crosswise_do_not_lock_each_other_up() {
    let mut world = world(2);
    let first = enlist(&mut world, asking(1, &["a", "b"])).unwrap();
    assert!(first.granted);
    let second = enlist(&mut world, asking(2, &["b", "a"])).unwrap();
    let number = wait(&mut world, second.places);
    release(&mut world, 1, "a");
    assert!(world.waits(number), "all or nothing");
    release(&mut world, 1, "b");
    let granted = said(world.answer(number).unwrap()).unwrap();
    assert_eq!(granted.places.len(), 2);
}

#[test]
fn a_lease_may_hold_again_and_releases_as_often() {
    let mut world = world(1);
    let again = || LockAcquireRequest { reentrant: true, ..asking(1, &["door"]) };
    let first = enlist(&mut world, again()).unwrap();
    let second = enlist(&mut world, again()).unwrap();
    assert_eq!((first.places[0].holds, second.places[0].holds), (1, 2));
    assert_eq!(first.places[0].token, second.places[0].token);
    let repeated = enlist(&mut world, asking(1, &["door"])).unwrap();
    assert_eq!(repeated.places[0].holds, 2, "a repeat counts once");
    assert_eq!(release(&mut world, 1, "door"), 0);
    assert_eq!(release(&mut world, 1, "door"), 1);
    assert!(describe(&world.head, b"door").line.is_empty());
}

#[test]
fn after_a_crash_the_lock_rests_for_its_delay_and_after_a_release_it_does_not() {
    let mut world = world(3);
    let delayed = |lease| LockAcquireRequest { lock_delay_ms: 5000, ..asking(lease, &["door"]) };
    enlist(&mut world, delayed(1)).unwrap();
    let next = enlist(&mut world, delayed(2)).unwrap();
    let next = wait(&mut world, next.places);
    world.expire(1);
    assert!(world.waits(next));
    world.advance(4999);
    assert!(world.waits(next));
    world.advance(1);
    assert!(said(world.answer(next).unwrap()).unwrap().granted);
    assert_eq!(describe(&world.head, b"door").delayed_until_ms, 0, "it is forgotten");
    let last = enlist(&mut world, asking(3, &["door"])).unwrap();
    let last = wait(&mut world, last.places);
    release(&mut world, 2, "door");
    assert!(!world.waits(last));
}

#[test]
fn whoever_loses_its_lease_in_line_hears_it() {
    let mut world = world(2);
    enlist(&mut world, asking(1, &["door"])).unwrap();
    let waiting = enlist(&mut world, asking(2, &["door"])).unwrap();
    let waiting = wait(&mut world, waiting.places);
    world.expire(2);
    let lost = LockRefusal::Lost { name: "door".into() };
    assert_eq!(said(world.answer(waiting).unwrap()).unwrap_err(), lock(lost));
}

#[test]
fn a_place_taken_anew_is_not_the_one_that_was_waited_in() {
    let mut world = world(2);
    enlist(&mut world, asking(1, &["door"])).unwrap();
    let old = enlist(&mut world, asking(2, &["door"])).unwrap().places;
    let leave = LockLeave { places: old.clone() };
    said(world.tell(ask(Ask::Leave(leave)))).unwrap();
    let new = enlist(&mut world, asking(2, &["door"])).unwrap().places;
    assert_eq!(old[0].key, new[0].key);
    let waiting = wait(&mut world, old);
    let lost = LockRefusal::Lost { name: "door".into() };
    assert_eq!(said(world.answer(waiting).unwrap()).unwrap_err(), lock(lost));
    let waiting = wait(&mut world, new);
    assert!(world.waits(waiting));
}

#[test]
fn plain_clients_of_etcd_stand_in_the_same_line() {
    let mut world = world(2);
    world.put("door/aa", "").unwrap();
    let ours = enlist(&mut world, asking(1, &["door"])).unwrap();
    assert!(!ours.granted);
    let ours = wait(&mut world, ours.places);
    world.put("door/bb", "").unwrap();
    let last = enlist(&mut world, asking(2, &["door"])).unwrap();
    let last = wait(&mut world, last.places);
    world.delete("door/aa");
    assert!(!world.waits(ours));
    release(&mut world, 1, "door");
    assert!(world.waits(last), "etcd's client holds by being first");
    assert!(describe(&world.head, b"door").line[0].holds_it);
    world.delete("door/bb");
    assert!(!world.waits(last));
}

#[test]
fn a_wish_is_written_to_holders_only_and_does_not_cost_the_lock() {
    let mut world = world(2);
    let held = enlist(&mut world, asking(1, &["door"])).unwrap();
    let waiting = enlist(&mut world, asking(2, &["door"])).unwrap();
    let wish = LockRevocationRequest { name: "door".into(), reason: "drain".into() };
    assert_eq!(said(world.tell(ask(Ask::Revoke(wish)))).unwrap().count, 1);
    let line = describe(&world.head, b"door").line;
    assert_eq!((line[0].revocation.as_str(), line[1].revocation.as_str()), ("drain", ""));
    assert_eq!(line[0].token, held.places[0].token);
    let leave = LockLeave { places: waiting.places };
    assert_eq!(said(world.tell(ask(Ask::Leave(leave)))).unwrap().count, 1);
    assert_eq!(describe(&world.head, b"door").line.len(), 1);
}
