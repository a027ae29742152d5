//! Leases and the keys that hang on them.

use portunus_proto::etcdserverpb as pb;

use super::script::cases;
use crate::call::{Call, Case, FROM_KEY, all, delete, grant, put};

pub fn leases() -> Vec<Case> {
    let ttl = |id, keys| Call::TimeToLive(pb::LeaseTimeToLiveRequest { id, keys });
    let leased = |key, lease| Call::Put(pb::PutRequest { lease, prev_kv: true, ..put(key, "v") });
    cases([
        grant(1, 600),
        grant(1, 600),
        grant(2, 9_000_000_001),
        grant(2, 9_000_000_000),
        grant(3, 0),
        grant(4, -5),
        grant(-6, 600),
        grant(0, 600),
        Call::Revoke(3),
        Call::Revoke(4),
        leased("l/b", 1),
        leased("l/a", 1),
        leased("l/b", 2),
        leased("l/c", -6),
        Call::Put(pb::PutRequest { ignore_lease: true, ..put("l/a", "w") }),
        Call::Put(pb::PutRequest { ignore_value: true, lease: 2, ..put("l/a", "") }),
        leased("l/z", 1),
        leased("l/y", 1),
        leased("l/y", 0),
        Call::Range(all()),
        ttl(1, true),
        ttl(1, false),
        ttl(2, true),
        ttl(-6, true),
        ttl(0, true),
        ttl(99, true),
        Call::KeepAlive(vec![1, 99, -6, 0, 1]),
        Call::Revoke(99),
        Call::Revoke(0),
        Call::Revoke(2),
        Call::Range(all()),
        Call::Revoke(-6),
        Call::Delete(pb::DeleteRangeRequest { range_end: FROM_KEY, ..delete("l/") }),
        ttl(1, true),
        Call::Revoke(1),
    ])
}
