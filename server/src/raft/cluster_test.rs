//! A cluster of groups in one process, over loopback: the harness of raft's tests.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::memory_test::{Gate, Log, Memory, Values};
use super::*;
use crate::types::{ClusterId, MemberId};

pub const CLUSTER: ClusterId = ClusterId(0xc1);
/// Whatever a test waits for must have happened by then.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub fn timing() -> Timing {
    Timing {
        heartbeat_interval: Duration::from_millis(50),
        election_timeout: Duration::from_millis(600),
    }
}

pub struct TestMember {
    pub id: u64,
    pub address: SocketAddr,
    /// Where others are told to reach it.
    pub advertised: SocketAddr,
    pub log: Log,
    pub values: Values,
    pub gate: Gate,
    pub staging: Arc<AtomicUsize>,
    pub handler: Arc<Echo>,
    /// Why it stopped, if it had to.
    pub fatal: Arc<Mutex<Option<String>>>,
    pub cluster: ClusterId,
    pub timing: Timing,
    group: Option<Group>,
}

impl TestMember {
    pub async fn new(id: u64, cluster: ClusterId, timing: Timing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let mut member = Self {
            id,
            address,
            advertised: address,
            log: Log::default(),
            values: Values::default(),
            gate: Gate::default(),
            staging: Arc::default(),
            handler: Arc::default(),
            fatal: Arc::default(),
            cluster,
            timing,
            group: None,
        };
        member.start_on(listener).await;
        member
    }

    async fn start_on(&mut self, listener: TcpListener) {
        let seen = self.fatal.clone();
        let options = Options {
            identity: Identity { cluster: self.cluster, member: MemberId(self.id) },
            timing: self.timing,
            listeners: vec![listener.into()],
            dialer: crate::tls::Dialer::new(Default::default()),
            fatal: Arc::new(move |reason| *seen.lock() = Some(reason.to_owned())),
        };
        let applier = Memory {
            values: self.values.clone(),
            gate: self.gate.clone(),
            staging: self.staging.clone(),
        };
        let log = self.log.clone();
        let group = Group::start(options, log, Box::new(applier), self.handler.clone()).await;
        self.group = Some(group.expect("the group starts"));
    }

    /// As a new process would, on the same address and data.
    pub async fn restart(&mut self) {
        let listener =
            eventually("the address is free", async || TcpListener::bind(self.address).ok());
        let listener = listener.await;
        self.start_on(listener).await;
    }

    pub async fn stop(&mut self) {
        if let Some(group) = self.group.take() {
            group.shutdown().await;
        }
    }

    pub fn group(&self) -> &Group {
        self.group.as_ref().expect("the member runs")
    }

    pub fn runs(&self) -> bool {
        self.group.is_some()
    }

    pub fn peer(&self) -> Peer {
        Peer {
            joining: false,
            name: format!("m{}", self.id),
            peer_urls: vec![format!("http://{}", self.advertised)],
            client_urls: Vec::new(),
        }
    }

    /// Waits until this member leads, and has a quorum's word for it.
    pub async fn leads(&self) -> u64 {
        eventually("the member leads", async || {
            let leadership = self.group().leadership().borrow().clone();
            if !leadership.is_leader {
                return None;
            }
            self.group().propose_blank(leadership.term).await.ok().map(|_| leadership.term)
        })
        .await
    }

    pub async fn has(&self, expected: &[Bytes]) {
        eventually("the member has the values", async || {
            (self.values.list() == expected).then_some(())
        })
        .await
    }
}

/// Answers with its own request, once it is let.
pub struct Echo {
    pub held: watch::Sender<bool>,
    pub begun: AtomicUsize,
}

impl Default for Echo {
    fn default() -> Self {
        Self { held: watch::Sender::new(false), begun: AtomicUsize::new(0) }
    }
}

impl PeerHandler for Echo {
    fn forward(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        self.begun.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let mut held = self.held.subscribe();
        Box::pin(async move {
            // A sender that is gone holds nobody.
            let _ = held.wait_for(|held| !held).await;
            request
        })
    }

    fn members(&self) -> Option<Vec<(u64, Peer)>> {
        None
    }

    fn roll(&self) -> BoxFuture<'static, Option<Roll>> {
        Box::pin(std::future::ready(None))
    }
}

pub struct Cluster {
    pub members: Vec<TestMember>,
}

impl Cluster {
    /// Three founders, all of which say so.
    pub async fn of_three() -> Self {
        Self::of_three_with(timing()).await
    }

    pub async fn of_three_with(timing: Timing) -> Self {
        let mut members = Vec::new();
        for id in 1..=3 {
            members.push(TestMember::new(id, CLUSTER, timing).await);
        }
        let cluster = Self { members };
        for member in &cluster.members {
            member.group().initialize(cluster.peers()).await.expect("founding works");
        }
        cluster
    }

    pub fn peers(&self) -> BTreeMap<u64, Peer> {
        self.members.iter().map(|member| (member.id, member.peer())).collect()
    }

    /// Waits until one of the running members leads; says which and in what term.
    pub async fn leader(&self) -> (usize, u64) {
        let found = eventually("some member leads", async || {
            for (at, member) in self.members.iter().enumerate().filter(|(_, m)| m.runs()) {
                let leadership = member.group().leadership().borrow().clone();
                let (true, term) = (leadership.is_leader, leadership.term) else { continue };
                if member.group().propose_blank(term).await.is_ok() {
                    return Some((at, term));
                }
            }
            None
        });
        found.await
    }

    pub async fn stop(mut self) {
        for member in &mut self.members {
            member.gate.open();
            member.stop().await;
        }
    }
}

/// Asks until there is an answer; gives up after [`PATIENCE`].
pub async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited in vain: {what}"),
    }
}

pub fn values(range: std::ops::Range<usize>) -> Vec<Bytes> {
    range.map(|number| Bytes::from(format!("value {number}"))).collect()
}

/// Proposes all at once, as a sequencer would, and waits for every outcome.
pub async fn propose_all(
    group: &Group,
    term: u64,
    values: &[Bytes],
) -> Vec<Result<Proposed, ProposeError>> {
    let fates: Vec<_> = values.iter().map(|value| group.propose(value.clone(), term)).collect();
    tokio::time::timeout(PATIENCE, futures::future::join_all(fates))
        .await
        .expect("every proposal meets its fate")
}
