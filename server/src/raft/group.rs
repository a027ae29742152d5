//! The handle of a raft group: everything that the node above does with raft goes through it.
//!
//! A group runs on a runtime of its own with one thread, so that no load elsewhere delays a
//! heartbeat; what runs for other members' requests runs on the runtime that started the group.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::storage::RaftLogStorage;
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use super::applier::Applier;
use super::contact::Contact;
use super::fatal::{Fatal, FatalHook};
use super::leadership::{self, Leadership};
use super::network::{
    self, Forwarder, Forwards, Identity, Network, PeerHandler, PeerListener, PeerRaft, PeerServer,
    Pool,
};
use super::propose::Proposer;
use super::snapshot::Pins;
use super::state_machine::StateMachine;
use super::timing::Timing;
use super::types::{Peer, StoredMembership, TypeConfig};
use super::{ForwardError, ProposeError, Proposed};
use crate::tls::Dialer;
use crate::types::MemberId;

/// How a group is to run.
pub struct Options {
    pub identity: Identity,
    pub timing: Timing,
    /// Where peers are served; bound by the caller, who can say which address is taken.
    pub listeners: Vec<PeerListener>,
    /// How peers are called.
    pub dialer: Arc<Dialer>,
    /// Told why when raft cannot go on; expected to stop the process.
    pub fatal: FatalHook,
}

