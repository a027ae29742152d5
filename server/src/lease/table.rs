//! The table of leases and of the keys attached to them, as persistent values.

use bytes::Bytes;
use triomphe::ThinArc;

use crate::mvcc::{Keyed, Tree};
use crate::types::{KeyRange, LeaseId};

const ID_BYTES: usize = 8;

/// A granted lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub id: LeaseId,
    /// Seconds it was granted.
    pub ttl: i64,
    /// Seconds left at the last checkpoint; 0 stands for the full time.
    pub remaining: i64,
}

impl Lease {
    /// Seconds that a new leader gives it.
    pub fn left(&self) -> i64 {
        if self.remaining > 0 { self.remaining } else { self.ttl }
    }
}

/// All leases. A clone is a few counters.
#[derive(Clone, Default)]
pub struct Leases {
    granted: Tree<Granted>,
    attached: Tree<Attached>,
}

#[derive(Clone)]
struct Granted {
    key: [u8; ID_BYTES],
    lease: Lease,
}

/// A lease's id, then a key that hangs on it: the keys of one lease lie side by side, in order.
#[derive(Clone)]
struct Attached(ThinArc<(), u8>);

impl Keyed for Granted {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

impl Keyed for Attached {
    fn key(&self) -> &[u8] {
        &self.0.slice
    }
}

fn id_bytes(id: LeaseId) -> [u8; ID_BYTES] {
    id.0.to_be_bytes()
}

fn joined(id: LeaseId, key: &[u8]) -> Vec<u8> {
    [&id_bytes(id)[..], key].concat()
}

impl Leases {
    pub fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.granted.get(&id_bytes(id)).map(|granted| &granted.lease)
    }

    pub fn len(&self) -> usize {
        self.granted.len()
    }

    pub fn is_empty(&self) -> bool {
        self.granted.is_empty()
    }

    /// All leases, in the order of their ids' bytes.
    pub fn iter(&self) -> impl Iterator<Item = &Lease> {
        self.granted.iter().map(|granted| &granted.lease)
    }

    /// Adds a lease, or replaces the one of that id.
    pub fn put(&mut self, lease: Lease) {
        self.granted.insert(Granted { key: id_bytes(lease.id), lease });
    }

    /// Takes the lease out; its keys must be detached by then.
    pub fn remove(&mut self, id: LeaseId) -> Option<Lease> {
        self.granted.remove(&id_bytes(id)).map(|granted| granted.lease)
    }

    pub fn attach(&mut self, id: LeaseId, key: &[u8]) {
        self.attached.insert(Attached(ThinArc::from_header_and_slice((), &joined(id, key))));
    }

    pub fn detach(&mut self, id: LeaseId, key: &[u8]) {
        self.attached.remove(&joined(id, key));
    }

    /// The keys attached to a lease, in order.
    pub fn keys(&self, id: LeaseId) -> impl Iterator<Item = &[u8]> {
        let range = KeyRange::prefix(Bytes::copy_from_slice(&id_bytes(id)));
        self.attached.range(&range).map(|attached| &attached.0.slice[ID_BYTES..])
    }

    /// How many keys are attached to a lease.
    pub fn attached_count(&self, id: LeaseId) -> usize {
        self.attached.count(&KeyRange::prefix(Bytes::copy_from_slice(&id_bytes(id))))
    }
}

#[cfg(test)]
mod tests {
    use super::{Lease, Leases};
    use crate::types::LeaseId;

    fn lease(id: i64) -> Lease {
        Lease { id: LeaseId(id), ttl: 10, remaining: 0 }
    }

    #[test]
    fn keys_of_neighbouring_ids_do_not_mix() {
        let mut leases = Leases::default();
        // Ids whose bytes are neighbours, one a prefix-like successor of the other.
        for id in [0x6100, 0x6101, 0x61ff, -1, i64::MAX, i64::MIN] {
            leases.put(lease(id));
            leases.attach(LeaseId(id), b"b");
            leases.attach(LeaseId(id), b"a");
            leases.attach(LeaseId(id), b"");
        }
        for id in [0x6100, 0x6101, 0x61ff, -1, i64::MAX, i64::MIN] {
            let keys: Vec<_> = leases.keys(LeaseId(id)).collect();
            assert_eq!(keys, [&b""[..], b"a", b"b"], "{id:x}");
            assert_eq!(leases.attached_count(LeaseId(id)), 3);
        }
        leases.detach(LeaseId(0x6100), b"a");
        leases.detach(LeaseId(0x6100), b"never attached");
        assert_eq!(leases.keys(LeaseId(0x6100)).count(), 2);
        assert_eq!(leases.keys(LeaseId(0x6101)).count(), 3);
    }

    #[test]
    fn an_older_version_keeps_its_leases() {
        let mut leases = Leases::default();
        leases.put(lease(1));
        let old = leases.clone();
        leases.put(Lease { remaining: 3, ..lease(1) });
        assert_eq!(leases.get(LeaseId(1)).map(Lease::left), Some(3));
        assert_eq!(leases.remove(LeaseId(1)).map(|lease| lease.left()), Some(3));
        assert!(leases.is_empty() && leases.remove(LeaseId(1)).is_none());
        assert_eq!(old.get(LeaseId(1)).map(Lease::left), Some(10));
    }
}
