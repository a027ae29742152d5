//! A watch stream as the protocol has it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::watch_request::RequestUnion;
use portunus_tests::{Rpc, Seen, events};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;

/// Reached only when an answer is missing.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct WatchStream {
    ask: mpsc::UnboundedSender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl WatchStream {
    pub async fn open(url: &str) -> Result<Self> {
        Self::over(&Rpc::connect(url).await?).await
    }

    pub async fn over(rpc: &Rpc) -> Result<Self> {
        let (ask, asked) = mpsc::unbounded_channel();
        let mut client = rpc.watch.clone();
        let answers = client.watch(UnboundedReceiverStream::new(asked)).await?.into_inner();
        Ok(Self { ask, answers })
    }

    pub fn say(&self, request: RequestUnion) -> Result<()> {
        let request = pb::WatchRequest { request_union: Some(request) };
        self.ask.send(request).context("the stream has ended")
    }

    pub fn create(&self, create: pb::WatchCreateRequest) -> Result<()> {
        self.say(RequestUnion::CreateRequest(create))
    }

    pub fn cancel(&self, watch_id: i64) -> Result<()> {
        self.say(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id }))
    }

    pub fn progress(&self) -> Result<()> {
        self.say(RequestUnion::ProgressRequest(pb::WatchProgressRequest {}))
    }

    pub async fn next(&mut self) -> Result<pb::WatchResponse> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        answer.context("no answer came")??.context("the stream has ended")
    }

    /// Creates a watch and waits until it is there.
    pub async fn watch(&mut self, create: pb::WatchCreateRequest) -> Result<pb::WatchResponse> {
        self.create(create)?;
        let answer = self.next().await?;
        ensure!(answer.created, "{answer:?}");
        Ok(answer)
    }

    /// Events of any watch until there are `count`.
    pub async fn events(&mut self, count: usize) -> Result<Vec<(i64, Seen)>> {
        let mut seen = Vec::new();
        while seen.len() < count {
            let answer = self.next().await?;
            ensure!(!answer.canceled && !answer.created, "{answer:?}");
            let id = answer.watch_id;
            seen.extend(events(&answer.events).into_iter().map(|event| (id, event)));
        }
        Ok(seen)
    }
}

pub fn on(key: &str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { key: key.to_owned().into(), ..Default::default() }
}

pub fn under(prefix: &str) -> pb::WatchCreateRequest {
    let mut end = prefix.as_bytes().to_vec();
    *end.last_mut().expect("a prefix is not empty") += 1;
    pb::WatchCreateRequest { range_end: end.into(), ..on(prefix) }
}
