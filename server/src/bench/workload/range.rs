//! One read of many keys in order.

use crate::dial::Channel;
use portunus_proto::etcdserverpb::RangeRequest;
use portunus_proto::etcdserverpb::kv_client::KvClient;

use crate::bench::client::{MESSAGE_BYTES_MAX, Payload, Random};
use crate::bench::workload::{ClientId, Failure, Operate, Workload, fill};

/// Reads of `limit` neighbouring keys from a random one on.
#[derive(Clone, Debug)]
pub struct Range {
    pub payload: Payload,
    pub serializable: bool,
    /// Write all keys first.
    pub fill: bool,
    /// At most the key space.
    pub limit: u64,
}

pub struct Client {
    kv: KvClient<Channel>,
    range: Range,
    random: Random,
}

impl Workload for Range {
    type Client = Client;

    async fn prepare(&self, channel: Channel) -> anyhow::Result<()> {
        if self.fill {
            fill::fill(&self.payload, channel).await?;
        }
        Ok(())
    }

    async fn client(&self, channel: Channel, id: ClientId) -> anyhow::Result<Client> {
        Ok(Client {
            kv: KvClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX),
            range: self.clone(),
            random: Random::new(id.number.into()),
        })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        let starts = self.range.payload.key_space() - self.range.limit + 1;
        let request = RangeRequest {
            key: self.range.payload.key(self.random.next() % starts),
            range_end: Payload::keys_end(),
            limit: self.range.limit as i64,
            serializable: self.range.serializable,
            ..RangeRequest::default()
        };
        let found = self.kv.range(request).await?.get_ref().kvs.len();
        match found as u64 == self.range.limit {
            true => Ok(()),
            false => Err(Failure::wrong("fewer keys than asked for")),
        }
    }
}
