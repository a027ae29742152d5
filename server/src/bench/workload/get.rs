//! One read of one key.

use crate::dial::Channel;
use portunus_proto::etcdserverpb::RangeRequest;
use portunus_proto::etcdserverpb::kv_client::KvClient;

use crate::bench::client::{MESSAGE_BYTES_MAX, Payload};
use crate::bench::workload::{ClientId, Failure, Keys, Operate, Workload, fill};

/// Reads of a key that exists.
#[derive(Clone, Debug)]
pub struct Get {
    pub payload: Payload,
    pub serializable: bool,
    /// Write all keys first.
    pub fill: bool,
}

pub struct Client {
    kv: KvClient<Channel>,
    keys: Keys,
    serializable: bool,
}

impl Workload for Get {
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
            keys: Keys::new(&self.payload, id),
            serializable: self.serializable,
        })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        let request = RangeRequest {
            key: self.keys.next_key(),
            serializable: self.serializable,
            ..RangeRequest::default()
        };
        match self.kv.range(request).await?.get_ref().kvs.len() {
            1 => Ok(()),
            _ => Err(Failure::wrong("the key is not there")),
        }
    }
}
