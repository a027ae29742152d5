//! The operations that can be measured, one per file. Each says what a client sends and what
//! counts as an answer; when and how often is the driver's business.

mod fill;
mod get;
mod increment;
mod lease_keepalive;
mod lock;
mod put;
mod queue;
mod range;
mod recipe;
mod txn;
mod watch;

use std::future::Future;

use crate::dial::Channel;
use bytes::Bytes;

use crate::bench::client::{Payload, Random};

pub use get::Get;
pub use increment::Increment;
pub use lease_keepalive::LeaseKeepalive;
pub use lock::Lock;
pub use put::Put;
pub use queue::{Queue, QueueRecipe};
pub use range::Range;
pub use recipe::Recipe;
pub use txn::Txn;
pub use watch::Watchers;

/// One kind of operation.
pub trait Workload: Send + Sync + 'static {
    type Client: Operate;

    /// Brings the server into the state the operation needs; not measured.
    fn prepare(&self, channel: Channel) -> impl Future<Output = anyhow::Result<()>> + Send {
        let _ = channel;
        async { Ok(()) }
    }

    /// Makes client `id` of `clients`; not measured.
    fn client(
        &self,
        channel: Channel,
        id: ClientId,
    ) -> impl Future<Output = anyhow::Result<Self::Client>> + Send;
}

/// What one client does again and again.
pub trait Operate: Send + 'static {
    /// One operation, from request to answer.
    fn operate(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Cleans up after the run; not measured.
    fn close(self) -> impl Future<Output = ()> + Send
    where
        Self: Sized,
    {
        async {}
    }
}

/// Which of how many clients one is.
#[derive(Clone, Copy, Debug)]
pub struct ClientId {
    pub number: u32,
    pub clients: u32,
}

/// Why an operation has no answer.
#[derive(Clone, Debug)]
pub struct Failure {
    pub why: String,
    /// The server is away: asking again at once only burns the machine.
    pub unavailable: bool,
}

impl From<tonic::Status> for Failure {
    fn from(status: tonic::Status) -> Self {
        Self {
            why: format!("{:?}: {}", status.code(), status.message()),
            unavailable: status.code() == tonic::Code::Unavailable,
        }
    }
}

impl Failure {
    /// An answer that came and was not the right one.
    fn wrong(why: &str) -> Self {
        Self { why: why.to_owned(), unavailable: false }
    }
}

/// A client's walk over the keys.
#[derive(Clone, Debug)]
struct Keys {
    payload: Payload,
    random: Random,
    number: u64,
    step: u64,
}

impl Keys {
    fn new(payload: &Payload, id: ClientId) -> Self {
        Self {
            payload: payload.clone(),
            random: Random::new(u64::from(id.number) << 32 | 1),
            number: id.number.into(),
            step: id.clients.into(),
        }
    }

    fn next_key(&mut self) -> Bytes {
        let number = self.number;
        self.number += self.step;
        self.payload.pick(number, &mut self.random)
    }

    fn next_value(&mut self) -> Bytes {
        self.payload.value(&mut self.random)
    }

    fn next_stamped(&mut self, stamp: u64) -> Bytes {
        self.payload.stamped(stamp, &mut self.random)
    }
}
