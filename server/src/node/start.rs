//! Bringing a member up from its disk: the store first, then what the log holds beyond it, then
//! raft on top, then the threads and tasks that do the work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::applied::{Applied, Version};
use super::applier::Applier;
use super::bootstrap::is_known_to_peers;
use super::confirm::{Confirm, Rounds};
use super::corruption;
use super::duties::{self, AutoCompaction};
use super::forward::Door;
use super::handle::Node;
use super::lane::Lane;
use super::membership;
use super::metrics;
use super::past::{self, StoreRecords, WatchPast};
use super::pipeline::Pipeline;
use super::policies::Policies;
use super::position;
use super::reaper::Reaper;
use super::removal;
use super::restore::store_dir;
use super::sequencer::{Sequencer, Submission};
use super::shared::{Identity, Options, Shared};
use super::sole_voter::SoleVoter;
use super::space::Space;
use super::triggers::{self, Triggers};
use crate::auth::Caller;
use crate::clock::Clock;
use crate::effect::Attributes;
use crate::limits::REQUESTS_QUEUED_MAX;
use crate::machine::{self, State, What};
use crate::mvcc::History;
use crate::raft::{self, Group, LogId, LogStore, Peer, StoredMembership};
use crate::storage::{self, Store};
use crate::types::{MemberId, Revision};
use crate::wal::{self, Wal};
use crate::watch::{self as watch_hub, Hub};

/// Everything a member needs to start.
pub struct Parts {
    pub identity: Identity,
    pub options: Options,
    pub data_dir: PathBuf,
    pub clock: Clock,
    pub heartbeat: Duration,
    /// What this member publishes of itself.
    pub attributes: Attributes,
    /// Where peers reach this member, bound already.
    pub peer_listeners: Vec<raft::PeerListener>,
    /// How peers are called.
    pub dialer: Arc<crate::tls::Dialer>,
    /// The members a new cluster begins with, this one among them; none where it is not new.
    pub first_members: Vec<(MemberId, Peer)>,
    /// Where members may be asked who has not been told of any.
    pub peer_urls: Vec<String>,
    /// How this member is reached, where its data does not say.
    pub own_peer: Peer,
    /// Go on alone, without the members that the data names.
    pub force_new_cluster: bool,
    pub no_fsync: bool,
    /// Log entries kept for members that lag.
    pub catchup_entries: u64,
    pub progress_interval: Duration,
    pub auto_compaction: Option<AutoCompaction>,
    /// How often the leader compares all members' data; `None` is never.
    pub corrupt_check: Option<Duration>,
    /// How often it looks for a compaction to compare; `None` is never.
    pub compact_hash_check: Option<Duration>,
    /// The log's directory; `None` is the one below the data directory.
    pub wal_dir: Option<PathBuf>,
}

impl Parts {
    fn wal_dir(&self) -> PathBuf {
        self.wal_dir.clone().unwrap_or_else(|| self.data_dir.join("wal"))
    }
}

