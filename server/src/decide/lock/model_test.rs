//! Random schedules of callers and crashes, against a line that is a list.

use std::collections::BTreeMap;

use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAsk, LockAwait, LockLeave, LockMode, LockPlace, LockReleaseRequest,
    lock_ask::Ask,
};
use proptest::prelude::*;

use super::describe;
use crate::decide::stepper::Stepper;
use crate::decide::{Refusal, Reply, Request};

const NAMES: [&str; 3] = ["a", "b", "c"];
const CALLERS: usize = 6;

#[derive(Clone, Debug)]
enum Op {
    Acquire {
        caller: usize,
        names: Vec<usize>,
        mode: i32,
        weight: u32,
        try_only: bool,
        delay: u64,
    },
    Release {
        caller: usize,
    },
    /// To share what it has alone, or the other way round.
    Change {
        caller: usize,
    },
    Crash {
        caller: usize,
    },
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let names = prop::sample::subsequence(vec![0, 1, 2], 1..=3).prop_shuffle();
    let delay = prop_oneof![3 => Just(0u64), 1 => 1u64..50];
    prop_oneof![
        6 => (0..CALLERS, names, 0..3, 1u32..4, prop::bool::weighted(0.2), delay).prop_map(
            |(caller, names, mode, weight, try_only, delay)| Op::Acquire {
                caller, names, mode, weight, try_only, delay
            }
        ),
        5 => (0..CALLERS).prop_map(|caller| Op::Release { caller }),
        2 => (0..CALLERS).prop_map(|caller| Op::Change { caller }),
        2 => (0..CALLERS).prop_map(|caller| Op::Crash { caller }),
        1 => (1u64..60).prop_map(Op::Pass),
    ]
}

/// A caller's wish, in the order in which they came.
#[derive(Clone, Debug)]
struct Wish {
    caller: usize,
    names: Vec<usize>,
    mode: i32,
    weight: u32,
    delay: u64,
    granted: bool,
    /// It shared what it now has alone: others may have come after it and gone.
    changed: bool,
    /// Set while the call waits.
    waits: Option<u64>,
    places: Vec<LockPlace>,
}

const PERMITS: u32 = 4;

#[derive(Default)]
struct Model {
    wishes: Vec<Wish>,
    delayed: BTreeMap<usize, u64>,
}

impl Model {
    fn may(&self, at: usize, now: u64) -> bool {
        let wish = &self.wishes[at];
        wish.names.iter().all(|name| {
            let older: Vec<_> =
                self.wishes[..at].iter().filter(|older| older.names.contains(name)).collect();
            let alike = older.iter().all(|older| older.granted && older.mode == wish.mode);
            let weight: u32 = older.iter().map(|older| older.weight).sum();
            let fits = match wish.mode {
                0 => older.is_empty(),
                1 => alike,
                _ => alike && weight + wish.weight <= PERMITS,
            };
            fits && self.delayed.get(name).is_none_or(|until| *until <= now)
        })
    }

    /// Grants what may be, until nothing more may.
    fn settle(&mut self, now: u64) {
        while let Some(at) =
            (0..self.wishes.len()).find(|at| !self.wishes[*at].granted && self.may(*at, now))
        {
            self.wishes[at].granted = true;
            for name in self.wishes[at].names.clone() {
                self.delayed.remove(&name);
            }
        }
    }
}

struct World {
    stepper: Stepper,
    model: Model,
    leases: [i64; CALLERS],
    next_lease: i64,
    last_tokens: BTreeMap<usize, i64>,
}

