//! A client's transaction: comparisons, and writes for either case.

use super::client::Client;
use super::draft::Draft;
use super::failure::Failure;
use super::store::Items;
use crate::Item;
use crate::range::{Span, under};

/// A transaction: when all comparisons hold its `then` writes happen, else its `or_else` writes,
/// in one revision.
#[derive(Debug)]
pub struct Txn {
    client: Client,
    compares: Vec<(Vec<u8>, Compare)>,
    branches: Branches,
}

#[derive(Debug, Default)]
struct Branches {
    then: Vec<Op>,
    or_else: Vec<Op>,
}

/// How a transaction went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxnReply {
    /// Whether all comparisons held.
    pub succeeded: bool,
    /// The revision afterwards.
    pub revision: i64,
}

#[derive(Debug)]
enum Compare {
    Exists(bool),
    Value(Vec<u8>),
    ModRevision(i64),
    Version(i64),
}

#[derive(Debug)]
enum Op {
    Put { key: Vec<u8>, value: Vec<u8>, lease: i64 },
    Delete(Span),
    Txn(Txn),
}

impl Compare {
    fn holds(&self, item: Option<&Item>) -> bool {
        match self {
            Self::Exists(exists) => item.is_some() == *exists,
            Self::Value(value) => item.is_some_and(|item| item.value == *value),
            Self::ModRevision(revision) => item.map_or(0, |item| item.mod_revision) == *revision,
            Self::Version(version) => item.map_or(0, |item| item.version) == *version,
        }
    }
}

impl Txn {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, compares: Vec::new(), branches: Branches::default() }
    }

    fn when(mut self, key: impl AsRef<[u8]>, compare: Compare) -> Self {
        self.compares.push((key.as_ref().to_vec(), compare));
        self
    }

    /// Only when the key exists.
    #[must_use]
    pub fn if_exists(self, key: impl AsRef<[u8]>) -> Self {
        self.when(key, Compare::Exists(true))
    }

    /// Only when the key does not exist.
    #[must_use]
    pub fn if_absent(self, key: impl AsRef<[u8]>) -> Self {
        self.when(key, Compare::Exists(false))
    }

    /// Only when the key has this value.
    #[must_use]
    pub fn if_value(self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.when(key, Compare::Value(value.as_ref().to_vec()))
    }

    /// Only when the key was last written at this revision; 0 when it does not exist.
    #[must_use]
    pub fn if_mod_revision(self, key: impl AsRef<[u8]>, revision: i64) -> Self {
        self.when(key, Compare::ModRevision(revision))
    }

    /// Only when the key has this version; 0 when it does not exist.
    #[must_use]
    pub fn if_version(self, key: impl AsRef<[u8]>, version: i64) -> Self {
        self.when(key, Compare::Version(version))
    }

    /// Then puts a key.
    #[must_use]
    pub fn put(self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.put_with_lease(key, value, 0)
    }

    /// Then puts a key on a lease.
    #[must_use]
    pub fn put_with_lease(
        mut self,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
        lease: i64,
    ) -> Self {
        self.branches.then.push(put(key.as_ref(), value.as_ref(), lease));
        self
    }

    /// Then deletes a key.
    #[must_use]
    pub fn delete(mut self, key: impl AsRef<[u8]>) -> Self {
        self.branches.then.push(delete(key.as_ref()));
        self
    }

    /// Then deletes the keys that begin with `prefix`.
    #[must_use]
    pub fn delete_prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.branches.then.push(Op::Delete(under(prefix.as_ref())));
        self
    }

    /// Else puts a key.
    #[must_use]
    pub fn or_put(mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.branches.or_else.push(put(key.as_ref(), value.as_ref(), 0));
        self
    }

    /// Else deletes a key.
    #[must_use]
    pub fn or_delete(mut self, key: impl AsRef<[u8]>) -> Self {
        self.branches.or_else.push(delete(key.as_ref()));
        self
    }

    /// Then does what another transaction says. Its comparisons see the state before all writes,
    /// as those of the outer one.
    #[must_use]
    pub fn then_txn(mut self, build: impl FnOnce(Txn) -> Txn) -> Self {
        self.branches.then.push(Op::Txn(build(Txn::new(self.client.clone()))));
        self
    }

    /// Else does what another transaction says.
    #[must_use]
    pub fn or_txn(mut self, build: impl FnOnce(Txn) -> Txn) -> Self {
        self.branches.or_else.push(Op::Txn(build(Txn::new(self.client.clone()))));
        self
    }

    /// Whether its comparisons hold, and the writes of the branches that are taken, in order.
    fn resolve(self, items: &Items, writes: &mut Vec<Op>) -> bool {
        let succeeded = self.compares.iter().all(|(key, compare)| compare.holds(items.get(key)));
        let Branches { then, or_else } = self.branches;
        for op in if succeeded { then } else { or_else } {
            match op {
                Op::Txn(inner) => drop(inner.resolve(items, writes)),
                op => writes.push(op),
            }
        }
        succeeded
    }

    /// Carries it out.
    ///
    /// # Errors
    /// A policy's refusal, or a lease that does not exist.
    pub fn commit(self) -> Result<TxnReply, Failure> {
        let client = self.client.clone();
        let state = &mut *client.cluster.0.borrow_mut();
        let mut draft = Draft::on(&state.store);
        let mut writes = Vec::new();
        let succeeded = self.resolve(&state.store.items, &mut writes);
        for op in writes {
            match op {
                Op::Put { lease, .. } if !state.leases.exists(lease) => {
                    return Err(Failure::UnknownLease(lease));
                }
                Op::Put { key, value, lease } => draft.put(&key, &value, lease),
                Op::Delete(span) => drop(draft.delete(&span)),
                Op::Txn(_) => unreachable!("it was resolved into its writes"),
            }
        }
        let revision = state.decide(draft, client.user.as_deref(), None)?;
        Ok(TxnReply { succeeded, revision })
    }
}

fn put(key: &[u8], value: &[u8], lease: i64) -> Op {
    Op::Put { key: key.to_vec(), value: value.to_vec(), lease }
}

fn delete(key: &[u8]) -> Op {
    Op::Delete((key.to_vec(), Some([key, &[0]].concat())))
}
