//! Calls that are taken back when their leadership ends or begins anew, and requests that were
//! handed to a leader that has stopped.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use portunus_proto::portunus::peer::v1 as wire;
use portunus_proto::portunus::peer::v1::peer_server::{Peer as PeerRpc, PeerServer};
use tokio::sync::{Semaphore, oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request as Grpc, Response, Status, Streaming};

use super::answer::{Bounce, Delivery};
use super::error::Failure;
use super::hand_test::{Hand, put, put_revision};
use super::reign::Reign;
use super::sequencer::Resolved;
use crate::raft::{Leadership, MemberChange, Peer, ProposeError};

/// Far beyond what anything here takes; reached only when an answer never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A put whose entry raft has rejected, which the sequencer has not heard yet.
struct Rejected {
    hand: Hand,
    /// What the sequencer believes of who leads.
    says: watch::Sender<Leadership>,
    answer: oneshot::Receiver<Delivery>,
    fate: Resolved,
}

async fn rejected() -> Rejected {
    let mut hand = Hand::leading().await;
    let (says, heard) = watch::channel(hand.sequencer.leadership.borrow().clone());
    hand.sequencer.leadership = heard;
    hand.node.shared.group().reject_proposals([true]);
    let answer = hand.submit([put("k", "v")]).pop().unwrap();
    let fate = hand.sequencer.outstanding.next().await.expect("one entry is on its way");
    assert!(matches!(fate.1, Err(ProposeError::Rejected)), "{:?}", fate.1);
    Rejected { hand, says, answer, fate }
}

impl Rejected {
    /// Another leads, as far as the sequencer hears.
    fn depose(&mut self) -> Leadership {
        let before = self.says.borrow().clone();
        self.says.send_replace(Leadership { is_leader: false, leader: None, ..before.clone() });
        self.hand.sequencer.on_leadership();
        before
    }

    /// It leads again, and its blank entry is still on its way.
    fn elect(&mut self, leadership: Leadership) {
        self.says.send_replace(leadership);
        self.hand.sequencer.on_leadership();
        assert!(matches!(self.hand.sequencer.reign, Reign::Starting { .. }));
    }
}

async fn delivered(answer: oneshot::Receiver<Delivery>) -> Delivery {
    tokio::time::timeout(PATIENCE, answer).await.expect("an answer").expect("not dropped")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_taken_back_while_a_reign_begins_is_decided_once_it_has() {
    let mut rejected = rejected().await;
    let leadership = rejected.depose();
    rejected.elect(leadership);
    let Rejected { mut hand, fate, mut answer, .. } = rejected;
    hand.sequencer.on_resolved(fate);
    assert!(answer.try_recv().is_err(), "nothing is decided before the reign has begun");
    assert_eq!(hand.value("k"), None);
    hand.resolve().await;
    let revision = tokio::time::timeout(PATIENCE, put_revision(answer)).await;
    assert_eq!(revision.expect("the call is not forgotten"), 2);
    assert_eq!(hand.value("k").as_deref(), Some("v"));
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_taken_back_after_the_reign_is_handed_back_whole() {
    let mut rejected = rejected().await;
    rejected.depose();
    let Rejected { mut hand, fate, answer, .. } = rejected;
    hand.sequencer.on_resolved(fate);
    match delivered(answer).await {
        Err(Bounce::NotExecuted(ask, Failure::NotLeader)) => {
            assert_eq!(format!("{ask:?}"), format!("{:?}", put("k", "v")));
        }
        other => panic!("{other:?}"),
    }
    hand.resolve().await;
    assert_eq!(hand.value("k"), None);
    hand.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_entry_has_an_unknown_fate_is_never_decided_again() {
    let mut rejected = rejected().await;
    let leadership = rejected.depose();
    rejected.elect(leadership);
    let Rejected { mut hand, fate: (id, _), answer, .. } = rejected;
    hand.sequencer.on_resolved((id, Err(ProposeError::Unknown)));
    hand.resolve().await;
    let delivery = delivered(answer).await;
    assert!(matches!(delivery, Err(Bounce::Unknown(_))), "{delivery:?}");
    assert_eq!(hand.value("k"), None);
    hand.close().await;
}

/// A leader that was stopped: its connections stay, it takes requests, and it answers none.
struct Stopped {
    asked: Arc<Semaphore>,
}

type Never<T> = futures::stream::Pending<Result<T, Status>>;

#[tonic::async_trait]
impl PeerRpc for Stopped {
    type AppendStream = Never<wire::AppendResponse>;
    type ForwardStream = Never<wire::ForwardReplies>;

    async fn forward(
        &self,
        request: Grpc<Streaming<wire::ForwardRequests>>,
    ) -> Result<Response<Self::ForwardStream>, Status> {
        let (mut requests, asked) = (request.into_inner(), self.asked.clone());
        tokio::spawn(async move {
            while let Ok(Some(message)) = requests.message().await {
                asked.add_permits(message.requests.len());
            }
        });
        Ok(Response::new(futures::stream::pending()))
    }

    async fn append(
        &self,
        _: Grpc<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        Ok(Response::new(futures::stream::pending()))
    }

    async fn vote(
        &self,
        _: Grpc<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        std::future::pending().await
    }

    async fn pre_vote(
        &self,
        _: Grpc<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        std::future::pending().await
    }

    async fn heartbeat(
        &self,
        _: Grpc<wire::AppendRequest>,
    ) -> Result<Response<wire::AppendResponse>, Status> {
        std::future::pending().await
    }

    async fn transfer_leader(
        &self,
        _: Grpc<wire::TransferLeaderRequest>,
    ) -> Result<Response<wire::TransferLeaderResponse>, Status> {
        std::future::pending().await
    }

    async fn snapshot(
        &self,
        _: Grpc<Streaming<wire::SnapshotFrame>>,
    ) -> Result<Response<wire::SnapshotResponse>, Status> {
        std::future::pending().await
    }

    async fn read_index(
        &self,
        _: Grpc<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexResponse>, Status> {
        std::future::pending().await
    }

    async fn members(
        &self,
        _: Grpc<wire::MembersRequest>,
    ) -> Result<Response<wire::MembersResponse>, Status> {
        std::future::pending().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_handed_to_a_leader_that_stopped_is_given_up_once_another_leads() {
    const OTHER: u64 = 8;
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Semaphore::new(0));
    let service = PeerServer::new(Stopped { asked: asked.clone() });
    let incoming = TcpListenerStream::new(tokio::net::TcpListener::from_std(listener).unwrap());
    let serving = tonic::transport::Server::builder().add_service(service);
    let serving = tokio::spawn(serving.serve_with_incoming(incoming));

    // The other is no voter, so that this member leads without it, in its place as it were.
    let hand = Hand::leading().await;
    let other =
        Peer { name: "o".into(), peer_urls: vec![url], client_urls: Vec::new(), joining: false };
    hand.node.shared.group().change_members(MemberChange::AddLearner(OTHER, other)).await.unwrap();
    let asking = hand.node.ask_there(OTHER, put("k", "v"));
    let delivery = tokio::time::timeout(PATIENCE, asking).await.expect("it is given up");
    assert_eq!(asked.available_permits(), 1, "it reached the other, and may have been executed");
    assert!(
        matches!(delivery, Err(Bounce::Unknown(Failure::TimedOutLeaderFailed))),
        "{delivery:?}"
    );
    serving.abort();
    hand.close().await;
}
