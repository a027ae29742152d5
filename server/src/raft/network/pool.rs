//! Connections to peers, one for each use, opened when first needed and kept.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use portunus_proto::portunus::peer::v1::peer_client::PeerClient;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use super::identity::{Identity, Mark};
use super::tuning;
use crate::clock::Clock;
use crate::raft::metrics;
use crate::raft::types::Peer;
use crate::tls::{self, Connector, Dialer};
use crate::types::MemberId;

pub type Client = PeerClient<InterceptedService<Channel, Mark>>;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    Control,
    Log,
    Snapshot,
    Forward,
}

/// A peer cannot be called at all.
#[derive(Debug, thiserror::Error)]
pub enum NoRoute {
    #[error("member {0} has no peer URL")]
    NoUrl(MemberId),
    #[error("peer URL {url} of member {member} cannot be used: {reason}")]
    BadUrl { member: MemberId, url: String, reason: String },
}

/// Shared by all that call peers.
pub struct Pool {
    pub own: Identity,
    pub clock: Clock,
    dialer: Arc<Dialer>,
    channels: Mutex<HashMap<(u64, Use), Open>>,
    /// Where members are now: a way to one outlives changes of its URLs.
    book: Mutex<HashMap<MemberId, Arc<[String]>>>,
    /// Members whose last call failed.
    silent: Mutex<HashSet<MemberId>>,
}

struct Open {
    url: String,
    channel: Channel,
}

impl Pool {
    pub fn new(own: Identity, dialer: Arc<Dialer>) -> Arc<Self> {
        Arc::new(Self {
            own,
            clock: Clock::system(),
            dialer,
            channels: Mutex::default(),
            book: Mutex::default(),
            silent: Mutex::default(),
        })
    }

    /// Takes note of where members are from now on. What is open to a URL that is no longer listed
    /// stays until it breaks or is asked for anew; members that are gone are forgotten.
    pub fn learn<'a>(&self, peers: impl IntoIterator<Item = (&'a u64, &'a Peer)>) {
        let entry = |(id, peer): (&u64, &Peer)| (MemberId(*id), peer.peer_urls.clone().into());
        let book: HashMap<MemberId, Arc<[String]>> = peers.into_iter().map(entry).collect();
        self.channels.lock().retain(|(id, _), _| book.contains_key(&MemberId(*id)));
        self.silent.lock().retain(|id| book.contains_key(id));
        *self.book.lock() = book;
    }

    fn urls(&self, target: &Target) -> Arc<[String]> {
        let known = self.book.lock().get(&target.member).cloned();
        known.unwrap_or_else(|| target.urls.clone())
    }

    /// Says once that a member does not answer, however often it is called meanwhile.
    pub fn note_failure(&self, member: MemberId, why: &str) {
        let label = metrics::label(member);
        metrics::SENT_FAILURES.with_label_values(&[&label]).inc();
        if self.silent.lock().insert(member) {
            metrics::DISCONNECTED.with_label_values(&[&label]).inc();
            tracing::warn!(%member, why, "a member does not answer");
        }
    }

    /// And once that it does again.
    pub fn note_answer(&self, member: MemberId) {
        if self.silent.lock().remove(&member) {
            tracing::info!(%member, "a member answers again");
        }
    }

    /// True while the last call to this member was answered, or none has been made.
    pub fn answers(&self, member: MemberId) -> bool {
        !self.silent.lock().contains(&member)
    }

    /// A client for one member. Must be called on the runtime that is to drive the connection.
    pub fn client(&self, target: &Target, purpose: Use) -> Result<Client, NoRoute> {
        let urls = self.urls(target);
        let url = target.choose(&urls)?;
        let mut channels = self.channels.lock();
        let open = match channels.get(&(target.member.0, purpose)) {
            Some(open) if open.url == url => open.channel.clone(),
            _ => {
                let (endpoint, connector) = self.endpoint(target.member, url)?;
                let channel = endpoint.connect_with_connector_lazy(connector);
                let open = Open { url: url.to_owned(), channel: channel.clone() };
                channels.insert((target.member.0, purpose), open);
                channel
            }
        };
        let mark = Mark { sender: self.own, target: target.member };
        Ok(PeerClient::with_interceptor(open, mark)
            .max_decoding_message_size(tuning::MESSAGE_BYTES_MAX)
            .max_encoding_message_size(tuning::MESSAGE_BYTES_MAX))
    }

    fn endpoint(&self, member: MemberId, url: &str) -> Result<(Endpoint, Connector), NoRoute> {
        let bad = |reason: String| NoRoute::BadUrl { member, url: url.to_owned(), reason };
        let to: tls::Target =
            url.parse().map_err(|error: tls::TargetError| bad(error.to_string()))?;
        let connector = Connector::new(self.dialer.clone(), to);
        let endpoint = connector.endpoint().map_err(|error| bad(error.to_string()))?;
        let endpoint = endpoint
            .connect_timeout(tuning::CONNECT_TIMEOUT)
            .http2_keep_alive_interval(tuning::KEEPALIVE_INTERVAL)
            .keep_alive_timeout(tuning::KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(tuning::STREAM_WINDOW_BYTES)
            .initial_connection_window_size(tuning::CONNECTION_WINDOW_BYTES)
            .max_frame_size(tuning::FRAME_BYTES);
        Ok((endpoint, connector))
    }
}

/// A member to call, at one of its URLs at a time.
#[derive(Debug)]
pub struct Target {
    pub member: MemberId,
    /// Where it was when this was made.
    urls: Arc<[String]>,
    at: AtomicUsize,
}

impl Target {
    pub fn new(member: u64, peer: &Peer) -> Self {
        Self {
            member: MemberId(member),
            urls: peer.peer_urls.clone().into(),
            at: AtomicUsize::new(0),
        }
    }

    fn choose<'a>(&self, urls: &'a [String]) -> Result<&'a str, NoRoute> {
        let at = self.at.load(Ordering::Relaxed);
        match urls.len() {
            0 => Err(NoRoute::NoUrl(self.member)),
            count => Ok(&urls[at % count]),
        }
    }

    /// The URL in use did not answer: the next call tries the next one.
    pub fn next_url(&self) {
        self.at.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Pool, Target};
    use crate::raft::network::Identity;
    use crate::raft::types::Peer;
    use crate::tls::{ClientOptions, Dialer};
    use crate::types::{ClusterId, MemberId};

    fn at(url: &str) -> Peer {
        Peer { peer_urls: vec![url.into()], ..Peer::default() }
    }

    #[test]
    fn a_way_to_a_member_follows_its_urls() {
        let own = Identity { cluster: ClusterId(1), member: MemberId(1) };
        let pool = Pool::new(own, Dialer::new(ClientOptions::default()));
        let target = Target::new(2, &at("http://old:1"));
        assert_eq!(target.choose(&pool.urls(&target)).unwrap(), "http://old:1");
        pool.learn([(&2, &at("http://new:1"))]);
        assert_eq!(target.choose(&pool.urls(&target)).unwrap(), "http://new:1");
        pool.note_failure(MemberId(2), "test");
        assert!(!pool.answers(MemberId(2)));
        pool.learn([(&3, &at("http://other:1"))]);
        assert!(pool.answers(MemberId(2)), "a member that is gone is forgotten");
    }
}
