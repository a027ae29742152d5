//! The Maintenance service: what an operator asks of one member.

use std::pin::Pin;

use futures::Stream;
use portunus_proto::etcdserverpb::downgrade_request::DowngradeAction;
use portunus_proto::etcdserverpb::maintenance_server::Maintenance;
use portunus_proto::etcdserverpb::{
    AlarmRequest, AlarmResponse, DefragmentRequest, DefragmentResponse, DowngradeInfo,
    DowngradeRequest, DowngradeResponse, HashKvRequest, HashKvResponse, HashRequest, HashResponse,
    MoveLeaderRequest, MoveLeaderResponse, SnapshotRequest, SnapshotResponse, StatusRequest,
    StatusResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::{Headed, write};
use super::caller::acting;
use super::{downgrade, snapshot, status, version};
use crate::decide;
use crate::node::Node;

/// Reported as the quota when there is none; etcd reports the flag, which is negative then.
const NO_QUOTA: i64 = -1;

/// Serves etcd's Maintenance service.
pub struct MaintenanceService {
    pub node: Node,
}

impl MaintenanceService {
    async fn only_root<T>(&self, request: &Request<T>) -> Result<(), Status> {
        acting(&self.node, request).check_root().await.map_err(status::of)
    }
}

#[async_trait]
impl Maintenance for MaintenanceService {
    async fn alarm(
        &self,
        request: Request<AlarmRequest>,
    ) -> Result<Response<AlarmResponse>, Status> {
        write(&self.node, request, decide::Request::Alarm).await
    }

    async fn status(
        &self,
        request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        acting(&self.node, &request).check_known().await.map_err(status::of)?;
        let now = self.node.status();
        let answer = StatusResponse {
            header: None,
            version: version::ETCD.to_owned(),
            db_size: now.db_size_bytes,
            leader: now.leader,
            raft_index: now.raft_index,
            raft_term: now.raft_term,
            raft_applied_index: now.raft_applied_index,
            errors: now.errors,
            db_size_in_use: now.db_size_in_use_bytes,
            is_learner: now.is_learner,
            storage_version: version::ETCD_STORAGE.to_owned(),
            db_size_quota: now.quota_bytes.unwrap_or(NO_QUOTA),
            downgrade_info: Some(DowngradeInfo::default()),
        };
        Ok(Response::new(answer.headed(&self.node)))
    }

    /// The store compacts itself in the background and nothing stops. This only waits until what
    /// compactions freed no longer counts, as operators rely on before they clear an alarm.
    async fn defragment(
        &self,
        request: Request<DefragmentRequest>,
    ) -> Result<Response<DefragmentResponse>, Status> {
        self.only_root(&request).await?;
        self.node.defragment().await.map_err(status::of_failure)?;
        Ok(Response::new(DefragmentResponse { header: None }))
    }

    /// The hash of everything up to the current revision. etcd hashes its file here, which clients
    /// can only compare between members that were never compacted differently.
    async fn hash(&self, request: Request<HashRequest>) -> Result<Response<HashResponse>, Status> {
        self.only_root(&request).await?;
        let hashed = self.node.hash().await.map_err(status::of)?;
        Ok(Response::new(HashResponse { header: None, hash: hashed.hash }.headed(&self.node)))
    }

    async fn hash_kv(
        &self,
        request: Request<HashKvRequest>,
    ) -> Result<Response<HashKvResponse>, Status> {
        self.only_root(&request).await?;
        let hashed = self.node.hash_kv(request.into_inner().revision).await.map_err(status::of)?;
        let answer = HashKvResponse {
            header: None,
            hash: hashed.hash,
            compact_revision: hashed.compact_revision,
            hash_revision: hashed.hash_revision,
        };
        Ok(Response::new(answer.headed(&self.node)))
    }

    type SnapshotStream =
        Pin<Box<dyn Stream<Item = Result<SnapshotResponse, Status>> + Send + 'static>>;

    async fn snapshot(
        &self,
        request: Request<SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        self.only_root(&request).await?;
        let file = self.node.snapshot_file().await.map_err(status::of_failure)?;
        Ok(Response::new(Box::pin(snapshot::stream(file))))
    }

    async fn move_leader(
        &self,
        request: Request<MoveLeaderRequest>,
    ) -> Result<Response<MoveLeaderResponse>, Status> {
        self.only_root(&request).await?;
        let target = request.into_inner().target_id;
        self.node.move_leader(target).await.map_err(status::of_failure)?;
        Ok(Response::new(MoveLeaderResponse { header: None }))
    }

    async fn downgrade(
        &self,
        request: Request<DowngradeRequest>,
    ) -> Result<Response<DowngradeResponse>, Status> {
        self.only_root(&request).await?;
        let request = request.into_inner();
        match request.action() {
            DowngradeAction::Validate => {
                downgrade::check_target(&request.version)?;
                self.node.linearizable().await.map_err(status::of)?;
            }
            DowngradeAction::Enable => {
                downgrade::check_target(&request.version)?;
                return Err(status::no_downgrade());
            }
            // As etcd, which tells of nothing to cancel in its log alone.
            DowngradeAction::Cancel => {}
        }
        let version = downgrade::cluster_version();
        let answer = DowngradeResponse { header: None, version };
        Ok(Response::new(answer.headed(&self.node)))
    }
}
