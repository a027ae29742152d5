//! One watch stream.

use pb::watch_request::RequestUnion;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Rpc, Seen, events};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::fixture::{PATIENCE, Single};

/// A watch of one key from now on.
pub fn on(key: &'static str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: key.into(), ..Default::default() }
}

pub struct Conversation {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Conversation {
    pub async fn open(single: &Single) -> Self {
        Self::over(&mut single.rpc.clone()).await
    }

    /// Opens a stream on a connection of its own choice.
    pub async fn over(rpc: &mut Rpc) -> Self {
        let (requests, receiver) = mpsc::channel(16);
        let answers = rpc.watch.watch(ReceiverStream::new(receiver)).await;
        Self { requests, answers: answers.unwrap().into_inner() }
    }

    pub async fn create(&mut self, create: pb::WatchCreateRequest) {
        self.send(RequestUnion::CreateRequest(create)).await;
    }

    pub async fn cancel(&mut self, watch_id: i64) {
        self.send(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id })).await;
    }

    pub async fn request_progress(&mut self) {
        self.send(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    }

    async fn send(&mut self, request: RequestUnion) {
        let request = pb::WatchRequest { request_union: Some(request) };
        self.requests.send(request).await.expect("the stream is open");
    }

    pub async fn answer(&mut self) -> pb::WatchResponse {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        answer.expect("an answer comes").unwrap().expect("the stream goes on")
    }

    /// The next events of whatever watch, at least `count` of them.
    pub async fn events(&mut self, count: usize) -> Vec<Seen> {
        let mut seen = Vec::new();
        while seen.len() < count {
            seen.extend(events(&self.answer().await.events));
        }
        seen
    }
}
