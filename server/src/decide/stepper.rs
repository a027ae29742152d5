//! The sequencer's part for tests: decides on one head, parks what must wait on what it read, and
//! wakes it when that is touched. After each step it checks that nobody sleeps who need not.

use std::collections::BTreeMap;

use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{QueueAsk, queue_ask};

use super::{Cx, Draft, Refusal, Reply, Request, decide};
use crate::effect::Effect;
use crate::machine::{Change, State};
use crate::types::LeaseId;
use crate::view::ReadSet;

pub type Answer = Result<Reply, Refusal>;

struct Parked {
    request: Request,
    reads: ReadSet,
    until_ms: Option<u64>,
}

#[derive(Default)]
pub struct Stepper {
    pub head: State,
    pub now_ms: u64,
    parked: BTreeMap<u64, Parked>,
    answers: BTreeMap<u64, Answer>,
    next: u64,
    /// Decisions of parked requests, to tell a herd.
    pub woken: usize,
}

impl Stepper {
    pub fn new() -> Self {
        Self { now_ms: 1_000_000, ..Self::default() }
    }

    fn cx(&self) -> Cx<'static> {
        Cx {
            max_txn_ops: 128,
            quota_bytes: None,
            db_size_bytes: 0,
            disk_is_short: false,
            lease_ttl_min: 2,
            now_ms: self.now_ms,
            past: None,
        }
    }

    /// Asks, and returns a number under which the answer is found, at once or later.
    pub fn ask(&mut self, request: Request) -> u64 {
        self.next += 1;
        let number = self.next;
        let touched = self.decide(number, request);
        self.wake(touched);
        self.check();
        number
    }

    /// Asks what does not wait.
    pub fn tell(&mut self, request: Request) -> Answer {
        let number = self.ask(request);
        self.answer(number).expect("this does not wait")
    }

    pub fn answer(&mut self, number: u64) -> Option<Answer> {
        self.answers.remove(&number)
    }

    /// The caller goes away.
    pub fn abandon(&mut self, number: u64) {
        self.parked.remove(&number);
        self.answers.remove(&number);
    }

    pub fn waits(&self, number: u64) -> bool {
        self.parked.contains_key(&number)
    }

    pub fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        let now = self.now_ms;
        let is_due = |parked: &Parked| parked.until_ms.is_some_and(|until| until <= now);
        let due = self.parked.iter().filter(|(_, parked)| is_due(parked));
        let due: Vec<u64> = due.map(|(number, _)| *number).collect();
        for number in due {
            // One of those before may have woken it.
            if !self.parked.contains_key(&number) {
                continue;
            }
            let touched = self.again(number);
            self.wake(touched);
        }
        self.check();
    }

    pub fn grant(&mut self, id: i64) {
        let request = Request::LeaseGrant(pb::LeaseGrantRequest { id, ttl: 60 });
        self.tell(request).expect("a new lease");
    }

    pub fn expire(&mut self, id: i64) {
        self.tell(Request::LeaseExpire(vec![LeaseId(id)])).expect("expiry is not refused");
    }

    pub fn put(&mut self, key: &str, value: &str) -> Answer {
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        self.tell(Request::Put(pb::PutRequest { key, value, ..Default::default() }))
    }

    pub fn delete(&mut self, key: &str) {
        let key = key.to_owned().into();
        let delete = pb::DeleteRangeRequest { key, ..Default::default() };
        self.tell(Request::DeleteRange(delete)).expect("a delete is not refused");
    }

    fn decide(&mut self, number: u64, request: Request) -> (Vec<Change>, Vec<Effect>) {
        let mut all = (Vec::new(), Vec::new());
        loop {
            let mut draft = Draft::recording(&self.head);
            let (before, cx) = (self.head.revision, self.cx());
            let answer = decide(&mut self.head, &request, &[], &cx, &mut draft);
            if answer.is_err() {
                assert!(draft.effects.is_empty(), "{request:?} is refused and left effects");
                assert_eq!(self.head.revision, before, "{request:?}");
            }
            all.0.append(&mut draft.changes);
            all.1.append(&mut draft.effects);
            match answer {
                Err(Refusal::Untidy { queue }) => {
                    let ask =
                        QueueAsk { ask: Some(queue_ask::Ask::Tidy(queue)), ..Default::default() };
                    let mut draft = Draft::default();
                    let tidy = Request::Queue(ask);
                    decide(&mut self.head, &tidy, &[], &cx, &mut draft).expect("tidied");
                    assert!(!draft.effects.is_empty(), "an untidy queue has something to tidy");
                    all.0.append(&mut draft.changes);
                    all.1.append(&mut draft.effects);
                }
                Err(Refusal::Wait { until_ms }) => {
                    let reads = draft.reads.expect("it records");
                    self.parked.insert(number, Parked { request, reads, until_ms });
                    return all;
                }
                answer => {
                    self.answers.insert(number, answer);
                    return all;
                }
            }
        }
    }

    fn again(&mut self, number: u64) -> (Vec<Change>, Vec<Effect>) {
        self.woken += 1;
        let parked = self.parked.remove(&number).expect("it is parked");
        self.decide(number, parked.request)
    }

    fn wake(&mut self, touched: (Vec<Change>, Vec<Effect>)) {
        let (mut changes, mut effects) = touched;
        while !changes.is_empty() || !effects.is_empty() {
            let is_touched = |parked: &Parked| {
                let by_change = |change: &Change| {
                    parked.reads.covers().any(|range| range.contains(change.key()))
                };
                let by_effect = |effect: &Effect| match effect {
                    Effect::LeaseRevoke { id } | Effect::LeaseGrant { id, .. } => {
                        parked.reads.leases().any(|lease| lease == *id)
                    }
                    _ => false,
                };
                changes.iter().any(by_change) || effects.iter().any(by_effect)
            };
            let woken = self.parked.iter().filter(|(_, parked)| is_touched(parked));
            let woken: Vec<u64> = woken.map(|(number, _)| *number).collect();
            (changes, effects) = (Vec::new(), Vec::new());
            for number in woken {
                let (mut more, mut further) = self.again(number);
                changes.append(&mut more);
                effects.append(&mut further);
            }
        }
    }

    /// Nobody waits who would not if it were asked again.
    fn check(&self) {
        for parked in self.parked.values() {
            let (mut head, mut draft) = (self.head.clone(), Draft::recording(&self.head));
            let again = decide(&mut head, &parked.request, &[], &self.cx(), &mut draft);
            let waits = matches!(again, Err(Refusal::Wait { .. }));
            assert!(waits, "a lost wake-up: {:?} would be {again:?}", parked.request);
        }
    }
}
