//! Our own locks from any member: enlisting, waiting, and letting go when the caller does.

use std::time::Duration;

use bytes::Bytes;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockAsk, LockAwait, LockDescribeResponse, LockLeave, LockPlace, LockRecord,
    LockReleaseRequest, LockRevocationRequest, LockSaid, LockStanding, lock_ask::Ask,
};

use super::follow::{Following, Seen};
use crate::decide::{LockRefusal, Refusal, Reply, Request, lock};
use crate::node::applied::Version;
use crate::node::finishing::Finishing;
use crate::node::{Error, Failure, Node};
use crate::types::LeaseId;

/// Places taken for a caller. While they are armed, dropping them gives them up.
struct Places {
    node: Node,
    places: Vec<LockPlace>,
    lease: LeaseId,
    lease_is_ours: bool,
    armed: bool,
}

/// What an acquisition came to.
pub struct Acquired {
    pub revision: i64,
    pub places: Vec<LockPlace>,
}

impl Node {
    /// Waits until all names are held. `None` when the request's own time was over first. When
    /// `stop` comes the wait ends, and who has a lease goes on waiting elsewhere, in its place.
    ///
    /// # Errors
    /// Refusals, such as a lock that is held when it was only tried.
    pub async fn acquire(
        &self,
        request: LockAcquireRequest,
        stop: impl Future<Output = ()>,
    ) -> Result<Option<Acquired>, Error> {
        let patience = match u64::try_from(request.timeout_ms) {
            Ok(timeout) if timeout > 0 => Some(Duration::from_millis(timeout)),
            _ => None,
        };
        let acquiring = self.enlist_and_wait(request, stop);
        match patience {
            None => acquiring.await.map(Some),
            Some(patience) => match tokio::time::timeout(patience, acquiring).await {
                Ok(acquired) => acquired.map(Some),
                Err(_) => Ok(None),
            },
        }
    }

    async fn enlist_and_wait(
        &self,
        request: LockAcquireRequest,
        stop: impl Future<Output = ()>,
    ) -> Result<Acquired, Error> {
        // Goes on without the caller, so that no place is left behind.
        let enlisting = Finishing::new(&self.shared.runtime, self.clone().enlist(request));
        let (mut places, mut said) = enlisting.await?;
        if !said.granted {
            let wait = LockAwait { places: places.places.clone() };
            let ask = LockAsk { ask: Some(Ask::AwaitTurn(wait)), ..LockAsk::default() };
            let waited = tokio::select! {
                waited = self.decide_waiting(Request::Lock(ask), true) => waited,
                () = stop => Err(Failure::Stopped.into()),
            };
            said = match waited {
                Ok(reply) => locked(reply)?,
                Err(Error::Failed(Failure::Stopped)) if !places.lease_is_ours => {
                    places.armed = false;
                    return Err(Failure::Stopped.into());
                }
                Err(error) => return Err(error),
            };
        }
        places.armed = false;
        Ok(Acquired { revision: said.revision, places: said.places })
    }

    async fn enlist(self, mut request: LockAcquireRequest) -> Result<(Places, LockSaid), Error> {
        let lease_is_ours = request.lease == 0;
        request.lease = self.lease_or_own(LeaseId(request.lease)).await?.0;
        let mut places = Places {
            node: self.clone(),
            places: Vec::new(),
            lease: LeaseId(request.lease),
            lease_is_ours,
            armed: lease_is_ours,
        };
        let ask = LockAsk { ask: Some(Ask::Enlist(request)), ..LockAsk::default() };
        let said = locked(self.write(Request::Lock(ask)).await?)?;
        // What the lease held before the call is not this call's to give back.
        let is_new = |place: &LockPlace| place.token == said.revision;
        places.armed |= !said.granted || said.places.iter().all(is_new);
        places.places.clone_from(&said.places);
        Ok((places, said))
    }

    /// Whether plugins have a say in who holds a lock of this name, as far as this member knows.
    pub fn admits_lock(&self, name: &Bytes) -> bool {
        let version = self.shared.applied.load();
        lock::admission::admitting(&version.state, name).next().is_some()
    }

