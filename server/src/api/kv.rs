//! The KV service: translates, and adds nothing. Checks of requests belong to decisions and reads.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use portunus_proto::etcdserverpb::kv_server::Kv;
use portunus_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::{Headed, header_at, write};
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::decide;
use crate::node::Node;

/// Serves etcd's KV service.
pub struct KvService {
    pub node: Node,
    pub ending: Ending,
}

type RangeStream = Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

#[async_trait]
impl Kv for KvService {
    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        if !request.get_ref().serializable && self.node.is_learner() {
            return Err(status::not_for_learners());
        }
        let node = acting(&self.node, &request);
        let answer = node.range(request.into_inner()).await.map_err(status::of)?;
        Ok(Response::new(answer.headed(&self.node)))
    }

    type RangeStreamStream = RangeStream;

    async fn range_stream(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeStream>, Status> {
        let end = self.ending.of(request.metadata());
        let node = acting(&self.node, &request);
        let pieces = node.range_stream(request.into_inner()).await.map_err(status::of)?;
        let pieces = pieces.map(move |piece| match piece {
            Ok(piece) => Ok(with_member(piece, &node)),
            Err(error) => Err(status::of(error)),
        });
        Ok(Response::new(Box::pin(end.cut(pieces))))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        write(&self.node, request, decide::Request::Put).await
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        write(&self.node, request, decide::Request::DeleteRange).await
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        write(&self.node, request, decide::Request::Txn).await
    }

    async fn compact(
        &self,
        request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        write(&self.node, request, decide::Request::Compact).await
    }
}

/// Completes the header where a piece has one. Its revision is the one the whole stream reads at
/// and stays as it is.
fn with_member(mut piece: RangeStreamResponse, node: &Node) -> RangeStreamResponse {
    if let Some(header) = piece.range_response.as_mut().and_then(|range| range.header.as_mut()) {
        *header = header_at(header.revision, node);
    }
    piece
}
