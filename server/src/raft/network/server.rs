//! The peer protocol's serving side: each call goes to openraft, or to the handler above.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use openraft::raft::{AppendEntriesRequest, StreamAppendError, StreamAppendResult};
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::{inquiry_server, peer_server};
use prometheus::IntCounter;
use tokio::sync::Mutex;
use tonic::{Request, Response, Status, Streaming};

use super::convert;
use super::forward_server::Forwards;
use super::identity::{self, Check, Identity};
use super::inquiry::InquiryServer;
use super::listener::PeerListener;
use super::{receive, tuning};
use crate::clock::Clock;
use crate::raft::applier::Stager;
use crate::raft::contact::Contact;
use crate::raft::metrics;
use crate::raft::read;
use crate::raft::state_machine::StateMachine;
use crate::raft::types::TypeConfig;

pub type Raft = openraft::Raft<TypeConfig, StateMachine>;

/// Serves one group's peers.
pub struct PeerServer {
    pub raft: Raft,
    pub stager: Box<dyn Stager>,
    pub clock: Clock,
    pub contact: Contact,
    pub forwards: Forwards,
    /// How long a read index round may take.
    pub round: Duration,
    /// Held while a snapshot comes in: two at once would only be in each other's way.
    pub receiving: Mutex<()>,
}

/// Serves on each listener until `stop` resolves, then cuts off what is left: streams between
/// peers have no end of their own.
pub async fn serve(
    server: PeerServer,
    listeners: Vec<PeerListener>,
    own: Identity,
    stop: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let inquiry = InquiryServer(server.forwards.handler.clone());
    let inquiry = inquiry_server::InquiryServer::new(inquiry);
    let service = peer_server::PeerServer::new(server)
        .max_decoding_message_size(tuning::MESSAGE_BYTES_MAX)
        .max_encoding_message_size(tuning::MESSAGE_BYTES_MAX);
    let service = tonic::service::interceptor::InterceptedService::new(service, Check(own));
    let mut serving = tokio::task::JoinSet::new();
    for listener in listeners {
        let incoming = listener.incoming()?;
        let router = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(tuning::KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(tuning::KEEPALIVE_TIMEOUT))
            .initial_stream_window_size(tuning::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(tuning::CONNECTION_WINDOW_BYTES)
            .max_frame_size(tuning::FRAME_BYTES)
            .add_service(service.clone())
            .add_service(inquiry.clone());
        serving.spawn(async move { router.serve_with_incoming(incoming).await });
    }
    tokio::select! {
        () = stop => Ok(()),
        Some(ended) = serving.join_next() => match ended {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(std::io::Error::other(error)),
            Err(error) => Err(std::io::Error::other(error)),
        },
    }
}

/// Raft itself has stopped; the caller tries another member.
fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}

#[tonic::async_trait]
impl peer_server::Peer for PeerServer {
    type AppendStream = BoxStream<'static, Result<wire::AppendResponse, Status>>;
    type ForwardStream = BoxStream<'static, Result<wire::ForwardReplies, Status>>;

    async fn vote(
        &self,
        request: Request<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        let request = convert::vote_request_from_wire(request.into_inner())?;
        let response = self.raft.vote(request).await.map_err(stopped)?;
        Ok(Response::new(convert::vote_response_to_wire(response)))
    }

    async fn pre_vote(
        &self,
        request: Request<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        let request = convert::vote_request_from_wire(request.into_inner())?;
        let response = self.raft.pre_vote(request).await.map_err(stopped)?;
        Ok(Response::new(convert::vote_response_to_wire(response)))
    }

