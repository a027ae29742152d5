//! The names and keys in the messages of the queue service.

use portunus_proto::portunus::v1::{
    PutSequentialRequest, PutSequentialResponse, QueueAckRequest, QueueAckResponse,
    QueueConfigureRequest, QueueConsumeRequest, QueueDequeueRequest, QueueEnqueueRequest,
    QueueExplainRequest, QueueExtendRequest, QueueNackRequest, QueuePeekRequest, QueuePurgeRequest,
    QueueRedriveRequest, QueueRemoveRequest, QueueStatsRequest,
};
use tonic::Status;

use super::space::Namespace;
use super::table::{Enter, Leave};

macro_rules! named_by_queue {
    ($($message:ty),* $(,)?) => {$(
        impl Enter for $message {
            fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
                self.queue = space.enter(&self.queue);
                Ok(())
            }
        }
    )*};
}

named_by_queue!(
    QueueEnqueueRequest,
    QueueDequeueRequest,
    QueueConsumeRequest,
    QueueNackRequest,
    QueueExtendRequest,
    QueuePeekRequest,
    QueueStatsRequest,
    QueueRemoveRequest,
    QueuePurgeRequest,
    QueueExplainRequest,
    QueueRedriveRequest,
);

impl Enter for QueueAckRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.queue = space.enter(&self.queue);
        self.txn.as_mut().map_or(Ok(()), |txn| txn.enter(space))
    }
}

impl Leave for QueueAckResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.txn.as_mut().map_or(Ok(()), |txn| txn.leave(space))
    }
}

impl Enter for QueueConfigureRequest {
    /// A condition is a text that may name keys and queues as members know them.
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        let condition = self.condition.as_deref().unwrap_or("").trim();
        if !condition.is_empty() && !condition.starts_with("size") {
            return Err(Status::unimplemented(
                "portunus proxy: a condition that names keys cannot be given a prefix: set it at a \
                 member",
            ));
        }
        self.queue = space.enter(&self.queue);
        Ok(())
    }
}

impl Enter for PutSequentialRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.prefix = space.enter(&self.prefix);
        Ok(())
    }
}

impl Leave for PutSequentialResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        space.leave_any(&mut self.key)
    }
}
