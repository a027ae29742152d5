//! One put of one key.

use crate::dial::Channel;
use portunus_proto::etcdserverpb::PutRequest;
use portunus_proto::etcdserverpb::kv_client::KvClient;

use crate::bench::client::Payload;
use crate::bench::time::{Instant, now};
use crate::bench::workload::{ClientId, Failure, Keys, Operate, Workload};

/// Puts; for watchers their values say when they were written.
#[derive(Clone, Debug)]
pub struct Put {
    payload: Payload,
    stamped_since: Option<Instant>,
}

pub struct Client {
    kv: KvClient<Channel>,
    keys: Keys,
    stamped_since: Option<Instant>,
}

impl Put {
    pub fn new(payload: Payload) -> Self {
        Self { payload, stamped_since: None }
    }

    /// Puts whose values begin with the nanoseconds since `since`.
    pub fn stamped(payload: Payload, since: Instant) -> Self {
        Self { payload, stamped_since: Some(since) }
    }
}

impl Workload for Put {
    type Client = Client;

    async fn client(&self, channel: Channel, id: ClientId) -> anyhow::Result<Client> {
        Ok(Client {
            kv: KvClient::new(channel),
            keys: Keys::new(&self.payload, id),
            stamped_since: self.stamped_since,
        })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        let key = self.keys.next_key();
        let value = match self.stamped_since {
            Some(since) => self.keys.next_stamped((now() - since).as_nanos() as u64),
            None => self.keys.next_value(),
        };
        self.kv.put(PutRequest { key, value, ..PutRequest::default() }).await?;
        Ok(())
    }
}
