//! A member whose sequencer and lane are driven by hand, one step at a time, and whose raft is real.

use std::net::TcpListener;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use portunus_proto::etcdserverpb as pb;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::answer::{Call, Delivery};
use super::ask::{Ask, Said};
use super::handle::Node;
use super::policies::Plugged;
use super::sequencer::{Sequencer, Submission};
use super::shared::{Identity, Options};
use super::start::{Built, Parts, build};
use crate::clock::Clock;
use crate::decide::{Deploy, RecipeCall, Refusal, Reply, Request};
use crate::effect::{Binding, Component, Plugin, Point};
use crate::raft::Peer;
use crate::types::{ClusterId, LeaseId, MemberId};
use crate::wasm::{
    Admission, CallError, Caller, Event, Handled, LockPlace, LockRequest, Outcome, QueueAsked,
    QueueReadiness, Verdict, View, Write,
};

/// Far beyond what anything takes; reached only when something never comes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A member whose sequencer is driven by hand, and whose raft is real.
pub struct Hand {
    pub node: Node,
    pub sequencer: Sequencer,
    pub rounds: tokio::task::JoinHandle<()>,
    pub dir: TempDir,
}

impl Hand {
    pub async fn elected() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let peer = Peer {
            name: "m".into(),
            peer_urls: vec![url],
            client_urls: Vec::new(),
            joining: false,
        };
        let mut parts = Parts {
            identity: Identity { cluster: ClusterId(1), member: MemberId(7) },
            options: Options {
                election_timeout: Duration::from_secs(1),
                max_txn_ops: 128,
                max_request_bytes: 1 << 20,
                quota_bytes: None,
                strict_reconfig_check: true,
                learners_max: 1,
                lease_checkpoint_interval: Duration::from_secs(300),
            },
            data_dir: dir.path().join("data"),
            clock: Clock::manual(),
            heartbeat: Duration::from_millis(100),
            attributes: Default::default(),
            peer_listeners: vec![listener.into()],
            dialer: crate::tls::Dialer::new(Default::default()),
            first_members: vec![(MemberId(7), peer)],
            peer_urls: Vec::new(),
            own_peer: Peer::default(),
            force_new_cluster: false,
            no_fsync: true,
            catchup_entries: 100,
            progress_interval: Duration::from_secs(600),
            auto_compaction: None,
            corrupt_check: None,
            compact_hash_check: None,
            wal_dir: None,
        };
        let Built { node, submissions, rounds } = build(&mut parts).await.unwrap();
        let mut leadership = node.leadership();
        leadership.wait_for(|now| now.is_leader).await.unwrap();
        let sequencer = Sequencer::new(node.shared.clone(), submissions);
        let rounds = tokio::spawn(rounds.run(node.shared.clone()));
        Self { node, sequencer, rounds, dir }
    }

    pub async fn leading() -> Self {
        let mut hand = Self::elected().await;
        hand.sequencer.on_leadership();
        hand.resolve().await;
        assert!(hand.sequencer.reign.leading().is_some());
        hand
    }

    /// Gives the sequencer one batch.
    pub fn submit(
        &mut self,
        asks: impl IntoIterator<Item = Ask>,
    ) -> Vec<oneshot::Receiver<Delivery>> {
        let (calls, answers): (Vec<_>, Vec<_>) = asks.into_iter().map(Call::new).unzip();
        let mut batch = calls.into_iter().map(Submission::Call).collect();
        self.sequencer.take(None, &mut batch);
        answers
    }

    /// Grants these leases, for a minute each.
    pub async fn grant(&mut self, leases: RangeInclusive<i64>) {
        let grant = |id| Ask::Decide(Request::LeaseGrant(pb::LeaseGrantRequest { id, ttl: 60 }));
        let granted = self.submit(leases.map(grant));
        self.resolve().await;
        for lease in granted {
            said(lease).await;
        }
    }

    /// Lets everything outstanding come home.
    pub async fn resolve(&mut self) {
        while let Some(resolved) = self.sequencer.outstanding.next().await {
            self.sequencer.on_resolved(resolved);
        }
    }

    /// Ends the member before its directory goes: a store without one stops the process.
    pub async fn close(self) {
        self.node.stop().await;
    }

    /// Deploys a plugin that is played by `script`.
    pub async fn plug(&mut self, name: &str, script: Script, bindings: Vec<Binding>) {
        let policies = &self.node.shared.policies;
        policies.stand_ins.lock().insert(name.to_owned(), Arc::new(script));
        let digest = Bytes::from(name.to_owned());
        let named = |binding: Binding| Binding {
            plugin: name.to_owned(),
            digest: digest.clone(),
            ..binding
        };
        let bindings = bindings.into_iter().map(named).collect();
        let plugin = Plugin {
            name: name.to_owned(),
            digest: digest.clone(),
            bindings,
            ..Default::default()
        };
        let components = vec![Component { digest: digest.clone(), bytes: digest }];
        let deploy = Deploy { plugins: vec![plugin], components, ..Default::default() };
        let answer = self.submit([Ask::Decide(Request::Deploy(deploy))]).pop().expect("one");
        self.resolve().await;
        said(answer).await;
    }

    /// Has the lane work off everything it has and the sequencer take it, once.
    pub fn turn(&mut self) -> bool {
        let Some(turn) = self.node.shared.lane.begin_turn() else { return false };
        self.node.shared.lane.end_turn(&self.node.shared, &turn);
        self.sequencer.take(None, &mut Vec::new());
        true
    }

    /// Takes turns and resolves until nothing is left to do.
    pub async fn work(&mut self) {
        loop {
            let worked = self.turn();
            self.resolve().await;
            if !worked {
                return;
            }
        }
    }

    pub fn value(&self, key: &str) -> Option<String> {
        self.node.shared.applied.with(|version| {
            let item = version.state.get(key.as_bytes())?;
            Some(String::from_utf8_lossy(item.value()).into_owned())
        })
    }
}

