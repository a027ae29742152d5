//! Random schedules of producers, consumers and crashes, against a queue that is a list.

use std::collections::{BTreeMap, BTreeSet};

use portunus_proto::portunus::v1::{
    QueueAckRequest, QueueAsk, QueueClaim, QueueConfigureRequest, QueueDequeueRequest,
    QueueEnqueueRequest, QueueNackRequest, QueueNewItem, QueuePurgeRequest, QueueRemoveRequest,
    QueueShelf, queue_ask::Ask, queue_said::Said,
};
use proptest::prelude::*;

use super::stats;
use crate::decide::stepper::{Answer, Stepper};
use crate::decide::{QueueRefusal, Refusal, Reply, Request};

const CONSUMERS: usize = 3;
const MAX_ATTEMPTS: u32 = 3;

#[derive(Clone, Debug)]
enum Op {
    Enqueue { priorities: Vec<u32>, delay: u64, dedup: Option<u8> },
    Dequeue { consumer: usize, max: u32, wait: bool },
    Ack(usize),
    Nack { at: usize, delay: u64 },
    Crash(usize),
    Pass(u64),
    Remove(u64),
    Gate(bool),
    Condition(usize),
    Purge,
}

const CONDITIONS: [&str; 4] = ["", "size>=3", "key gate", "any(size>=4, key gate)"];

