//! Holders that share what they had alone, and the other way round.

use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAsk, LockAwait, LockMode, LockReleaseRequest, LockSaid, lock_ask::Ask,
};

use crate::decide::stepper::Stepper;
use crate::decide::{LockRefusal, Refusal, Reply, Request};

fn world() -> Stepper {
    let mut world = Stepper::new();
    (1..=4).for_each(|lease| world.grant(lease));
    world
}

fn tell(world: &mut Stepper, ask: Ask) -> Result<LockSaid, Refusal> {
    match world.tell(Request::Lock(LockAsk { ask: Some(ask), ..Default::default() }))? {
        Reply::Lock(said) => Ok(said),
        other => panic!("{other:?}"),
    }
}

fn acquire(world: &mut Stepper, lease: i64, mode: LockMode) -> Result<LockSaid, Refusal> {
    let names = vec!["door".into()];
    let request = LockAcquireRequest { names, lease, mode: mode.into(), ..Default::default() };
    tell(world, Ask::Enlist(request))
}

fn wait(world: &mut Stepper, said: LockSaid) -> u64 {
    let wait = LockAwait { places: said.places };
    world.ask(Request::Lock(LockAsk { ask: Some(Ask::AwaitTurn(wait)), ..Default::default() }))
}

fn release(world: &mut Stepper, lease: i64) {
    let names = vec!["door".into()];
    let request = LockReleaseRequest { names, lease, entirely: true };
    assert_eq!(tell(world, Ask::Release(request)).unwrap().count, 1);
}

fn held() -> Refusal {
    Refusal::Lock(LockRefusal::Held { name: "door".into() })
}

#[test]
fn a_writer_that_becomes_a_reader_lets_readers_in_and_no_writer_between() {
    let mut world = world();
    let first = acquire(&mut world, 1, LockMode::Exclusive).unwrap();
    let reader = acquire(&mut world, 2, LockMode::Shared).unwrap();
    let reader = wait(&mut world, reader);
    let writer = acquire(&mut world, 3, LockMode::Exclusive).unwrap();
    let writer = wait(&mut world, writer);
    let changed = acquire(&mut world, 1, LockMode::Shared).unwrap();
    assert!(changed.granted);
    assert_eq!(changed.places[0].token, first.places[0].token, "the same hold");
    assert!(!world.waits(reader) && world.waits(writer));
    release(&mut world, 1);
    assert!(world.waits(writer), "the other reader is still there");
    release(&mut world, 2);
    assert!(!world.waits(writer));
}

#[test]
fn a_reader_becomes_a_writer_when_it_is_alone_and_does_not_wait_for_it() {
    let mut world = world();
    for lease in [1, 2] {
        assert!(acquire(&mut world, lease, LockMode::Shared).unwrap().granted);
    }
    for lease in [1, 2] {
        assert_eq!(acquire(&mut world, lease, LockMode::Exclusive), Err(held()));
    }
    let waiting = acquire(&mut world, 3, LockMode::Exclusive).unwrap();
    let waiting = wait(&mut world, waiting);
    release(&mut world, 2);
    assert!(acquire(&mut world, 1, LockMode::Exclusive).unwrap().granted, "before who waits");
    let late = acquire(&mut world, 4, LockMode::Shared).unwrap();
    assert!(!late.granted);
    let late = wait(&mut world, late);
    release(&mut world, 1);
    assert!(!world.waits(waiting) && world.waits(late));
}

#[test]
fn who_waits_and_who_holds_permits_cannot_change() {
    let mut world = world();
    assert!(acquire(&mut world, 1, LockMode::Exclusive).unwrap().granted);
    acquire(&mut world, 2, LockMode::Exclusive).unwrap();
    let differs = Refusal::Lock(LockRefusal::Differs { name: "door".into() });
    assert_eq!(acquire(&mut world, 2, LockMode::Shared), Err(differs));
    let permits = LockAcquireRequest {
        names: vec!["door".into()],
        lease: 1,
        mode: LockMode::Permits.into(),
        permits: 3,
        ..Default::default()
    };
    let differs = Refusal::Lock(LockRefusal::Differs { name: "door".into() });
    assert_eq!(tell(&mut world, Ask::Enlist(permits)), Err(differs));
}
