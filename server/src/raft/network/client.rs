//! openraft's way to one peer: unary calls here, the log in `append`, snapshots in `send`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use openraft::RaftNetworkFactory;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::{
    NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable,
};
use openraft::network::{
    Backoff, NetBackoff, NetSnapshot, NetStreamAppend, NetTransferLeader, NetVote, RPCOption,
    RPCTypes,
};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendResult, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::storage::Snapshot;

use super::convert;
use super::pool::{Client, NoRoute, Pool, Target, Use};
use super::{append, send};
use crate::raft::snapshot::SnapshotData;
use crate::raft::types::{CommittedLeaderId, Peer, TypeConfig, Vote};

/// Opens ways to peers.
pub struct Network {
    pool: Arc<Pool>,
}

impl Network {
    pub fn new(pool: Arc<Pool>) -> Self {
        Self { pool }
    }

    fn route(&self, target: u64, peer: &Peer, log: Use) -> Route {
        Route { pool: self.pool.clone(), target: Arc::new(Target::new(target, peer)), log }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Route;

    async fn new_client(&mut self, target: u64, node: &Peer) -> Route {
        self.route(target, node, Use::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Peer) -> Route {
        self.route(target, node, Use::Control)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Peer) -> Route {
        self.route(target, node, Use::Snapshot)
    }
}

/// A way to one peer.
pub struct Route {
    pub(super) pool: Arc<Pool>,
    pub(super) target: Arc<Target>,
    /// Connection for appends: heartbeats come as appends too.
    log: Use,
}

impl Route {
    pub(super) fn client(&self, purpose: Use) -> Result<Client, RPCError<TypeConfig>> {
        self.pool.client(&self.target, purpose).map_err(|error: NoRoute| {
            tracing::warn!(member = %self.target.member, %error, "cannot reach a member");
            RPCError::Unreachable(Unreachable::new(&error))
        })
    }

    /// A failed call. Whatever the peer says, it is asked again only after a pause.
    pub(super) fn failed(&self, status: &tonic::Status) -> RPCError<TypeConfig> {
        if status.code() == tonic::Code::Unavailable {
            self.target.next_url();
        }
        tracing::debug!(member = %self.target.member, %status, "a call to a peer failed");
        self.pool.note_failure(self.target.member, &innermost(status));
        RPCError::Unreachable(Unreachable::from_string(status))
    }

    fn timed_out(&self, action: RPCTypes, timeout: Duration) -> RPCError<TypeConfig> {
        let (id, target) = (self.pool.own.member.0, self.target.member.0);
        self.pool.note_failure(self.target.member, "no answer in time");
        RPCError::Timeout(Timeout { action, id, target, timeout })
    }

    /// Runs a unary call to its deadline.
    pub(super) async fn call<T>(
        &self,
        action: RPCTypes,
        limit: Duration,
        call: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, RPCError<TypeConfig>> {
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => {
                self.pool.note_answer(self.target.member);
                Ok(response.into_inner())
            }
            Ok(Err(status)) => Err(self.failed(&status)),
            Err(_) => Err(self.timed_out(action, limit)),
        }
    }
}

/// What is behind a failed call: a connection that cannot be made has its reason far inside.
fn innermost(status: &tonic::Status) -> String {
    let mut reason: &dyn std::error::Error = status;
    while let Some(source) = reason.source() {
        reason = source;
    }
    match reason.downcast_ref::<tonic::Status>() {
        Some(status) => status.message().to_owned(),
        None => reason.to_string(),
    }
}

/// What the peer said makes no sense.
pub(super) fn nonsense(error: convert::Incomplete) -> RPCError<TypeConfig> {
    RPCError::Network(NetworkError::new(&error))
}

impl NetBackoff<TypeConfig> for Route {
    fn backoff(&self) -> Option<Backoff> {
        None
    }
}

impl NetVote<TypeConfig> for Route {
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut client = self.client(Use::Control)?;
        let call = client.vote(convert::vote_request_to_wire(request));
        let response = self.call(RPCTypes::Vote, option.soft_ttl(), call).await?;
        convert::vote_response_from_wire(response).map_err(nonsense)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut client = self.client(Use::Control)?;
        let call = client.pre_vote(convert::vote_request_to_wire(request));
        let response = self.call(RPCTypes::Vote, option.soft_ttl(), call).await?;
        convert::vote_response_from_wire(response).map_err(nonsense)
    }
}

impl NetTransferLeader<TypeConfig> for Route {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        let mut client = self.client(Use::Control)?;
        let call = client.transfer_leader(convert::transfer_to_wire(&request));
        let response = self.call(RPCTypes::TransferLeader, option.soft_ttl(), call).await?;
        convert::transfer_result_from_wire(&request, response).map_err(nonsense)
    }
}

impl NetStreamAppend<TypeConfig> for Route {
    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, append::Responses<'s>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
    {
        match self.log {
            Use::Control => Box::pin(append::heartbeats(self, input, option)),
            _ => Box::pin(append::stream(self, input)),
        }
    }
}

impl NetSnapshot<TypeConfig> for Route {
    type SnapshotData = SnapshotData;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot<CommittedLeaderId, u64, Peer, SnapshotData>,
        cancel: impl Future<Output = ReplicationClosed> + Send + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send::snapshot(self, vote, snapshot) => sent.map_err(StreamingError::from),
        }
    }
}

pub(super) type AppendStream<'s> =
    BoxStream<'s, Result<StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>>;
