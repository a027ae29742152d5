//! The Queue service of `portunus.v1`.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, stream};
use portunus_proto::portunus::v1::queue_ask::Ask;
use portunus_proto::portunus::v1::queue_said::Said;
use portunus_proto::portunus::v1::queue_server::Queue;
use portunus_proto::portunus::v1::{
    PutSequentialRequest, PutSequentialResponse, QueueAckRequest, QueueAckResponse, QueueAsk,
    QueueConfigureRequest, QueueConfigureResponse, QueueConsumeRequest, QueueDequeueRequest,
    QueueDequeueResponse, QueueEnqueueRequest, QueueEnqueueResponse, QueueExplainRequest,
    QueueExplainResponse, QueueExtendRequest, QueueExtendResponse, QueueNackRequest,
    QueueNackResponse, QueuePeekRequest, QueuePeekResponse, QueuePurgeRequest, QueuePurgeResponse,
    QueueRedriveRequest, QueueRedriveResponse, QueueRemoveRequest, QueueRemoveResponse, QueueSaid,
    QueueStatsRequest, QueueStatsResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::header_at;
use super::caller::acting;
use super::ending::Ending;
use super::status;
use crate::node::{Error, Node};

/// Serves our Queue service.
pub struct QueueService {
    pub node: Node,
    pub ending: Ending,
}

type Deliveries = Pin<Box<dyn Stream<Item = Result<QueueDequeueResponse, Status>> + Send>>;
type Answer<T> = Result<Response<T>, Status>;

impl QueueService {
    /// Asks the queue what does not wait for long.
    async fn ask(&self, node: &Node, ask: Ask) -> Result<QueueSaid, Status> {
        let whole = QueueAsk { ask: Some(ask), readiness: None };
        self.check_size(&whole)?;
        let ask = whole.ask.ok_or_else(status::answer_of_another_kind)?;
        node.queue(ask).await.map_err(status::of)
    }

    fn check_size(&self, message: &impl prost::Message) -> Result<(), Status> {
        match message.encoded_len() > self.node.max_request_bytes() {
            true => Err(status::request_too_large()),
            false => Ok(()),
        }
    }

    fn counted(said: &QueueSaid) -> u64 {
        match said.said {
            Some(Said::Count(count)) => count,
            _ => 0,
        }
    }
}

/// An answer with its header.
macro_rules! headed {
    ($self:ident, $revision:expr, $message:expr) => {{
        let header = Some(header_at($revision, &$self.node));
        let mut answer = Response::new($message);
        answer.get_mut().header = header;
        Ok(answer)
    }};
}

#[async_trait]
impl Queue for QueueService {
    async fn enqueue(&self, request: Request<QueueEnqueueRequest>) -> Answer<QueueEnqueueResponse> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let request = request.into_inner();
        self.check_size(&request)?;
        let said = tokio::select! {
            said = node.enqueue(request) => said.map_err(status::of)?,
            status = end => return Err(status),
        };
        match said.said {
            Some(Said::Enqueued(enqueued)) => headed!(self, said.revision, enqueued),
            _ => Err(status::answer_of_another_kind()),
        }
    }

    async fn dequeue(&self, request: Request<QueueDequeueRequest>) -> Answer<QueueDequeueResponse> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let request = request.into_inner();
        let patience = match u64::try_from(request.timeout_ms) {
            Ok(timeout) if timeout > 0 && request.wait => Some(Duration::from_millis(timeout)),
            _ => None,
        };
        let over = async {
            match patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            taken = node.dequeue(request) => {
                let (revision, taken) = taken.map_err(status::of)?;
                headed!(self, revision, taken)
            }
            () = over => headed!(self, 0, QueueDequeueResponse::default()),
            status = end => Err(status),
        }
    }

    type ConsumeStream = Deliveries;

    async fn consume(&self, request: Request<QueueConsumeRequest>) -> Answer<Deliveries> {
        let node = acting(&self.node, &request);
        let end = self.ending.of(request.metadata());
        let consumer = node.consume(request.into_inner()).await.map_err(status::of)?;
        let node = node.clone();
        let deliveries = stream::unfold(Some(consumer), move |consumer| {
            let node = node.clone();
            async move {
                let mut consumer = consumer?;
                let next = consumer.next().await;
                Some(match next {
                    Ok((revision, items)) => {
                        let header = Some(header_at(revision, &node));
                        (Ok(QueueDequeueResponse { header, ..items }), Some(consumer))
                    }
                    Err(error) => (Err(status::of(error)), None),
                })
            }
        });
        Ok(Response::new(Box::pin(end.cut(deliveries))))
    }

    async fn ack(&self, request: Request<QueueAckRequest>) -> Answer<QueueAckResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::Ack(request.into_inner())).await?;
        match said.said {
            Some(Said::Acked(acked)) => headed!(self, said.revision, acked),
            _ => Err(status::answer_of_another_kind()),
        }
    }

    async fn nack(&self, request: Request<QueueNackRequest>) -> Answer<QueueNackResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::Nack(request.into_inner())).await?;
        headed!(self, said.revision, QueueNackResponse::default())
    }

    async fn extend(&self, request: Request<QueueExtendRequest>) -> Answer<QueueExtendResponse> {
        let node = acting(&self.node, &request);
        let mut request = request.into_inner();
        request.own_lease = rand::random_range(1..=i64::MAX);
        let said = self.ask(&node, Ask::Extend(request)).await?;
        match said.said {
            Some(Said::Extended(extended)) => headed!(self, said.revision, extended),
            _ => Err(status::answer_of_another_kind()),
        }
    }

    async fn peek(&self, request: Request<QueuePeekRequest>) -> Answer<QueuePeekResponse> {
        let node = acting(&self.node, &request);
        let request = request.into_inner();
        node.check_prefix(&[&request.queue[..], b"/"].concat()).await.map_err(status::of)?;
        let peeked: Result<_, Error> = node.queue_peek(request).await;
        let (revision, items) = peeked.map_err(status::of)?;
        headed!(self, revision, QueuePeekResponse { header: None, items })
    }

    async fn stats(&self, request: Request<QueueStatsRequest>) -> Answer<QueueStatsResponse> {
        let node = acting(&self.node, &request);
        let queue = request.into_inner().queue;
        node.check_prefix(&[&queue[..], b"/"].concat()).await.map_err(status::of)?;
        let stats = node.queue_stats(queue).await;
        let (revision, stats) = stats.map_err(status::of)?;
        headed!(self, revision, stats)
    }

    async fn remove(&self, request: Request<QueueRemoveRequest>) -> Answer<QueueRemoveResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::Remove(request.into_inner())).await?;
        let removed = Self::counted(&said) > 0;
        headed!(self, said.revision, QueueRemoveResponse { header: None, removed })
    }

    async fn purge(&self, request: Request<QueuePurgeRequest>) -> Answer<QueuePurgeResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::Purge(request.into_inner())).await?;
        let removed = Self::counted(&said);
        headed!(self, said.revision, QueuePurgeResponse { header: None, removed })
    }

    async fn configure(
        &self,
        request: Request<QueueConfigureRequest>,
    ) -> Answer<QueueConfigureResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::Configure(request.into_inner())).await?;
        headed!(self, said.revision, QueueConfigureResponse::default())
    }

    async fn explain(&self, request: Request<QueueExplainRequest>) -> Answer<QueueExplainResponse> {
        let node = acting(&self.node, &request);
        let queue = request.into_inner().queue;
        node.check_prefix(&[&queue[..], b"/"].concat()).await.map_err(status::of)?;
        let explained = node.queue_explain(queue).await;
        let (revision, explained) = explained.map_err(status::of)?;
        headed!(self, revision, explained)
    }

    async fn redrive(&self, request: Request<QueueRedriveRequest>) -> Answer<QueueRedriveResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::Redrive(request.into_inner())).await?;
        match said.said {
            Some(Said::Redriven(redriven)) => headed!(self, said.revision, redriven),
            _ => Err(status::answer_of_another_kind()),
        }
    }

    async fn put_sequential(
        &self,
        request: Request<PutSequentialRequest>,
    ) -> Answer<PutSequentialResponse> {
        let node = acting(&self.node, &request);
        let said = self.ask(&node, Ask::PutSequential(request.into_inner())).await?;
        match said.said {
            Some(Said::Put(put)) => headed!(self, said.revision, put),
            _ => Err(status::answer_of_another_kind()),
        }
    }
}