    /// What releases the place with this key, where plugins admit.
    pub fn admitted_place(&self, key: &Bytes) -> Option<LockReleaseRequest> {
        let slash = key.iter().rposition(|byte| *byte == b'/')?;
        let name = key.slice(..slash);
        let digits = std::str::from_utf8(&key[slash + 1..]).ok()?;
        let lease = i64::from_str_radix(digits, 16).ok()?;
        let is_noted = |version: &Version| {
            version.state.get(&lock::admission::holder_key(&name, LeaseId(lease))).is_some()
        };
        // A plugin that is gone may have let it in.
        let admitted = self.admits_lock(&name) || self.shared.applied.with(is_noted);
        admitted.then(|| LockReleaseRequest { names: vec![name], lease, entirely: true })
    }

    /// Returns the revision, and how many names were let go of for good.
    pub async fn release(&self, request: LockReleaseRequest) -> Result<(i64, u32), Error> {
        self.lock(Ask::Release(request)).await.map(|said| (said.revision, said.count))
    }

    /// Returns the revision, and how many holders were asked.
    pub async fn request_revocation(
        &self,
        request: LockRevocationRequest,
    ) -> Result<(i64, u32), Error> {
        self.lock(Ask::Revoke(request)).await.map(|said| (said.revision, said.count))
    }

    async fn lock(&self, ask: Ask) -> Result<LockSaid, Error> {
        locked(self.write(Request::Lock(LockAsk { ask: Some(ask), ..LockAsk::default() })).await?)
    }

    pub async fn describe_lock(&self, name: Bytes) -> Result<(i64, LockDescribeResponse), Error> {
        self.look(|state| Ok(lock::describe(state, &name))).await
    }

    /// Follows a lock that the lease holds.
    ///
    /// # Errors
    /// It is not held.
    pub async fn follow_lock(&self, name: Bytes, lease: LeaseId) -> Result<LockCourse, Error> {
        let (revision, standing) = self
            .look(|state| {
                let line = lock::describe(state, &name).line;
                let own = |standing: &LockStanding| standing.lease == lease.0 && standing.holds_it;
                line.into_iter().find(own).ok_or_else(|| {
                    let name = String::from_utf8_lossy(&name).into_owned();
                    Refusal::Lock(LockRefusal::Lost { name })
                })
            })
            .await?;
        let key = standing.key.clone();
        let following = Following::new(self, key, Bytes::new(), revision + 1);
        let first = Some((revision, LockNews::Held(standing)));
        Ok(LockCourse { first, following, told: String::new(), revision })
    }
}

fn locked(reply: Reply) -> Result<LockSaid, Error> {
    match reply {
        Reply::Lock(said) => Ok(said),
        _ => Err(Failure::TimedOutConnectionLost.into()),
    }
}

/// What becomes of a held lock.
pub enum LockNews {
    Held(LockStanding),
    /// Somebody asks for it, with a reason.
    Asked(String),
    Lost,
}

/// A held lock, followed.
pub struct LockCourse {
    first: Option<(i64, LockNews)>,
    following: Following,
    told: String,
    revision: i64,
}

impl LockCourse {
    /// The next news and its revision.
    ///
    /// # Errors
    /// The member stops.
    pub async fn next(&mut self) -> Result<(i64, LockNews), Failure> {
        if let Some((revision, LockNews::Held(standing))) = self.first.take() {
            // Somebody may have asked before it was followed.
            if !standing.revocation.is_empty() {
                self.told.clone_from(&standing.revocation);
                let asked = LockNews::Asked(standing.revocation.clone());
                self.first = Some((revision, asked));
            }
            return Ok((revision, LockNews::Held(standing)));
        }
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        loop {
            match self.following.next().await? {
                Some(Seen::Put { kv, revision }) => {
                    self.revision = revision;
                    let asked = lock::record(&kv.value).unwrap_or_default();
                    let LockRecord { revocation, .. } = asked;
                    if !revocation.is_empty() && revocation != self.told {
                        self.told.clone_from(&revocation);
                        return Ok((revision, LockNews::Asked(revocation)));
                    }
                }
                Some(Seen::Deleted) | None => return Ok((self.revision, LockNews::Lost)),
            }
        }
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let request = match self.lease_is_ours {
            true => Request::lease_revoke(self.lease),
            false => {
                let leave = LockLeave { places: std::mem::take(&mut self.places) };
                Request::Lock(LockAsk { ask: Some(Ask::Leave(leave)), ..LockAsk::default() })
            }
        };
        let node = self.node.clone();
        self.node.shared.runtime.spawn(async move {
            // What fails goes with its lease.
            if let Err(error) = node.write(request).await {
                tracing::debug!(%error, "places in line are not cleared");
            }
        });
    }
}
