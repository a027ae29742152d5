//! Who wakes, and who does not: against reading everything anew after each change.

use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Lot, Pending};
use crate::clock::Tick;
use crate::effect::Effect;
use crate::limits::PARKED_MAX;
use crate::machine::{Change, State};
use crate::node::answer::{Bounce, Call, Delivery};
use crate::node::ask::Ask;
use crate::node::error::Failure;
use crate::types::{Item, KeyRange, LeaseId};
use crate::view::{ReadSet, Recent};
use tokio::sync::oneshot::Receiver;

/// A decision of the sequencer's own, told from others by its number.
fn pending(number: i64) -> (Pending, Receiver<Delivery>) {
    let (call, answer) = Call::new(Ask::KeepAlive(LeaseId(number)));
    (Pending::Call(call), answer)
}

fn number(pending: &Pending) -> i64 {
    match pending.call().ask {
        Ask::KeepAlive(id) => id.0,
        ref other => panic!("{other:?}"),
    }
}

fn at(millis: u64) -> Option<Tick> {
    Some(Tick::from_start(Duration::from_millis(millis)))
}

fn woken(lot: &mut Lot) -> Vec<i64> {
    lot.take_woken().iter().map(number).collect()
}

#[derive(Clone, Debug)]
enum Look {
    Key(u8),
    Range(u8, u8),
    Lease(u8),
    LeaseKeys(u8),
}

#[derive(Clone, Debug)]
enum Step {
    Park(Vec<Look>),
    Put(u8, u8),
    Delete(u8),
    Grant(u8),
    Revoke(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let look = prop_oneof![
        (0u8..8).prop_map(Look::Key),
        (0u8..8, 0u8..8).prop_map(|(from, to)| Look::Range(from, to)),
        (1u8..4).prop_map(Look::Lease),
        (1u8..4).prop_map(Look::LeaseKeys),
    ];
    prop_oneof![
        3 => proptest::collection::vec(look, 1..4).prop_map(Step::Park),
        3 => (0u8..8, 0u8..4).prop_map(|(key, lease)| Step::Put(key, lease)),
        1 => (0u8..8).prop_map(Step::Delete),
        1 => (1u8..4).prop_map(Step::Grant),
        1 => (1u8..4).prop_map(Step::Revoke),
    ]
}

/// A head, and the lot that hears of each of its changes.
#[derive(Default)]
struct World {
    head: State,
    recent: Recent,
    lot: Lot,
}

impl World {
    fn apply(&mut self, effect: Effect) {
        let mut changes: Vec<Change> = Vec::new();
        self.head.apply(&effect, &mut changes, &mut Vec::new());
        for change in &changes {
            self.recent.push(change);
            self.lot.on_change(change);
        }
        self.lot.on_effect(&effect);
    }

    fn run(&mut self, step: &Step) {
        let at = self.head.next_revision();
        match step {
            Step::Park(_) => {}
            Step::Put(key, lease) => {
                let lease = LeaseId(i64::from(*lease));
                let known = self.head.lease(lease).is_some();
                let lease = if known { lease } else { LeaseId::NONE };
                let item = Item::new(&[*key], b"", at.main, at, 1, lease);
                self.apply(Effect::Put(item));
            }
            Step::Delete(key) => self.apply(Effect::Delete { key: Bytes::from(vec![*key]), at }),
            Step::Grant(id) => {
                let id = LeaseId(i64::from(*id));
                if self.head.lease(id).is_none() {
                    self.apply(Effect::LeaseGrant { id, ttl: 9 });
                }
            }
            Step::Revoke(id) => {
                let id = LeaseId(i64::from(*id));
                if self.head.lease(id).is_none() {
                    return;
                }
                for key in self.head.lease_keys(id) {
                    self.apply(Effect::Delete { key, at });
                }
                self.apply(Effect::LeaseRevoke { id });
            }
        }
    }

