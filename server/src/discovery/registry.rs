//! Discovery at an etcd, which may be one of ours: under a token it says how many members there
//! will be, and each of them signs on and waits for the others. Keys and texts are etcd's.

use std::sync::Arc;
use std::time::Duration;

use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::auth_client::AuthClient;
use portunus_proto::etcdserverpb::kv_client::KvClient;
use portunus_proto::mvccpb::KeyValue;
use prost::Message;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::config::Discovery;
use crate::tls::{ClientOptions, Connector, Dialer};
use crate::types::MemberId;

const PREFIX: &str = "/_etcd/registry";
/// How often it is looked who else has come.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Between attempts while nobody answers: it doubles up to the second of these.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(256));

/// Why this member does not become one of those that found the cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("discovery: size key not found")]
    SizeNotFound,
    #[error("discovery: size key is bad")]
    BadSize,
    #[error("discovery: cluster is full")]
    Full,
    #[error("discovery: invalid peer URL")]
    InvalidUrl,
    #[error("discovery: {endpoint} cannot be used: {why}")]
    Endpoint { endpoint: String, why: String },
    #[error("discovery: {0}")]
    Refused(String),
}

/// What a look at the registry shows.
#[derive(Debug, PartialEq, Eq)]
struct Signed {
    size: usize,
    /// Those that signed on: their keys and lists, in the order in which they came.
    members: Vec<(String, String)>,
}

impl Signed {
    /// False when others were faster and leave no room for `own`.
    fn has_room_for(&self, own: &str) -> bool {
        self.members.len() < self.size
            || self.members.iter().take(self.size).any(|(key, _)| key == own)
    }

    /// The list of all members once they have come.
    fn complete(&self) -> Option<Result<String, Error>> {
        let members = self.members.get(..self.size)?;
        let lists: Vec<&str> = members.iter().map(|(_, list)| list.as_str()).collect();
        let valid = lists.iter().all(|list| list.contains('='));
        Some(if valid { Ok(lists.join(",")) } else { Err(Error::InvalidUrl) })
    }
}