    async fn heartbeat(
        &self,
        request: Request<wire::AppendRequest>,
    ) -> Result<Response<wire::AppendResponse>, Status> {
        let request = convert::append_from_wire(request.into_inner())?;
        let one = futures::stream::iter([request]);
        let mut responses = Box::pin(self.raft.stream_append(one));
        let result = responses.next().await.ok_or_else(|| stopped("raft has stopped"))?;
        let result = result.map_err(stopped)?;
        note_contact(&self.contact, &result);
        Ok(Response::new(convert::append_result_to_wire(result)))
    }

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let received = metrics::RECEIVED_BYTES.with_label_values(&[&sender(&request)]);
        let requests = readable(request.into_inner(), received);
        let contact = self.contact.clone();
        let responses = self.raft.stream_append(requests).map(move |result| match result {
            Ok(result) => {
                note_contact(&contact, &result);
                Ok(convert::append_result_to_wire(result))
            }
            Err(fatal) => Err(stopped(fatal)),
        });
        Ok(Response::new(Box::pin(responses)))
    }

    async fn transfer_leader(
        &self,
        request: Request<wire::TransferLeaderRequest>,
    ) -> Result<Response<wire::TransferLeaderResponse>, Status> {
        let request = convert::transfer_from_wire(request.into_inner())?;
        let result = self.raft.handle_transfer_leader(request).await.map_err(stopped)?;
        Ok(Response::new(convert::transfer_result_to_wire(result)))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotFrame>>,
    ) -> Result<Response<wire::SnapshotResponse>, Status> {
        let Ok(_alone) = self.receiving.try_lock() else {
            return Err(Status::aborted("another snapshot is being received"));
        };
        let from = sender(&request);
        let mut frames = request.into_inner();
        let (vote, meta) = receive::header(&mut frames).await?;
        let own =
            openraft::async_runtime::watch::WatchReceiver::borrow_watched(&self.raft.metrics())
                .vote;
        if own > vote {
            let vote = Some(convert::vote_to_wire(own));
            return Ok(Response::new(wire::SnapshotResponse { vote }));
        }
        tracing::info!(position = ?meta.last_log_id, "receiving a snapshot");
        let started = self.clock.now();
        let received = receive::body(frames, (vote, meta), &*self.stager).await;
        let took = self.clock.now().since(started);
        metrics::SNAPSHOT_SAVE_SECONDS.observe(took.as_secs_f64());
        let count = match &received {
            Ok(_) => &metrics::SNAPSHOTS_RECEIVED,
            Err(_) => &metrics::SNAPSHOTS_NOT_RECEIVED,
        };
        count.with_label_values(&[&from]).inc();
        let received = received?;
        metrics::RECEIVED_BYTES.with_label_values(&[&from]).inc_by(received.bytes);
        tracing::info!(bytes = received.bytes, "received a snapshot");
        let installed = self.raft.install_full_snapshot(received.vote, received.snapshot).await;
        let vote = Some(convert::vote_to_wire(installed.map_err(stopped)?.vote));
        Ok(Response::new(wire::SnapshotResponse { vote }))
    }

    async fn read_index(
        &self,
        _request: Request<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexResponse>, Status> {
        let round = read::lead(&self.raft, self.round).await;
        let position = round.map_err(|error| Status::unavailable(error.to_string()))?;
        let (term, index) = (position.leader_id.term, position.index);
        Ok(Response::new(wire::ReadIndexResponse { term, index }))
    }

    async fn forward(
        &self,
        request: Request<Streaming<wire::ForwardRequests>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        Ok(Response::new(self.forwards.serve(request.into_inner())))
    }

    async fn members(
        &self,
        _request: Request<wire::MembersRequest>,
    ) -> Result<Response<wire::MembersResponse>, Status> {
        let known = self.forwards.handler.members().ok_or_else(|| stopped("still starting"))?;
        let members = known.iter().map(|(id, peer)| convert::member_to_wire(*id, peer)).collect();
        Ok(Response::new(wire::MembersResponse { members }))
    }
}

/// Whoever appends is the leader, unless this member's vote is for another.
fn note_contact(contact: &Contact, result: &StreamAppendResult<TypeConfig>) {
    if !matches!(result, Err(StreamAppendError::HigherVote(_))) {
        contact.note();
    }
}

/// Who calls, as label; the call was checked to come from this cluster.
fn sender<T>(request: &Request<T>) -> String {
    identity::sender(request.metadata()).map_or_else(|| "unknown".to_owned(), metrics::label)
}

/// The requests of an append stream up to the first that cannot be read.
fn readable(
    requests: Streaming<wire::AppendRequest>,
    received: IntCounter,
) -> impl futures::Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + 'static {
    futures::stream::unfold((requests, received), |(mut requests, received)| async move {
        let request = match requests.message().await {
            Ok(request) => request?,
            Err(status) => {
                tracing::debug!(%status, "an append stream broke");
                return None;
            }
        };
        received.inc_by(payload_bytes(&request) as u64);
        match convert::append_from_wire(request) {
            Ok(request) => Some((request, (requests, received))),
            Err(error) => {
                tracing::warn!(%error, "an append cannot be read");
                None
            }
        }
    })
}

fn payload_bytes(request: &wire::AppendRequest) -> usize {
    use wire::entry::Payload;
    let payloads = request.entries.iter().map(|entry| match &entry.payload {
        Some(Payload::Effects(bytes)) => bytes.len(),
        _ => 0,
    });
    payloads.sum()
}