    fn read(&self, looks: &[Look]) -> ReadSet {
        let mut reads = ReadSet::on(&self.head);
        for look in looks {
            match look {
                Look::Key(key) => reads.note_key(&Bytes::from(vec![*key]), self.head.get(&[*key])),
                Look::Range(from, to) => {
                    reads.note_range(&KeyRange::from_wire(vec![*from].into(), vec![*to].into()));
                }
                Look::Lease(id) => {
                    let id = LeaseId(i64::from(*id));
                    reads.note_lease(id, self.head.lease(id).is_some());
                }
                Look::LeaseKeys(id) => {
                    let id = LeaseId(i64::from(*id));
                    reads.note_lease_keys(id, self.head.lease_keys(id).len());
                }
            }
        }
        reads
    }
}

proptest! {
    /// Whatever is parked while its reads stand is woken before they do not, and nobody is woken
    /// whose reads nothing has touched.
    #[test]
    fn no_wake_up_is_lost(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::default();
        world.run(&Step::Put(0, 0));
        let mut waiting: Vec<(i64, ReadSet)> = Vec::new();
        let mut answers = Vec::new();
        for (now, step) in (0i64..).zip(&steps) {
            if let Step::Park(looks) = step {
                let reads = world.read(looks);
                let (pending, answer) = pending(now);
                answers.push(answer);
                world.lot.park(pending, now as u64, reads.clone(), None, None).expect("room");
                waiting.push((now, reads));
                continue;
            }
            let before = world.head.clone();
            world.run(step);
            let woken = woken(&mut world.lot);
            prop_assert!(woken.is_sorted(), "in the order in which they came");
            let own = Default::default();
            for (number, reads) in &waiting {
                if !reads.still_valid(&world.head, &world.recent, &own) {
                    prop_assert!(woken.contains(number), "{number} sleeps over {step:?}");
                }
            }
            let is_same = before.revision == world.head.revision
                && before.leases().len() == world.head.leases().len();
            if is_same {
                prop_assert!(woken.is_empty(), "nothing has changed");
            }
            if let Step::Put(key, 0) = step {
                let touched = |(_, reads): &&(i64, ReadSet)| {
                    reads.covers().any(|range| range.contains(&[*key])) || reads.leases().count() > 0
                };
                let may: Vec<i64> = waiting.iter().filter(touched).map(|(n, _)| *n).collect();
                prop_assert!(woken.iter().all(|number| may.contains(number)));
            }
            waiting.retain(|(number, _)| !woken.contains(number));
            prop_assert_eq!(world.lot.len(), waiting.len());
        }
        world.lot.wake_where(|_| true);
        prop_assert_eq!(woken(&mut world.lot).len(), waiting.len());
        prop_assert!(world.lot.index.is_empty(), "nothing stays filed");
    }
}

#[test]
fn each_wakes_at_its_time_and_not_before() {
    let mut lot = Lot::default();
    let mut answers = Vec::new();
    for (number, due) in [(1, at(30)), (2, at(10)), (3, None), (4, at(20))] {
        let (pending, answer) = pending(number);
        answers.push(answer);
        lot.park(pending, number as u64, ReadSet::default(), due, None).expect("room");
    }
    assert_eq!(lot.next_due(), at(10));
    lot.wake_due(Tick::from_start(Duration::from_millis(9)));
    assert_eq!(woken(&mut lot), [0i64; 0]);
    lot.wake_due(Tick::from_start(Duration::from_millis(30)));
    assert_eq!(woken(&mut lot), [1, 2, 4]);
    assert_eq!((lot.len(), lot.next_due()), (1, None));
}

#[test]
fn those_whose_callers_have_gone_are_found_a_few_at_a_time() {
    let mut lot = Lot::default();
    let mut answers = Vec::new();
    for number in 0..100 {
        let (pending, answer) = pending(number);
        answers.push(answer);
        lot.park(pending, number as u64, ReadSet::default(), None, None).expect("room");
    }
    // Every third stays.
    let mut number = 0;
    answers.retain(|_| {
        number += 1;
        number % 3 == 0
    });
    lot.sweep(10);
    assert!(lot.len() > 80, "it looked at ten");
    (0..9).for_each(|_| lot.sweep(10));
    assert_eq!(lot.len(), answers.len());
}

#[tokio::test]
async fn all_hear_why_it_ended_those_that_were_about_to_run_too() {
    let mut lot = Lot::default();
    let (sleeping, asleep) = pending(1);
    lot.park(sleeping, 1, ReadSet::default(), None, None).expect("room");
    let (waking, awake) = pending(2);
    lot.park(waking, 2, ReadSet::default(), at(1), None).expect("room");
    lot.wake_due(Tick::from_start(Duration::from_millis(1)));
    lot.end(Failure::LeaderChanged);
    for answer in [asleep, awake] {
        let answer = answer.await.expect("an answer");
        assert!(matches!(answer, Err(Bounce::NotExecuted(_, Failure::LeaderChanged))));
    }
    assert!(lot.is_empty() && lot.take_woken().is_empty());
}

#[test]
fn too_many_are_handed_back() {
    let mut lot = Lot::default();
    let mut answers = Vec::new();
    for number in 0..=PARKED_MAX {
        let (pending, answer) = pending(number as i64);
        answers.push(answer);
        let parked = lot.park(pending, number as u64, ReadSet::default(), None, None);
        assert_eq!(parked.is_ok(), number < PARKED_MAX);
    }
}