/// Signs `member` on with its own list of URLs, waits for the others, and returns all lists as the
/// text of `--initial-cluster`.
pub async fn join(options: &Discovery, member: MemberId, own: &str) -> Result<String, Error> {
    let registry = Registry::new(options)?;
    let key = registry.key(&format!("members/{member}"));
    if !registry.look().await?.has_room_for(&key) {
        return Err(Error::Full);
    }
    registry.sign_on(&key, own).await?;
    tracing::info!("member-id" = %member, "registered at the discovery service, waiting for peers");
    loop {
        let signed = registry.look().await?;
        if !signed.has_room_for(&key) {
            return Err(Error::Full);
        }
        if let Some(complete) = signed.complete() {
            return complete;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

struct Registry<'a> {
    options: &'a Discovery,
    channels: Vec<Channel>,
}

impl<'a> Registry<'a> {
    fn new(options: &'a Discovery) -> Result<Self, Error> {
        let dialer = Dialer::new(ClientOptions {
            identity: options.identity.clone(),
            trusted_ca_file: options.cacert.clone(),
            insecure_skip_verify: options.insecure_skip_verify,
            ..ClientOptions::default()
        });
        let channels = options.endpoints.iter().map(|endpoint| {
            let fail = |why: String| Error::Endpoint { endpoint: endpoint.clone(), why };
            channel(options, endpoint, &dialer).map_err(fail)
        });
        Ok(Self { options, channels: channels.collect::<Result<_, _>>()? })
    }

    fn key(&self, rest: &str) -> String {
        format!("{PREFIX}/{}/{rest}", self.options.token)
    }

    async fn look(&self) -> Result<Signed, Error> {
        let size = pb::RangeRequest {
            key: self.key("_config/size").into(),
            ..pb::RangeRequest::default()
        };
        let size = self.range(size).await?.into_iter().next().ok_or(Error::SizeNotFound)?;
        let size = std::str::from_utf8(&size.value).ok().and_then(|size| size.parse().ok());
        let size = size.filter(|size| *size > 0).ok_or(Error::BadSize)?;
        let prefix = self.key("members/");
        // The character that follows the slash ends the range.
        let end = format!("{}0", prefix.trim_end_matches('/'));
        let members = pb::RangeRequest {
            key: prefix.into(),
            range_end: end.into(),
            ..pb::RangeRequest::default()
        };
        let mut members = self.range(members).await?;
        members.sort_by_key(|kv| kv.create_revision);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let members = members.iter().map(|kv| (text(&kv.key), text(&kv.value))).collect();
        Ok(Signed { size, members })
    }

    async fn range(&self, range: pb::RangeRequest) -> Result<Vec<KeyValue>, Error> {
        let asked = self
            .ask(async |mut kv, token| kv.range(with_token(range.clone(), token)).await)
            .await?;
        let decoded = asked.into_inner().kvs.into_iter().map(KeyValue::decode);
        decoded.collect::<Result<_, _>>().map_err(|error| Error::Refused(error.to_string()))
    }

    async fn sign_on(&self, key: &str, own: &str) -> Result<(), Error> {
        let put = pb::PutRequest {
            key: key.to_owned().into(),
            value: own.to_owned().into(),
            ..pb::PutRequest::default()
        };
        self.ask(async |mut kv, token| kv.put(with_token(put.clone(), token)).await).await?;
        Ok(())
    }

    /// Asks one endpoint after the other, for as long as it takes: the registry may come later than
    /// those that want to register. Only a refusal ends it.
    async fn ask<T>(
        &self,
        call: impl AsyncFn(KvClient<Channel>, Option<String>) -> Result<T, Status>,
    ) -> Result<T, Error> {
        let mut pause = RETRY.0;
        loop {
            for channel in &self.channels {
                let asked = async {
                    let token = self.token(channel).await?;
                    call(KvClient::new(channel.clone()), token).await
                };
                let asked = tokio::time::timeout(self.options.request_timeout, asked).await;
                match asked.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")))
                {
                    Ok(answer) => return Ok(answer),
                    Err(status) if is_final(&status) => {
                        return Err(Error::Refused(status.message().to_owned()));
                    }
                    Err(status) => {
                        tracing::warn!(
                            why = status.message(),
                            "no answer of the discovery service"
                        );
                    }
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY.1);
        }
    }

    /// A token for the user to be, if there is one.
    async fn token(&self, channel: &Channel) -> Result<Option<String>, Status> {
        let Some((name, password)) = self.options.user.clone() else { return Ok(None) };
        let request = pb::AuthenticateRequest { name, password };
        let answer = AuthClient::new(channel.clone()).authenticate(request).await?;
        Ok(Some(answer.into_inner().token))
    }
}

fn is_final(status: &Status) -> bool {
    let passing =
        [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled, Code::Unknown, Code::Internal];
    !passing.contains(&status.code())
}

fn with_token<T>(message: T, token: Option<String>) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token.and_then(|token| MetadataValue::try_from(token).ok()) {
        request.metadata_mut().insert("token", token);
    }
    request
}

fn channel(options: &Discovery, endpoint: &str, dialer: &Arc<Dialer>) -> Result<Channel, String> {
    let url = match endpoint.contains("://") {
        true => endpoint.to_owned(),
        false if options.is_secure() => format!("https://{endpoint}"),
        false => format!("http://{endpoint}"),
    };
    let to = url.parse().map_err(|error: crate::tls::TargetError| error.to_string())?;
    let connector = Connector::new(dialer.clone(), to);
    let endpoint = connector.endpoint().map_err(|error| error.to_string())?;
    let endpoint = endpoint
        .connect_timeout(options.dial_timeout)
        .http2_keep_alive_interval(options.keepalive_time)
        .keep_alive_timeout(options.keepalive_timeout);
    Ok(endpoint.connect_with_connector_lazy(connector))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(size: usize, members: &[(&str, &str)]) -> Signed {
        let pair = |(key, list): &(&str, &str)| ((*key).to_owned(), (*list).to_owned());
        Signed { size, members: members.iter().map(pair).collect() }
    }

    #[test]
    fn the_first_that_come_are_the_members() {
        let two = signed(2, &[("a", "m0=http://a:1"), ("b", "m1=http://b:1"), ("c", "m2=x")]);
        assert_eq!(two.complete(), Some(Ok("m0=http://a:1,m1=http://b:1".into())));
        assert!(two.has_room_for("b"));
        assert!(!two.has_room_for("c"), "it came too late");
        let three = signed(3, &[("a", "m0=http://a:1"), ("b", "m1=http://b:1")]);
        assert_eq!(three.complete(), None);
        assert!(three.has_room_for("new"));
        assert_eq!(signed(1, &[("a", "nonsense")]).complete(), Some(Err(Error::InvalidUrl)));
    }
}