type Answering<A> = Box<dyn Fn(&mut dyn View, A) -> Result<(), String> + Send + Sync>;
type Recipe = Box<dyn Fn(&mut dyn View, &str, &str) -> Outcome + Send + Sync>;
type Admitting =
    Box<dyn Fn(&mut dyn View, &LockRequest<'_>, &[LockPlace]) -> Admission + Send + Sync>;
type Condition = Box<dyn Fn(&mut dyn View, &QueueAsked<'_>) -> QueueReadiness + Send + Sync>;
type Policy = Box<dyn Fn(&mut dyn View, &[Write<'_>]) -> Result<Verdict, CallError> + Send + Sync>;

/// A plugin that a test wrote in plain Rust.
pub struct Script {
    pub recipe: Recipe,
    pub policy: Policy,
    /// Told how many events there are.
    pub trigger: Answering<usize>,
    pub admission: Admitting,
    pub condition: Condition,
    pub functions: Vec<String>,
}

impl Default for Script {
    /// Allows everything and does nothing.
    fn default() -> Self {
        Self {
            recipe: Box::new(|_, _, _| Outcome::UnknownFunction),
            policy: Box::new(|_, _| Ok(Verdict::Allow)),
            trigger: Box::new(|_, _| Ok(())),
            admission: Box::new(|_, _, _| Admission::Admit),
            condition: Box::new(|_, _| QueueReadiness::Ready),
            functions: vec!["known".into()],
        }
    }
}

impl Plugged for Script {
    fn check(
        &self,
        view: &mut dyn View,
        _: Caller<'_>,
        writes: &[Write<'_>],
    ) -> Result<Verdict, CallError> {
        (self.policy)(view, writes)
    }

    fn handle(
        &self,
        view: &mut dyn View,
        _: Option<RangeInclusive<i64>>,
        events: &[Event<'_>],
    ) -> Result<Handled, CallError> {
        let handled = (self.trigger)(view, events.len());
        Ok(handled.map_or_else(Handled::Failed, |()| Handled::Done))
    }

    fn call(
        &self,
        view: &mut dyn View,
        _: Caller<'_>,
        function: &str,
        payload: &[u8],
    ) -> Result<Outcome, CallError> {
        Ok((self.recipe)(view, function, &String::from_utf8_lossy(payload)))
    }

    fn admit(
        &self,
        view: &mut dyn View,
        _: Caller<'_>,
        request: &LockRequest<'_>,
        holders: &[LockPlace],
    ) -> Result<Admission, CallError> {
        Ok((self.admission)(view, request, holders))
    }

    fn ready(
        &self,
        view: &mut dyn View,
        _: Caller<'_>,
        queue: &QueueAsked<'_>,
    ) -> Result<QueueReadiness, CallError> {
        Ok((self.condition)(view, queue))
    }

    fn functions(&self) -> &[String] {
        &self.functions
    }
}

/// A counter that answers with its new value, or waits for a key's being there.
pub fn counter() -> Script {
    let recipe = |view: &mut dyn View, function: &str, key: &str| match function {
        "add" => {
            let value = number(view, key) + 1;
            match view.put(key.as_bytes(), value.to_string().as_bytes(), LeaseId::NONE) {
                Ok(()) => Outcome::Done(value.to_string().into()),
                Err(refused) => Outcome::Refuse(refused.0),
            }
        }
        "read" => Outcome::Done(number(view, key).to_string().into()),
        "await" => match view.get(key.as_bytes()) {
            Ok(Some(item)) => Outcome::Done(item.value().to_vec()),
            Ok(None) => Outcome::Wait(None),
            Err(refused) => Outcome::Refuse(refused.0),
        },
        "sleep" => match key.parse() {
            Ok(until) if view.now_ms() < until => Outcome::Wait(Some(until)),
            Ok(_) => Outcome::Done(view.now_ms().to_string().into()),
            Err(_) => Outcome::Invalid("not a time".into()),
        },
        "idle" => Outcome::Wait(None),
        _ => Outcome::UnknownFunction,
    };
    Script { recipe: Box::new(recipe), ..Script::default() }
}

pub fn number(view: &mut dyn View, key: &str) -> i64 {
    let item = view.get(key.as_bytes()).expect("granted");
    item.map_or(0, |item| String::from_utf8_lossy(item.value()).parse().expect("a number"))
}

pub fn binding(point: Point, prefix: &'static str) -> Binding {
    Binding { point, prefix: prefix.into(), ..Binding::default() }
}

pub fn call(plugin: &str, function: &str, payload: &str) -> Ask {
    let (plugin, function) = (plugin.to_owned(), function.to_owned());
    let payload = payload.to_owned().into();
    Ask::Decide(Request::Call(RecipeCall { plugin, function, payload, caller: String::new() }))
}

/// What a recipe answered, as text, and the revision.
pub async fn called(answer: oneshot::Receiver<Delivery>) -> (String, i64) {
    match said(answer).await {
        Said::Reply(Reply::Called { revision, payload }) => {
            (String::from_utf8_lossy(&payload).into_owned(), revision)
        }
        other => panic!("{other:?}"),
    }
}

pub async fn refusal(answer: oneshot::Receiver<Delivery>) -> Refusal {
    executed(answer).await.expect_err("refused")
}

pub fn put(key: &str, value: &str) -> Ask {
    let (key, value) = (key.to_owned().into(), value.to_owned().into());
    Ask::Decide(Request::Put(pb::PutRequest { key, value, ..Default::default() }))
}

pub async fn said(answer: oneshot::Receiver<Delivery>) -> Said {
    executed(answer).await.expect("not refused")
}

/// Fails where an answer never comes, instead of hanging.
async fn executed(answer: oneshot::Receiver<Delivery>) -> Result<Said, Refusal> {
    let answer = tokio::time::timeout(PATIENCE, answer).await;
    answer.expect("an answer in time").expect("answered").expect("executed").result
}

pub async fn put_revision(answer: oneshot::Receiver<Delivery>) -> i64 {
    match said(answer).await {
        Said::Reply(Reply::Put(reply)) => reply.header.expect("a header").revision,
        other => panic!("{other:?}"),
    }
}

/// Asks, has the lane do its part, and returns what was said.
pub async fn one(hand: &mut Hand, ask: Ask) -> Said {
    let answer = hand.submit([ask]).pop().expect("one");
    hand.work().await;
    said(answer).await
}
