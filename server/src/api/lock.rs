//! etcd's Lock service. The waiting is the node's; here it ends with the client or the member.

use portunus_proto::etcdserverpb::{self as pb, ResponseHeader};
use portunus_proto::v3lockpb::lock_server::Lock;
use portunus_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest, UnlockResponse};
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_at;
use super::ending::Ending;
use super::status;
use crate::decide::{self, Reply};
use crate::node::{LineError, Node};
use crate::types::LeaseId;

/// Serves etcd's Lock service.
pub struct LockService {
    pub node: Node,
    pub ending: Ending,
}

#[async_trait]
impl Lock for LockService {
    async fn lock(&self, request: Request<LockRequest>) -> Result<Response<LockResponse>, Status> {
        let end = self.ending.of(request.metadata());
        let LockRequest { name, lease } = request.into_inner();
        let taken = self.node.line_up(name.clone(), LeaseId(lease), Vec::new().into()).await;
        let (mut place, standing) = taken.map_err(refused)?;
        let mut revision = place.at;
        if !standing.is_first {
            let turn = self.node.await_turn(&name, &place);
            revision = tokio::select! {
                turn = turn => turn.map_err(refused)?,
                status = end => {
                    place.hand_over();
                    return Err(status);
                }
            };
        }
        place.keep();
        let header = Some(header_at(revision, &self.node));
        Ok(Response::new(LockResponse { header, key: place.key.clone() }))
    }

    async fn unlock(
        &self,
        request: Request<UnlockRequest>,
    ) -> Result<Response<UnlockResponse>, Status> {
        let UnlockRequest { key } = request.into_inner();
        let delete = pb::DeleteRangeRequest { key, ..Default::default() };
        let reply = self.node.write(decide::Request::DeleteRange(delete)).await;
        let Reply::DeleteRange(done) = reply.map_err(status::of_recipe)? else {
            return Err(status::answer_of_another_kind());
        };
        let revision = done.header.map_or(0, |header: ResponseHeader| header.revision);
        Ok(Response::new(UnlockResponse { header: Some(header_at(revision, &self.node)) }))
    }
}

fn refused(error: LineError) -> Status {
    match error {
        LineError::Lost => Status::unknown("mutex: session is expired"),
        LineError::Node(error) => status::of_recipe(error),
    }
}
