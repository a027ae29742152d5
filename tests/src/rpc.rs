//! The generated clients of every service, for requests that a client library cannot express.

use anyhow::{Context, Result};
use bytes::Bytes;
use portunus::tls::{ClientOptions, Connector, Dialer, Target};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::mvccpb::{Event, KeyValue};
use prost::Message;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

/// One connection and the clients over it. Cloning shares the connection.
#[derive(Clone)]
pub struct Rpc {
    pub channel: Channel,
    pub kv: pb::kv_client::KvClient<Channel>,
    pub watch: pb::watch_client::WatchClient<Channel>,
    pub lease: pb::lease_client::LeaseClient<Channel>,
    pub cluster: pb::cluster_client::ClusterClient<Channel>,
    pub maintenance: pb::maintenance_client::MaintenanceClient<Channel>,
    pub auth: pb::auth_client::AuthClient<Channel>,
}

impl Rpc {
    pub async fn connect(url: &str) -> Result<Self> {
        Ok(Self::over(Endpoint::from_shared(url.to_owned())?.connect().await?))
    }

    /// Connects to an https URL with the certificates of `client`.
    pub async fn secured(url: &str, client: &ClientOptions) -> Result<Self> {
        let target: Target = url.parse()?;
        let connector = Connector::new(Dialer::new(client.clone()), target);
        let endpoint = connector.endpoint()?;
        let channel = endpoint.connect_with_connector(connector).await.context("no connection")?;
        Ok(Self::over(channel))
    }

    /// The clients over a connection that is there.
    pub fn over(channel: Channel) -> Self {
        let answers = usize::MAX;
        Self {
            kv: pb::kv_client::KvClient::new(channel.clone()).max_decoding_message_size(answers),
            watch: pb::watch_client::WatchClient::new(channel.clone())
                .max_decoding_message_size(answers),
            lease: pb::lease_client::LeaseClient::new(channel.clone()),
            cluster: pb::cluster_client::ClusterClient::new(channel.clone()),
            maintenance: pb::maintenance_client::MaintenanceClient::new(channel.clone()),
            auth: pb::auth_client::AuthClient::new(channel.clone()),
            channel,
        }
    }
}

/// The key-values of an answer, which the messages keep encoded.
pub fn key_values(encoded: &[Bytes]) -> Vec<KeyValue> {
    encoded.iter().map(|kv| key_value(kv).expect("a key-value is not empty")).collect()
}

/// A single one; empty bytes are none.
pub fn key_value(encoded: &Bytes) -> Option<KeyValue> {
    (!encoded.is_empty()).then(|| KeyValue::decode(&encoded[..]).expect("a well-formed key-value"))
}

/// An event with its key-values decoded.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub deleted: bool,
    pub kv: KeyValue,
    pub prev_kv: Option<KeyValue>,
}

/// The events of a watch answer.
pub fn events(encoded: &[Bytes]) -> Vec<Seen> {
    let decoded = encoded.iter().map(|event| {
        let event = Event::decode(&event[..]).expect("a well-formed event");
        Seen {
            deleted: event.r#type() == portunus_proto::mvccpb::event::EventType::Delete,
            kv: key_value(&event.kv).expect("an event names its key"),
            prev_kv: key_value(&event.prev_kv),
        }
    });
    decoded.collect()
}

/// Code and text of a refusal.
pub fn refusal<T>(result: Result<T, tonic::Status>) -> (Code, String) {
    match result {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}