/// Why a group did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("the timing is not possible: {0}")]
    Timing(#[from] openraft::ConfigError),
    #[error("cannot start raft's thread: {0}")]
    Runtime(#[source] std::io::Error),
    #[error("raft cannot start from what is on disk: {0}")]
    State(String),
}

/// A running group. Dropping it stops it without ceremony.
pub struct Group {
    pub(super) raft: PeerRaft,
    pub(super) identity: Identity,
    pub(super) timing: Timing,
    pub(super) pool: Arc<Pool>,
    pub(super) pins: Pins,
    proposer: Proposer,
    forwarder: Forwarder,
    leadership: watch::Receiver<Leadership>,
    fatal: Fatal,
    stop: watch::Sender<bool>,
    /// The runtime that started the group.
    pub(super) outside: Handle,
    runtime: Mutex<Option<Runtime>>,
}

impl Group {
    /// Starts from what `log` and `applier` hold, and serves peers. A member that is the only
    /// voter leads within milliseconds.
    pub async fn start<L: RaftLogStorage<TypeConfig>>(
        options: Options,
        log: L,
        applier: Box<dyn Applier>,
        handler: Arc<dyn PeerHandler>,
    ) -> Result<Self, StartError> {
        let Options { identity, timing, listeners, dialer, fatal } = options;
        let config = timing.config()?;
        let (pins, fatal) = (Pins::default(), Fatal::new(fatal));
        let pool = Pool::new(identity, dialer);
        let stager = applier.stager();
        let sole = applier.applied().1.is_sole_voter(identity.member.0);
        let runtime = runtime().map_err(StartError::Runtime)?;
        let machine = StateMachine::new(applier, pins.clone(), fatal.clone());
        let network = Network::new(pool.clone());
        let starting = runtime.spawn(async move {
            let raft = PeerRaft::new(identity.member.0, config, network, log, machine).await?;
            if sole {
                raft.trigger().elect(false).await?;
            }
            Ok::<_, openraft::errors::Fatal<TypeConfig>>(raft)
        });
        let raft = match starting.await {
            Ok(Ok(raft)) => raft,
            Ok(Err(error)) => return Err(abandon(runtime, error.to_string())),
            Err(panic) => return Err(abandon(runtime, panic.to_string())),
        };
        let outside = Handle::current();
        let contact = Contact::new(pool.clock.clone());
        let (stop, stopping) = watch::channel(false);
        let forwards = Forwards { handler, runtime: outside.clone() };
        let server = PeerServer {
            raft: raft.clone(),
            stager,
            clock: pool.clock.clone(),
            contact: contact.clone(),
            forwards,
            round: timing.round(),
            receiving: tokio::sync::Mutex::new(()),
        };
        runtime.spawn(serve(server, listeners, identity, stopping, fatal.clone()));
        let (tell, leadership) = watch::channel(Leadership::default());
        let heard = (contact, timing);
        runtime.spawn(leadership::follow(raft.clone(), heard, pool.clone(), tell, fatal.clone()));
        Ok(Self {
            proposer: Proposer::new(raft.clone()),
            forwarder: Forwarder::new(pool.clone(), outside.clone()),
            raft,
            identity,
            timing,
            pool,
            pins,
            leadership,
            fatal,
            stop,
            outside,
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Proposes an encoded entry for `term`. Calls from one task keep their order in the log; the
    /// returned future resolves once the fate is known, which may be long after leadership is lost.
    pub fn propose(
        &self,
        entry: Bytes,
        term: u64,
    ) -> impl Future<Output = Result<Proposed, ProposeError>> + Send + use<> {
        self.proposer.propose(entry, term)
    }

    /// Proposes an entry without content for `term`: once applied, so is everything before it.
    pub fn propose_blank(
        &self,
        term: u64,
    ) -> impl Future<Output = Result<Proposed, ProposeError>> + Send + use<> {
        self.proposer.propose(Bytes::new(), term)
    }

    /// Rejects proposals by a pattern, in openraft itself, as an expired lease would: `true` stands
    /// for a proposal to reject. Proposals after the pattern are untouched.
    #[cfg(test)]
    pub fn reject_proposals(&self, pattern: impl IntoIterator<Item = bool>) {
        self.proposer.reject(pattern);
    }

    /// Has `member` execute a request; see [`Forwarder::forward`].
    pub async fn forward(&self, member: u64, request: Bytes) -> Result<Bytes, ForwardError> {
        let peer = self.peer(member).ok_or(ForwardError::NotExecuted)?;
        self.forwarder.forward(member, &peer, request).await
    }

    pub(super) fn peer(&self, member: u64) -> Option<Peer> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics.membership_config.membership().get_node(&member).cloned()
    }

    /// Follows who leads.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// The members as the newest entry of this member's log states them, committed or not.
    pub fn membership(&self) -> StoredMembership {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        StoredMembership::from(&*metrics.membership_config)
    }

    /// True unless the last call to this peer had no answer.
    pub fn answers(&self, member: MemberId) -> bool {
        self.pool.answers(member)
    }

    /// Founds a cluster of these voters. Every one of them may say so, with the same set, and say
    /// it again: a member whose log is not empty takes no notice.
    pub async fn initialize(&self, members: BTreeMap<u64, Peer>) -> Result<(), StartError> {
        use openraft::errors::{InitializeError, RaftError};
        match self.raft.initialize(members).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(StartError::State(error.to_string())),
        }
    }

    /// Stops in order: no more proposals, votes or appends; what the log has accepted stays.
    pub async fn shutdown(&self) {
        self.fatal.silence();
        if self.raft.shutdown().await.is_err() {
            tracing::warn!("raft's task had ended before its shutdown");
        }
        // The server may have ended before.
        let _ = self.stop.send(true);
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.fatal.silence();
        if let Some(runtime) = self.runtime.lock().take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("raft")
        .enable_all()
        .build()
}

/// A runtime must not be dropped where it could block.
fn abandon(runtime: Runtime, reason: String) -> StartError {
    runtime.shutdown_background();
    StartError::State(reason)
}

async fn serve(
    server: PeerServer,
    listeners: Vec<PeerListener>,
    own: Identity,
    mut stopping: watch::Receiver<bool>,
    fatal: Fatal,
) {
    let stop = async move {
        // The group is gone when its sender is.
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    if let Err(error) = network::serve(server, listeners, own, stop).await {
        fatal.raise(&format!("cannot serve peers: {error}"));
    }
}

/// How long a purge waits for openraft to learn how far snapshots reach.
pub(super) const POSITION_TIMEOUT: Duration = Duration::from_secs(5);