fn ask(ask: Ask) -> Request {
    Request::Lock(LockAsk { ask: Some(ask), ..Default::default() })
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            stepper: Stepper::new(),
            model: Model::default(),
            leases: [0; CALLERS],
            next_lease: 1,
            last_tokens: BTreeMap::new(),
        };
        (0..CALLERS).for_each(|caller| world.lease(caller));
        world
    }

    fn lease(&mut self, caller: usize) {
        self.stepper.grant(self.next_lease);
        self.leases[caller] = self.next_lease;
        self.next_lease += 1;
    }

    fn step(&mut self, op: &Op) {
        match op {
            Op::Acquire { caller, names, mode, weight, try_only, delay } => {
                if self.model.wishes.iter().all(|wish| wish.caller != *caller) {
                    let wish = Wish {
                        caller: *caller,
                        names: names.clone(),
                        mode: *mode,
                        weight: *weight,
                        delay: *delay,
                        granted: false,
                        changed: false,
                        waits: None,
                        places: Vec::new(),
                    };
                    self.acquire(wish, *try_only);
                }
            }
            Op::Release { caller } => self.release(*caller),
            Op::Change { caller } => self.change(*caller),
            Op::Crash { caller } => self.crash(*caller),
            Op::Pass(ms) => {
                self.stepper.advance(*ms);
            }
        }
        self.model.settle(self.stepper.now_ms);
        self.compare();
    }

    fn acquire(&mut self, wish: Wish, try_only: bool) {
        let request = LockAcquireRequest {
            names: wish.names.iter().map(|name| NAMES[*name].into()).collect(),
            lease: self.leases[wish.caller],
            mode: wish.mode,
            permits: PERMITS,
            weight: wish.weight,
            try_only,
            lock_delay_ms: wish.delay as i64,
            ..LockAcquireRequest::default()
        };
        let answer = self.stepper.tell(ask(Ask::Enlist(request)));
        self.model.wishes.push(wish);
        let at = self.model.wishes.len() - 1;
        let may = self.model.may(at, self.stepper.now_ms);
        match answer {
            Err(Refusal::Lock(_)) if try_only => {
                assert!(!may, "a free lock was refused");
                self.model.wishes.pop();
            }
            Ok(Reply::Lock(said)) => {
                assert_eq!(said.granted, may);
                let wish = &mut self.model.wishes[at];
                wish.places.clone_from(&said.places);
                if !said.granted {
                    let wait = LockAwait { places: said.places };
                    wish.waits = Some(self.stepper.ask(ask(Ask::AwaitTurn(wait))));
                }
            }
            other => panic!("{other:?}"),
        }
    }

    /// A holder releases, a waiter gives up.
    fn release(&mut self, caller: usize) {
        let Some(at) = self.model.wishes.iter().position(|wish| wish.caller == caller) else {
            return;
        };
        let wish = self.model.wishes.remove(at);
        if let Some(number) = wish.waits {
            self.stepper.abandon(number);
            let leave = LockLeave { places: wish.places };
            self.stepper.tell(ask(Ask::Leave(leave))).unwrap();
        } else {
            let names = wish.names.iter().map(|name| NAMES[*name].into()).collect();
            let release = LockReleaseRequest { names, lease: self.leases[caller], entirely: false };
            self.stepper.tell(ask(Ask::Release(release))).unwrap();
        }
    }

    fn change(&mut self, caller: usize) {
        let is_it = |wish: &Wish| {
            wish.caller == caller && wish.granted && wish.names.len() == 1 && wish.mode < 2
        };
        let Some(at) = self.model.wishes.iter().position(is_it) else { return };
        let (name, mode) = (self.model.wishes[at].names[0], 1 - self.model.wishes[at].mode);
        let others = self.model.wishes.iter().filter(|wish| wish.caller != caller);
        let is_shared = others.into_iter().any(|wish| wish.granted && wish.names.contains(&name));
        let is_delayed =
            self.model.delayed.get(&name).is_some_and(|until| *until > self.stepper.now_ms);
        let request = LockAcquireRequest {
            names: vec![NAMES[name].into()],
            lease: self.leases[caller],
            mode,
            ..LockAcquireRequest::default()
        };
        match self.stepper.tell(ask(Ask::Enlist(request))) {
            Ok(Reply::Lock(said)) => {
                assert!(said.granted && (mode == 1 || !is_shared && !is_delayed), "{said:?}");
                let wish = &mut self.model.wishes[at];
                (wish.mode, wish.changed) = (mode, true);
            }
            refused => assert!(mode == 0 && (is_shared || is_delayed), "{refused:?}"),
        }
    }

    fn crash(&mut self, caller: usize) {
        let found = self.model.wishes.iter().position(|wish| wish.caller == caller);
        if let Some(wish) = found.map(|at| self.model.wishes.remove(at)) {
            wish.waits.iter().for_each(|number| self.stepper.abandon(*number));
            if wish.granted && wish.delay > 0 {
                let until = self.stepper.now_ms + wish.delay;
                for name in &wish.names {
                    let delay = self.model.delayed.entry(*name).or_default();
                    *delay = until.max(*delay);
                }
            }
        }
        self.stepper.expire(self.leases[caller]);
        self.lease(caller);
    }

    fn compare(&mut self) {
        for at in 0..self.model.wishes.len() {
            let wish = self.model.wishes[at].clone();
            let Some(number) = wish.waits else { continue };
            assert_eq!(self.stepper.waits(number), !wish.granted, "{wish:?}");
            if wish.granted {
                let answer = self.stepper.answer(number).expect("granted").unwrap();
                assert!(matches!(answer, Reply::Lock(said) if said.granted));
                self.model.wishes[at].waits = None;
            }
        }
        for (n, name) in NAMES.iter().enumerate() {
            let line = describe(&self.stepper.head, name.as_bytes()).line;
            let seen: Vec<_> = line.iter().map(|it| (it.lease, it.holds_it)).collect();
            let of_name = self.model.wishes.iter().filter(|wish| wish.names.contains(&n));
            let expected: Vec<_> =
                of_name.map(|wish| (self.leases[wish.caller], wish.granted)).collect();
            assert_eq!(seen, expected, "the line of {name}");
            let holders = line.iter().filter(|it| it.holds_it);
            if let Some(newest) = holders.map(|it| it.token).max() {
                let last = self.last_tokens.entry(n).or_default();
                let exclusive = line[0].mode() == LockMode::Exclusive;
                let first = self.model.wishes.iter().find(|wish| wish.names.contains(&n));
                let changed = first.is_some_and(|wish| wish.changed);
                assert!(newest >= *last || !exclusive || changed, "the token of {name} went back");
                *last = newest.max(*last);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn locks_are_held_as_a_list_says(ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        ops.iter().for_each(|op| world.step(op));
    }
}
