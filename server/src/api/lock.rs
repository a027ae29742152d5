//! etcd's Lock service. The waiting is the node's; here it ends with the client or the member.

use bytes::Bytes;
use portunus_proto::etcdserverpb::{self as pb, ResponseHeader};
use portunus_proto::portunus::v1::LockAcquireRequest;
use portunus_proto::v3lockpb::lock_server::Lock;
use portunus_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_at;
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::decide::{self, LockRefusal, Refusal, Reply};
use crate::node::{Error, LineError, Node};
use crate::types::LeaseId;

/// Serves etcd's Lock service.
pub struct LockService {
    pub node: Node,
    pub ending: Ending,
}

#[async_trait]
impl Lock for LockService {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let node = acting(&self.node, &request);
        let mut end = self.ending.of(request.metadata());
        let LockRequest { name, lease } = request.into_inner();
        if node.admits_lock(&name) {
            return self.lock_admitted(&node, name, lease, end).await;
        }
        let mut ended = None;
        let stop = async { ended = Some((&mut end).await) };
        let taken = node.take_turn(name.clone(), LeaseId(lease), stop).await;
        if let Some(status) = ended {
            return Err(status);
        }
        let mut turn = match taken {
            // The leader knows of a plugin that this member has not heard of yet.
            Err(LineError::Node(Error::Refused(Refusal::Lock(LockRefusal::Admitted {
                ..
            })))) => return self.lock_admitted(&node, name, lease, end).await,
            taken => taken.map_err(refused)?.ok_or_else(status::answer_of_another_kind)?,
        };
        turn.place.keep();
        let header = Some(header_at(turn.revision, &self.node));
        Ok(Response::new(LockResponse { header, key: turn.place.key.clone() }))
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        let node = acting(&self.node, &request);
        let UnlockRequest { key } = request.into_inner();
        if let Some(held) = node.admitted_place(&key) {
            let released = node.release(held).await.map_err(status::of_recipe)?;
            let header = Some(header_at(released.0, &self.node));
            return Ok(Response::new(UnlockResponse { header }));
        }
        let delete = pb::DeleteRangeRequest { key, ..Default::default() };
        let reply = node.write(decide::Request::DeleteRange(delete)).await;
        let Reply::DeleteRange(done) = reply.map_err(status::of_recipe)? else {
            return Err(status::answer_of_another_kind());
        };
        let revision = done.header.map_or(0, |header: ResponseHeader| header.revision);
        Ok(Response::new(UnlockResponse { header: Some(header_at(revision, &self.node)) }))
    }
}

impl LockService {
    /// A lock whose plugins decide: taken as one of our own, and answered in etcd's terms.
    async fn lock_admitted(
        &self,
        node: &Node,
        name: Bytes,
        lease: i64,
        end: impl Future<Output = Status>,
    ) -> Result<Response<LockResponse>, Status> {
        let request = LockAcquireRequest { names: vec![name.clone()], lease, ..Default::default() };
        let (stopped, stop) = oneshot::channel();
        let stop = async move { drop(stop.await) };
        let acquiring = node.acquire(request, stop);
        tokio::pin!(acquiring);
        let acquired = tokio::select! {
            acquired = &mut acquiring => acquired,
            status = end => {
                // The member stops: whoever has a lease goes on waiting elsewhere.
                let _ = stopped.send(());
                let _ = acquiring.await;
                return Err(status);
            }
        };
        let acquired = match acquired {
            Ok(Some(acquired)) => acquired,
            Ok(None) => return Err(status::answer_of_another_kind()),
            Err(Error::Refused(Refusal::Lock(LockRefusal::Lost { .. }))) => {
                return Err(refused(LineError::Lost));
            }
            Err(error) => return Err(status::of_recipe(error)),
        };
        let key = acquired.places.first().map(|place| decide::lock::place_of(&name, &place.key));
        let header = Some(header_at(acquired.revision, &self.node));
        Ok(Response::new(LockResponse { header, key: key.unwrap_or_default() }))
    }
}

fn refused(error: LineError) -> Status {
    match error {
        LineError::Lost => Status::unknown("mutex: session is expired"),
        LineError::Node(error) => status::of_recipe(error),
    }
}