fn op() -> impl Strategy<Value = Op> {
    let delay = || prop_oneof![3 => Just(0u64), 1 => 1u64..80];
    prop_oneof![
        8 => (prop::collection::vec(0u32..3, 1..4), delay(), prop::option::weighted(0.2, 0u8..4))
            .prop_map(|(priorities, delay, dedup)| Op::Enqueue { priorities, delay, dedup }),
        8 => (0..CONSUMERS, 1u32..4, any::<bool>())
            .prop_map(|(consumer, max, wait)| Op::Dequeue { consumer, max, wait }),
        6 => (0usize..8).prop_map(Op::Ack),
        3 => (0usize..8, delay()).prop_map(|(at, delay)| Op::Nack { at, delay }),
        1 => (0..CONSUMERS).prop_map(Op::Crash),
        2 => (1u64..60).prop_map(Op::Pass),
        1 => (1u64..20).prop_map(Op::Remove),
        1 => any::<bool>().prop_map(Op::Gate),
        1 => (0..CONDITIONS.len()).prop_map(Op::Condition),
        1 => Just(Op::Purge),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Ready,
    Delayed(u64),
    Taken {
        consumer: usize,
    },
    /// Its claim ended and nobody has looked since.
    Lost,
    Dead,
}

#[derive(Clone, Debug)]
struct Held {
    priority: u32,
    attempts: u32,
    place: Place,
}

#[derive(Default)]
struct Model {
    items: BTreeMap<u64, Held>,
    seq: u64,
    dedup: BTreeMap<u8, u64>,
    condition: usize,
    gate: bool,
    batch: u64,
}

impl Model {
    fn tidy(&mut self, now: u64) {
        for item in self.items.values_mut() {
            item.place = match item.place {
                Place::Lost if item.attempts >= MAX_ATTEMPTS => Place::Dead,
                Place::Lost => Place::Ready,
                Place::Delayed(due) if due <= now => Place::Ready,
                other => other,
            };
        }
    }

    fn ready(&self) -> Vec<u64> {
        let is_ready = |item: &&u64| self.items[*item].place == Place::Ready;
        let mut ready: Vec<u64> = self.items.keys().filter(is_ready).copied().collect();
        ready.sort_by_key(|id| (std::cmp::Reverse(self.items[id].priority), *id));
        ready
    }

    /// How many may leave of a tidied queue; `None` for all.
    fn allowed(&self) -> Option<u64> {
        let size = match self.condition {
            0 => return None,
            1 => 3,
            2 if self.gate => return None,
            2 => return Some(0),
            _ if self.gate => return None,
            _ => 4,
        };
        let ready = self.ready();
        let fresh = ready.iter().filter(|id| self.items[id].attempts == 0).count() as u64;
        Some(match ready.first() {
            _ if self.batch > 0 => self.batch,
            Some(first) if self.items[first].attempts > 0 => 1,
            _ if ready.len() >= size => fresh,
            _ => 0,
        })
    }

    /// The ids that a dequeue takes.
    fn take(&mut self, consumer: usize, max: u32, now: u64) -> Vec<u64> {
        let before = self.items.clone();
        self.tidy(now);
        let allowed = self.allowed();
        let count = allowed.unwrap_or(u64::MAX).min(max.into()) as usize;
        let taken: Vec<u64> = self.ready().into_iter().take(count).collect();
        if taken.is_empty() {
            // Whether it was tidied for nothing cannot be seen.
            self.items = before;
            return taken;
        }
        let fresh = taken.iter().filter(|id| self.items[id].attempts == 0).count() as u64;
        if let Some(allowed) = allowed.filter(|_| fresh > 0) {
            self.batch = allowed.saturating_sub(fresh);
        }
        for id in &taken {
            let item = self.items.get_mut(id).expect("it is ready");
            item.attempts += 1;
            item.place = Place::Taken { consumer };
        }
        taken
    }

    fn back(&mut self, id: u64, delay: u64, now: u64) {
        let item = self.items.get_mut(&id).expect("it is taken");
        item.place = match delay {
            _ if item.attempts >= MAX_ATTEMPTS => Place::Dead,
            0 => Place::Ready,
            delay => Place::Delayed(now + delay),
        };
    }
}

struct Waiting {
    number: u64,
    consumer: usize,
    max: u32,
}

struct World {
    stepper: Stepper,
    model: Model,
    leases: [i64; CONSUMERS],
    next_lease: i64,
    waiting: Vec<Waiting>,
    claims: Vec<QueueClaim>,
}

fn ask(ask: Ask) -> Request {
    Request::Queue(QueueAsk { ask: Some(ask), ..Default::default() })
}

fn said(answer: Answer) -> Result<Said, Refusal> {
    match answer? {
        Reply::Queue(said) => Ok(said.said.expect("it says something")),
        other => panic!("{other:?}"),
    }
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            stepper: Stepper::new(),
            model: Model::default(),
            leases: [0; CONSUMERS],
            next_lease: 1,
            waiting: Vec::new(),
            claims: Vec::new(),
        };
        (0..CONSUMERS).for_each(|consumer| world.lease(consumer));
        world.configure(Some(format!("max-attempts {MAX_ATTEMPTS}")), None);
        world
    }

    fn lease(&mut self, consumer: usize) {
        self.stepper.grant(self.next_lease);
        self.leases[consumer] = self.next_lease;
        self.next_lease += 1;
    }

    fn configure(&mut self, config: Option<String>, condition: Option<String>) {
        let request = QueueConfigureRequest { queue: "q".into(), config, condition };
        said(self.stepper.tell(ask(Ask::Configure(request)))).unwrap();
    }

    fn step(&mut self, op: &Op) {
        let now = self.stepper.now_ms;
        match op {
            Op::Enqueue { priorities, delay, dedup } => self.enqueue(priorities, *delay, *dedup),
            Op::Dequeue { consumer, max, wait } => self.dequeue(*consumer, *max, *wait),
            Op::Ack(at) => self.ack(*at),
            Op::Nack { at, delay } => self.nack(*at, *delay, now),
            Op::Crash(consumer) => self.crash(*consumer),
            Op::Pass(ms) => self.stepper.advance(*ms),
            Op::Remove(id) => {
                let request = QueueRemoveRequest { queue: "q".into(), id: *id };
                let removed = said(self.stepper.tell(ask(Ask::Remove(request)))).unwrap();
                let was = self.model.items.remove(id);
                assert_eq!(removed, Said::Count(u64::from(was.is_some())));
            }
            Op::Gate(open) => {
                self.model.gate = *open;
                match open {
                    true => drop(self.stepper.put("gate", "")),
                    false => self.stepper.delete("gate"),
                }
            }
            Op::Condition(condition) => {
                self.model.condition = *condition;
                // Who may still leave is a matter of the condition that let them.
                self.model.batch = 0;
                self.configure(None, Some(CONDITIONS[*condition].to_owned()));
            }
            Op::Purge => {
                // What is dead is known when the queue is tidied.
                self.stepper.tell(ask(Ask::Tidy("q".into()))).unwrap();
                let shelves = vec![QueueShelf::Dead.into()];
                let request = QueuePurgeRequest { queue: "q".into(), shelves };
                let removed = said(self.stepper.tell(ask(Ask::Purge(request)))).unwrap();
                let before = self.model.items.len();
                self.model.items.retain(|_, item| item.place != Place::Dead);
                assert_eq!(removed, Said::Count((before - self.model.items.len()) as u64));
            }
        }
        self.serve();
        self.compare();
    }

    fn enqueue(&mut self, priorities: &[u32], delay: u64, dedup: Option<u8>) {
        let item = |priority: &u32| QueueNewItem {
            priority: *priority,
            delay_ms: delay as i64,
            dedup_id: dedup.map(|id| id.to_string()).unwrap_or_default(),
            ..QueueNewItem::default()
        };
        let items = priorities.iter().map(item).collect();
        let request = QueueEnqueueRequest { queue: "q".into(), items, wait: false };
        let Said::Enqueued(enqueued) = said(self.stepper.tell(ask(Ask::Enqueue(request)))).unwrap()
        else {
            panic!("another answer");
        };
        let mut expected = Vec::new();
        for priority in priorities {
            let model = &mut self.model;
            if let Some(earlier) = dedup.and_then(|id| model.dedup.get(&id)) {
                expected.push(*earlier);
                continue;
            }
            model.seq += 1;
            dedup.map(|id| model.dedup.insert(id, model.seq));
            let place = match delay {
                0 => Place::Ready,
                delay => Place::Delayed(self.stepper.now_ms + delay),
            };
            model.items.insert(model.seq, Held { priority: *priority, attempts: 0, place });
            expected.push(model.seq);
        }
        assert_eq!(enqueued.ids, expected);
    }

    fn dequeue(&mut self, consumer: usize, max: u32, wait: bool) {
        let number = self.stepper.ask(ask(Ask::Dequeue(QueueDequeueRequest {
            queue: "q".into(),
            max,
            lease: self.leases[consumer],
            wait,
            ..QueueDequeueRequest::default()
        })));
        if wait {
            return self.waiting.push(Waiting { number, consumer, max });
        }
        let expected = self.model.take(consumer, max, self.stepper.now_ms);
        if expected.is_empty() {
            // It tidies all the same.
            self.model.tidy(self.stepper.now_ms);
        }
        let answer = self.stepper.answer(number).expect("it does not wait");
        self.got(answer, &expected);
    }

    fn got(&mut self, answer: Answer, expected: &[u64]) {
        let Said::Dequeued(dequeued) = said(answer).unwrap() else { panic!("another answer") };
        let claims: Vec<_> = dequeued.deliveries.iter().map(|it| it.claim.unwrap()).collect();
        let ids: Vec<u64> = claims.iter().map(|claim| claim.id).collect();
        assert_eq!(ids, expected);
        for delivery in &dequeued.deliveries {
            let item = delivery.item.as_ref().unwrap();
            assert_eq!(item.attempts, self.model.items[&item.id].attempts);
        }
        self.claims.extend(claims);
    }

    /// Those who wait are served in the order in which they came.
    fn serve(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        for one in waiting {
            let taken = self.model.take(one.consumer, one.max, self.stepper.now_ms);
            if taken.is_empty() {
                assert!(self.stepper.waits(one.number), "it is served and should not");
                self.waiting.push(one);
                continue;
            }
            let answer = self.stepper.answer(one.number);
            self.got(answer.unwrap_or_else(|| panic!("it waits for {taken:?}")), &taken);
        }
    }

    /// A claim, whether it still counts or not.
    fn claim(&self, at: usize) -> Option<(QueueClaim, bool)> {
        let claim = *self.claims.get(at % self.claims.len().max(1))?;
        let newest = self.claims.iter().filter(|it| it.id == claim.id).map(|it| it.token).max();
        let item = self.model.items.get(&claim.id);
        let is_taken = item.is_some_and(|item| matches!(item.place, Place::Taken { .. }));
        Some((claim, is_taken && newest == Some(claim.token)))
    }

    fn ack(&mut self, at: usize) {
        let Some((claim, counts)) = self.claim(at) else { return };
        let request = QueueAckRequest { queue: "q".into(), claims: vec![claim], txn: None };
        match said(self.stepper.tell(ask(Ask::Ack(request)))) {
            Ok(_) => {
                assert!(counts, "a claim that was over was acknowledged");
                self.model.items.remove(&claim.id);
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Queue(QueueRefusal::ClaimLost { id: claim.id }));
                assert!(!counts, "a claim was lost");
            }
        }
    }

    fn nack(&mut self, at: usize, delay: u64, now: u64) {
        let Some((claim, counts)) = self.claim(at) else { return };
        let nack = QueueNackRequest {
            queue: "q".into(),
            claims: vec![claim],
            delay_ms: delay as i64,
            ..QueueNackRequest::default()
        };
        let nacked = said(self.stepper.tell(ask(Ask::Nack(nack))));
        assert_eq!(nacked.is_ok(), counts);
        if counts {
            self.model.back(claim.id, delay, now);
        }
    }

    fn crash(&mut self, consumer: usize) {
        let (gone, stay) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition::<Vec<_>, _>(|waiting| waiting.consumer == consumer);
        self.waiting = stay;
        gone.iter().for_each(|waiting| self.stepper.abandon(waiting.number));
        for item in self.model.items.values_mut() {
            if item.place == (Place::Taken { consumer }) {
                item.place = Place::Lost;
            }
        }
        self.stepper.expire(self.leases[consumer]);
        self.lease(consumer);
    }

    fn compare(&mut self) {
        // Where the server has brought items back or not, only the sums are told.
        self.model.tidy(self.stepper.now_ms);
        let stats = stats(&self.stepper.head, b"q").unwrap();
        let count = |is: &dyn Fn(Place) -> bool| {
            self.model.items.values().filter(|item| is(item.place)).count() as u64
        };
        let taken = count(&|place| matches!(place, Place::Taken { .. }));
        assert_eq!(stats.taken, taken);
        let rest = stats.ready + stats.delayed + stats.returning + stats.dead;
        assert_eq!(rest, self.model.items.len() as u64 - taken);
        assert_eq!(stats.enqueued, self.model.seq);
        let held: BTreeSet<u64> = self.model.items.keys().copied().collect();
        assert_eq!(held.len(), self.model.items.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn queues_hold_what_a_list_says(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.step(op));
    }
}
