//! A place in line: taking one, and leaving it when nobody waits there any more.

use bytes::Bytes;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::v1::{LockAsk, LockLeave, LockPlace, lock_ask::Ask};

use super::line::{LineError, take_place};
use crate::decide::{Reply, Request};
use crate::node::finishing::Finishing;
use crate::node::{Error, Node};
use crate::types::LeaseId;

/// Seconds of a lease that the server grants because the client named none, as etcd. Nobody keeps
/// it alive.
const OWN_LEASE_SECONDS: i64 = 60;

/// A key in a line. While it is armed, dropping it takes the key away again: its client went.
pub struct Place {
    node: Node,
    pub key: Bytes,
    /// Create revision of the key: what orders the line.
    pub revision: i64,
    pub lease: LeaseId,
    /// Revision of the store when the place was taken.
    pub at: i64,
    /// The lease is the server's own and goes with the place.
    lease_is_ours: bool,
    armed: bool,
}

impl Node {
    /// Takes a place in the line of `name` for `lease`, or finds the one it has. With lease 0 the
    /// server grants one. Goes on to the end even if the caller does not, so that no key is left
    /// behind.
    ///
    /// # Errors
    /// Refusals of the transaction, such as a lease that does not exist.
    pub async fn line_up(
        &self,
        name: Bytes,
        lease: LeaseId,
        value: Bytes,
    ) -> Result<(Place, Standing), LineError> {
        let node = self.clone();
        let taking = async move {
            let place = node.wish(&name, lease).await?;
            place.take(value).await
        };
        Finishing::new(&self.shared.runtime, taking).await
    }

    /// A place that is not taken yet; with lease 0 the server grants one.
    pub(super) async fn wish(&self, name: &Bytes, lease: LeaseId) -> Result<Place, Error> {
        let lease_is_ours = lease.is_none();
        let lease = if lease_is_ours { self.grant_lease().await? } else { lease };
        let key = Bytes::from([&name[..], format!("/{lease}").as_bytes()].concat());
        let (node, armed) = (self.clone(), lease_is_ours);
        Ok(Place { node, key, revision: 0, lease, at: 0, lease_is_ours, armed })
    }

    async fn grant_lease(&self) -> Result<LeaseId, Error> {
        let request = pb::LeaseGrantRequest { id: 0, ttl: OWN_LEASE_SECONDS };
        match self.write(Request::LeaseGrant(request)).await? {
            Reply::LeaseGrant(granted) => Ok(LeaseId(granted.id)),
            _ => Err(crate::node::Failure::TimedOutConnectionLost.into()),
        }
    }

    /// The lease for an RPC that names one, or none.
    pub async fn lease_or_own(&self, lease: LeaseId) -> Result<LeaseId, Error> {
        if lease.is_none() { self.grant_lease().await } else { Ok(lease) }
    }

    pub(super) async fn transact(&self, txn: pb::TxnRequest) -> Result<pb::TxnResponse, Error> {
        match self.write(Request::Txn(txn)).await? {
            Reply::Txn(reply) => Ok(reply),
            _ => Err(crate::node::Failure::TimedOutConnectionLost.into()),
        }
    }
}

/// The keys of a line.
pub(super) fn prefix_of(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

/// What taking a place found.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// The key was not there before.
    pub is_new: bool,
    /// Nobody came before.
    pub is_first: bool,
    /// The value that the key had before; empty when it is new.
    pub value: Bytes,
    pub(super) revision: i64,
}

impl Standing {
    pub(super) fn of(taken: &pb::TxnResponse) -> Result<Self, LineError> {
        use pb::response_op::Response;
        let at = taken.header.as_ref().map_or(0, |header| header.revision);
        let found = |n: usize| match taken.responses.get(n).map(|op| &op.response) {
            Some(Some(Response::ResponseRange(range))) => super::follow::first(&range.kvs),
            _ => None,
        };
        let own = if taken.succeeded { None } else { Some(found(0).ok_or(LineError::Lost)?) };
        let revision = own.as_ref().map_or(at, |own| own.create_revision);
        let is_first = found(1).is_none_or(|owner| owner.create_revision == revision);
        let value = own.map(|own| own.value).unwrap_or_default();
        Ok(Self { is_new: taken.succeeded, is_first, value, revision })
    }
}

impl Place {
    /// Takes it, or finds that it is taken.
    pub(super) async fn take(mut self, value: Bytes) -> Result<(Self, Standing), LineError> {
        let taken = self.node.transact(self.txn(&value)).await?;
        let standing = self.taken(&taken)?;
        Ok((self, standing))
    }

    /// The name of its line.
    pub(super) fn name(&self) -> Bytes {
        let slash = self.key.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        self.key.slice(..slash)
    }

    pub(super) fn txn(&self, value: &Bytes) -> pb::TxnRequest {
        take_place(&self.key, self.lease, value, &prefix_of(&self.name()))
    }

    /// Notes what the transaction found.
    pub(super) fn taken(&mut self, taken: &pb::TxnResponse) -> Result<Standing, LineError> {
        self.at = taken.header.as_ref().map_or(0, |header| header.revision);
        let standing = Standing::of(taken)?;
        self.revision = standing.revision;
        // A lock that this lease held before the call is not this call's to give back.
        self.armed = self.lease_is_ours || standing.is_new || !standing.is_first;
        Ok(standing)
    }

    /// The answer is on its way: the place is the client's now.
    pub fn keep(&mut self) {
        self.armed = false;
    }

    /// This member stops: a client that has a lease goes on waiting elsewhere, in the same place.
    pub fn hand_over(&mut self) {
        self.armed = self.lease_is_ours;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let request = match self.lease_is_ours {
            true => Request::lease_revoke(self.lease),
            // As the Lock service does: a plugin may have a say by now in what the key was put for.
            false => {
                let (name, key) = (self.name(), self.key.clone());
                let places = vec![LockPlace { name, key, token: self.revision, holds: 0 }];
                let leave = Some(Ask::Leave(LockLeave { places }));
                Request::Lock(LockAsk { ask: leave, ..LockAsk::default() })
            }
        };
        let node = self.node.clone();
        self.node.shared.runtime.spawn(async move {
            // What fails goes with its lease.
            if let Err(error) = node.write(request).await {
                tracing::debug!(%error, "a place in line is not cleared");
            }
        });
    }
}
