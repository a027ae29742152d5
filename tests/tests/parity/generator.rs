//! Requests drawn at random, the same for the same seed. They meet few keys and leases, so that
//! they meet each other's traces.

use bytes::Bytes;
use pb::compare::TargetUnion;
use pb::request_op::Request as Op;
use portunus_proto::etcdserverpb as pb;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::call::{Call, Case, FROM_KEY, grant, op};

const KEYS: [&[u8]; 8] = [b"a", b"a/1", b"a/2", b"b", b"\0", b"\xff", b"\xff\xff", b"k\0"];
const LEASES: [i64; 3] = [11, 12, 13];
/// Nested transactions of a transaction.
const DEPTH: usize = 2;

pub fn script(seed: u64, length: usize) -> Vec<Case> {
    let mut draw = Draw { rng: StdRng::seed_from_u64(seed), revision: 1 };
    (0..length).map(|_| draw.call().into()).collect()
}

struct Draw {
    rng: StdRng,
    /// About where the store is: every write that may succeed counts.
    revision: i64,
}

impl Draw {
    fn call(&mut self) -> Call {
        match self.rng.random_range(0..100) {
            0..30 => {
                self.revision += 1;
                Call::Put(self.put())
            }
            30..55 => Call::Range(self.range()),
            55..65 => {
                self.revision += 1;
                Call::Delete(self.delete())
            }
            65..84 => {
                self.revision += 1;
                Call::Txn(self.txn(DEPTH))
            }
            84..88 => grant(self.lease(), self.rng.random_range(60..1000)),
            88..90 => Call::Revoke(self.lease()),
            90..92 => {
                let (id, keys) = (self.lease(), true);
                Call::TimeToLive(pb::LeaseTimeToLiveRequest { id, keys })
            }
            92..93 => Call::Leases,
            93..95 => Call::KeepAlive(vec![self.lease(), self.lease()]),
            95..97 => {
                let physical = self.rng.random();
                Call::Compact(pb::CompactionRequest { revision: self.near() - 5, physical })
            }
            _ => {
                let count = self.rng.random_range(1..4);
                Call::Watch((0..count).map(|_| self.watch()).collect())
            }
        }
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.rng.random_range(0..of.len())].clone()
    }

    fn rarely(&mut self) -> bool {
        self.rng.random_ratio(1, 8)
    }

    fn key(&mut self) -> Bytes {
        if self.rng.random_ratio(1, 60) { Bytes::new() } else { Bytes::from(self.one(&KEYS)) }
    }

    fn end(&mut self) -> Bytes {
        match self.rng.random_range(0..4) {
            0 | 1 => Bytes::new(),
            2 => FROM_KEY,
            _ => self.key(),
        }
    }

    fn lease(&mut self) -> i64 {
        self.one(&LEASES)
    }

    /// A revision that may be there, be compacted or lie ahead.
    fn near(&mut self) -> i64 {
        self.rng.random_range(0..=self.revision + 1)
    }

    fn put(&mut self) -> pb::PutRequest {
        let value = Bytes::from(self.rng.random_range(0..100).to_string());
        let (ignore_value, ignore_lease) = (self.rarely(), self.rarely());
        let lease = if self.rarely() { self.lease() } else { 0 };
        let clean = !self.rarely();
        pb::PutRequest {
            key: self.key(),
            value: if ignore_value && clean { Bytes::new() } else { value },
            lease: if ignore_lease && clean { 0 } else { lease },
            prev_kv: self.rng.random(),
            ignore_value,
            ignore_lease,
        }
    }

    fn range(&mut self) -> pb::RangeRequest {
        let filter = |draw: &mut Self| if draw.rarely() { draw.near() } else { 0 };
        pb::RangeRequest {
            key: self.key(),
            range_end: self.end(),
            limit: if self.rng.random() { self.rng.random_range(0..5) } else { 0 },
            revision: if self.rng.random_ratio(1, 3) { self.near() } else { 0 },
            sort_order: self.rng.random_range(0..3),
            sort_target: self.rng.random_range(0..5),
            serializable: self.rng.random(),
            keys_only: self.rarely(),
            count_only: self.rarely(),
            min_mod_revision: filter(self),
            max_mod_revision: filter(self),
            min_create_revision: filter(self),
            max_create_revision: filter(self),
        }
    }

    fn delete(&mut self) -> pb::DeleteRangeRequest {
        pb::DeleteRangeRequest {
            key: self.key(),
            range_end: self.end(),
            prev_kv: self.rng.random(),
        }
    }

    fn compare(&mut self) -> pb::Compare {
        let number = self.near();
        let (target, union) = match self.rng.random_range(0..5) {
            0 => (0, TargetUnion::Version(number % 4)),
            1 => (1, TargetUnion::CreateRevision(number)),
            2 => (2, TargetUnion::ModRevision(number)),
            3 => (3, TargetUnion::Value(self.rng.random_range(0..100).to_string().into())),
            _ => (4, TargetUnion::Lease(self.lease())),
        };
        pb::Compare {
            result: self.rng.random_range(0..4),
            target,
            target_union: Some(union),
            key: self.key(),
            range_end: self.end(),
        }
    }

    fn txn(&mut self, depth: usize) -> pb::TxnRequest {
        let compares = self.rng.random_range(0..3);
        pb::TxnRequest {
            compare: (0..compares).map(|_| self.compare()).collect(),
            success: self.ops(depth),
            failure: self.ops(depth),
        }
    }

    fn ops(&mut self, depth: usize) -> Vec<pb::RequestOp> {
        let count = self.rng.random_range(0..4);
        let one = |draw: &mut Self| match draw.rng.random_range(0..10) {
            0..4 => Op::RequestRange(draw.range()),
            4..7 => Op::RequestPut(draw.put()),
            7..9 => Op::RequestDeleteRange(draw.delete()),
            _ if depth > 0 => Op::RequestTxn(draw.txn(depth - 1)),
            _ => Op::RequestRange(draw.range()),
        };
        (0..count).map(|_| op(one(self))).collect()
    }

    fn watch(&mut self) -> pb::WatchCreateRequest {
        let filters = if self.rarely() { vec![self.rng.random_range(0..2)] } else { Vec::new() };
        pb::WatchCreateRequest {
            key: self.key(),
            range_end: self.end(),
            start_revision: if self.rng.random() { self.near() } else { 0 },
            filters,
            prev_kv: self.rng.random(),
            fragment: self.rng.random(),
            ..Default::default()
        }
    }
}