/// Why a member does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "data directory {path}: {why}: name one that this user can create and write with --data-dir"
    )]
    DataDir { path: String, why: String },
    #[error(transparent)]
    Store(#[from] storage::Error),
    #[error(transparent)]
    Log(#[from] wal::OpenError),
    #[error(transparent)]
    Contents(#[from] machine::LoadError),
    #[error(transparent)]
    Position(#[from] position::DamagedPosition),
    #[error(
        "the store had to be set aside and the log reaches back only to entry {first}: this \
         member cannot be brought back by itself; remove it from the cluster and add it anew, or \
         restore a backup"
    )]
    Unrestorable { first: u64 },
    #[error(
        "the write-ahead log in {path} is gone, and the store beside it is not: put the log back, \
         or remove this member from the cluster, delete its data directory and add it as a new \
         member; the only member of a cluster is restored from a backup"
    )]
    LogGone { path: String },
    #[error(
        "member {member} has already been bootstrapped, and {path} holds nothing of it: what it \
         has voted for and acknowledged is lost; put the data back, or remove the member from the \
         cluster and add it as a new one"
    )]
    Bootstrapped { member: MemberId, path: String },
    #[error(transparent)]
    TooNew(#[from] machine::TooNew),
    #[error(transparent)]
    Raft(#[from] raft::StartError),
    #[error("the log takes no other members: {0}")]
    Forced(#[source] std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(String),
}

/// What the disk holds.
struct Recovered {
    store: Store,
    state: State,
    history: History,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// Opens the data directory and starts the member. Returns once raft runs; whether there is a
/// leader yet is another question.
pub async fn start(mut parts: Parts) -> Result<Node, StartError> {
    let built = build(&mut parts).await?;
    let node = built.node.clone();
    launch(built, &parts);
    Ok(node)
}

/// A member whose raft runs, but not yet its own threads and tasks.
pub(super) struct Built {
    pub node: Node,
    pub submissions: mpsc::Receiver<Submission>,
    pub rounds: Rounds,
}

pub(super) async fn build(parts: &mut Parts) -> Result<Built, StartError> {
    metrics::register();
    prepare_dir(&parts.data_dir)?;
    let space = Arc::new(Space::new(&parts.data_dir));
    let sole_voter = Arc::new(SoleVoter::default());
    let wal = Arc::new(open_log(parts)?);
    let log = LogStore::new(wal.clone());
    // From the moment a membership is in the log, others may vote by it.
    let newest = sole_voter.clone();
    log.on_membership(move |membership| {
        newest.appended(membership.log_id.map_or(0, |at| at.index));
    });
    let alone = sole_voter.clone();
    log.wait_for_disk_while(move || alone.is_it());
    let Recovered { store, state, history, applied, membership } = bring_back(parts, &wal).await?;
    let (queue, submissions) = mpsc::channel(REQUESTS_QUEUED_MAX);
    let (confirm, rounds) = Confirm::new();
    let index = applied.map_or(0, |applied| applied.index);
    let term = applied.map_or(0, |applied| applied.leader_id.term);
    let store = Arc::new(store);
    let (revision, compacted) = (state.revision, state.compacted);
    let applied_state = Arc::new(Applied::new(Version { state, index }));
    let history = Arc::new(ArcSwap::from_pointee(history));
    let past = WatchPast {
        store: store.clone(),
        applied: applied_state.clone(),
        history: history.clone(),
    };
    let hub = Hub::new(revision, compacted, Arc::new(past), hub_options(parts));
    let shared = Arc::new(Shared {
        identity: parts.identity,
        options: parts.options.clone(),
        clock: parts.clock.clone(),
        attributes: parts.attributes.clone(),
        applied: applied_state,
        history,
        records: StoreRecords(store.clone()),
        store,
        written_behind: Mutex::new(index),
        forgotten: watch::Sender::new(0),
        hub: Arc::new(hub),
        pipeline: Pipeline::default(),
        confirm,
        lane: Lane::new(parts.clock.clone()),
        policies: Policies::default(),
        reaper: Reaper::start().map_err(|error| StartError::Thread(error.to_string()))?,
        space,
        queue,
        wal,
        sole_voter,
        term: AtomicU64::new(term),
        runtime: tokio::runtime::Handle::current(),
        members: ArcSwap::from_pointee(StoredMembership::default()),
        removed: watch::Sender::new(false),
        changing: tokio::sync::Mutex::default(),
        group: OnceLock::new(),
        reign: ArcSwap::from_pointee(None),
        reigns: watch::Sender::new(None),
        triggers: Triggers::default(),
    });
    let node = Node { shared: shared.clone(), caller: Caller::Server };
    let applier = Applier::new(shared, applied, membership);
    start_group(parts, &node, log, applier).await?;
    Ok(Built { node, submissions, rounds })
}

/// What the disk holds, if it fits together and to what the peers know of this member.
async fn bring_back(parts: &Parts, wal: &Wal) -> Result<Recovered, StartError> {
    let dir = store_dir(&parts.data_dir);
    let recovered = tokio::task::spawn_blocking(move || recover(&dir))
        .await
        .expect("recovery does not panic")?;
    machine::check_level(recovered.state.feature_level)?;
    check_fit(parts, wal, recovered.applied)?;
    check_unknown(parts, wal).await?;
    if parts.force_new_cluster {
        go_on_alone(parts, wal, &recovered.membership)?;
    }
    Ok(recovered)
}

async fn start_group(
    parts: &mut Parts,
    node: &Node,
    log: LogStore,
    applier: Applier,
) -> Result<(), StartError> {
    let door = Door::default();
    let options = group_options(parts);
    let group = Group::start(options, log, Box::new(applier), Arc::new(door.clone())).await?;
    if !parts.first_members.is_empty() {
        // A member that has a log takes no notice.
        group.initialize(first_members(parts)).await?;
    }
    assert!(node.shared.group.set(group).is_ok(), "a node is started once");
    // From now on peers may ask.
    assert!(door.0.set(node.clone()).is_ok(), "a node is started once");
    Ok(())
}

/// A member whose log is empty must be one that nobody has seen yet.
async fn check_unknown(parts: &Parts, wal: &Wal) -> Result<(), StartError> {
    if wal.last().is_none() && wal.vote().is_none() && is_known_to_peers(parts).await {
        let path = parts.data_dir.display().to_string();
        return Err(StartError::Bootstrapped { member: parts.identity.member, path });
    }
    Ok(())
}

/// Makes this member the only one, if it has a log. What the others have committed without it, and
/// the others themselves, are given up.
fn go_on_alone(parts: &Parts, wal: &Wal, known: &StoredMembership) -> Result<(), StartError> {
    if wal.last().is_none() {
        return Ok(());
    }
    let me = parts.identity.member.0;
    let peer = known.peers.get(&me).unwrap_or(&parts.own_peer).clone();
    let peers = [(me, peer)].into();
    let alone = StoredMembership { log_id: None, voters: vec![[me].into()], peers };
    raft::append_membership(wal, me, &alone).map_err(StartError::Forced)?;
    tracing::warn!(member = %MemberId(me), given_up = known.peers.len().saturating_sub(1),
        "forced to go on as the only member");
    Ok(())
}

/// Log and store must be of one history, without a gap between them.
fn check_fit(parts: &Parts, wal: &Wal, applied: Option<LogId>) -> Result<(), StartError> {
    // Its votes went with it: it could elect a leader that lacks what it has acknowledged.
    if wal.last().is_none() && wal.vote().is_none() && applied.is_some() {
        return Err(StartError::LogGone { path: parts.wal_dir().display().to_string() });
    }
    let reached = applied.map_or(0, |applied| applied.index);
    match wal.last().map(|_| wal.range().start) {
        Some(first) if reached + 1 < first => Err(StartError::Unrestorable { first }),
        _ => Ok(()),
    }
}

fn prepare_dir(dir: &Path) -> Result<(), StartError> {
    let fail = |why: std::io::Error| StartError::DataDir {
        path: dir.display().to_string(),
        why: why.to_string(),
    };
    std::fs::create_dir_all(dir).map_err(fail)?;
    let probe = dir.join(".writable");
    std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe)).map_err(fail)
}

fn open_log(parts: &Parts) -> Result<Wal, StartError> {
    let options = wal::Options {
        no_fsync: parts.no_fsync,
        clock: parts.clock.clone(),
        on_write: Some(Arc::new(|took| metrics::WAL_WRITE_SECONDS.observe(took.as_secs_f64()))),
        on_sync: Some(Arc::new(|took| metrics::WAL_FSYNC_SECONDS.observe(took.as_secs_f64()))),
        ..wal::Options::default()
    };
    let identity =
        wal::Identity { cluster: parts.identity.cluster.0, member: parts.identity.member.0 };
    Ok(Wal::open(&parts.wal_dir(), identity, options)?)
}

/// Opens the store and rebuilds the state from it. A damaged store is set aside and begun anew:
/// the log may hold everything.
fn recover(dir: &Path) -> Result<Recovered, StartError> {
    match read_store(dir) {
        Err(StartError::Store(error)) if error.is_damage() => set_aside(dir, &error),
        Err(StartError::Position(error)) => set_aside(dir, &error),
        Err(StartError::Contents(error)) => set_aside(dir, &error),
        other => other,
    }
}

fn set_aside(dir: &Path, why: &dyn std::error::Error) -> Result<Recovered, StartError> {
    tracing::error!(%why, "the store cannot be read and is set aside");
    Store::set_aside(dir)?;
    read_store(dir)
}

fn read_store(dir: &Path) -> Result<Recovered, StartError> {
    let options = storage::Options {
        on_fatal: Arc::new(|why| crate::fatal!(why, "the store cannot go on")),
        ..storage::Options::default()
    };
    let (store, _) = Store::open(dir, options)?;
    let mut rows: Vec<(Bytes, Bytes)> = Vec::new();
    let mut records: Vec<(Revision, What)> = Vec::new();
    store.load(
        |key, value| rows.push((key, value)),
        |at, record| records.push((at, past::what(record))),
    )?;
    let (applied, membership) = position::find(&rows)?;
    let (state, history) = machine::load(rows, records)?;
    Ok(Recovered { store, state, history, applied, membership })
}

fn group_options(parts: &mut Parts) -> raft::Options {
    raft::Options {
        identity: raft::Identity { cluster: parts.identity.cluster, member: parts.identity.member },
        timing: raft::Timing {
            heartbeat_interval: parts.heartbeat,
            election_timeout: parts.options.election_timeout,
        },
        listeners: std::mem::take(&mut parts.peer_listeners),
        dialer: parts.dialer.clone(),
        fatal: Arc::new(|why| crate::fatal!(why, "raft cannot go on")),
    }
}

fn first_members(parts: &Parts) -> BTreeMap<u64, Peer> {
    parts.first_members.iter().map(|(id, peer)| (id.0, peer.clone())).collect()
}

fn hub_options(parts: &Parts) -> watch_hub::Options {
    watch_hub::Options {
        progress_interval: parts.progress_interval,
        response_bytes_max: parts.options.max_request_bytes,
        ..watch_hub::Options::standard()
    }
}

fn launch(built: Built, parts: &Parts) {
    let Built { node, submissions, rounds } = built;
    let shared = &node.shared;
    let sequencer = Sequencer::new(shared.clone(), submissions);
    let thread = std::thread::Builder::new().name("sequencer".into());
    let run = move || {
        // Channels and timers only: a thread without IO is woken by a futex, which is cheaper.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime of one thread can be made").block_on(sequencer.run());
    };
    thread.spawn(run).expect("a thread can be started");
    shared.lane.start(shared);
    tokio::spawn(rounds.run(shared.clone()));
    tokio::spawn(duties::follow_term(shared.clone()));
    tokio::spawn(duties::follow_bindings(shared.clone()));
    tokio::spawn(duties::forget(shared.clone()));
    tokio::spawn(duties::purge(shared.clone(), parts.catchup_entries));
    tokio::spawn(membership::reconcile(shared.clone()));
    let (dialer, urls) = (parts.dialer.clone(), parts.peer_urls.clone());
    tokio::spawn(removal::watch(shared.clone(), dialer, urls));
    tokio::spawn(duties::watch_space(shared.clone()));
    tokio::spawn(triggers::follow(node.clone()));
    if let Some(mode) = parts.auto_compaction {
        tokio::spawn(duties::compact(node.clone(), mode));
    }
    if let Some(every) = parts.corrupt_check {
        tokio::spawn(corruption::watch_members(node.clone(), every));
    }
    if let Some(every) = parts.compact_hash_check {
        tokio::spawn(corruption::watch_compactions(node.clone(), every));
    }
}
