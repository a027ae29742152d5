//! Queues of the fake cluster: items put in, taken out, acknowledged. The key `QUEUE/condition`
//! may hold `plugin NAME`, and then the plugin decides what leaves.

use std::rc::Rc;
use std::time::Duration;

use super::call::{Ask, Progress, Reply, Waiting};
use super::client::Client;
use super::cluster::State;
use super::draft::Draft;
use super::failure::Failure;
use super::plugin::Plugin;
use super::records::{self, ItemRecord};
use super::running::Subject;
use crate::bindings::queue_condition::exports::portunus::plugin::queue_condition as wire;
use crate::{QueueItem, Time};

/// The time of a claim.
const CLAIM: Duration = Duration::from_secs(30);

/// An item to be put in.
#[derive(Debug, Clone, Default)]
pub struct NewItem {
    payload: Vec<u8>,
    headers: Vec<(String, String)>,
    priority: u32,
}

impl NewItem {
    /// An item without headers, of the lowest priority.
    pub fn new(payload: impl AsRef<[u8]>) -> Self {
        Self { payload: payload.as_ref().to_vec(), ..Self::default() }
    }

    /// With a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Higher ones leave first.
    #[must_use]
    pub fn priority(self, priority: u32) -> Self {
        Self { priority, ..self }
    }
}

impl From<&str> for NewItem {
    fn from(payload: &str) -> Self {
        Self::new(payload)
    }
}

/// What the cluster keeps of a dequeue.
#[derive(Debug)]
pub(crate) struct DequeueAsk {
    name: Vec<u8>,
    wanted: u32,
    lease: i64,
}

/// A dequeue that was made: it waits, has its items, or was refused.
#[derive(Debug)]
pub struct Dequeue {
    waiting: Waiting,
    lease: i64,
}

impl Client {
    /// Puts an item in, and returns its number.
    ///
    /// # Errors
    /// A policy's refusal.
    pub fn enqueue(
        &self,
        queue: impl AsRef<[u8]>,
        item: impl Into<NewItem>,
    ) -> Result<u64, Failure> {
        let (queue, item) = (queue.as_ref(), item.into());
        let state = &mut *self.cluster.0.borrow_mut();
        let mut draft = Draft::on(&state.store);
        let last = [queue, b"/seq"].concat();
        let number = draft.get(&last).and_then(|item| String::from_utf8(item.value).ok());
        let id = number.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0) + 1;
        let record = ItemRecord {
            payload: item.payload,
            headers: item.headers,
            priority: item.priority,
            attempts: 0,
            enqueued: state.now,
        };
        draft.put(&last, id.to_string().as_bytes(), 0);
        draft.put(&records::ready_key(queue, item.priority, id), &records::encode(&record), 0);
        state.decide(draft, self.user.as_deref(), None)?;
        Ok(id)
    }

    /// Asks for at most `wanted` items, at once. It waits while none may leave. The claims end
    /// after half a minute.
    pub fn dequeue(&self, queue: impl AsRef<[u8]>, wanted: u32) -> Dequeue {
        let lease = self.cluster.grant_lease(CLAIM);
        let ask = DequeueAsk { name: queue.as_ref().to_vec(), wanted: wanted.max(1), lease };
        Dequeue { waiting: self.ask(Ask::Dequeue(Rc::new(ask))), lease }
    }

    /// An item is done. False when it was not in flight.
    ///
    /// # Errors
    /// A policy's refusal.
    pub fn ack(&self, queue: impl AsRef<[u8]>, id: u64) -> Result<bool, Failure> {
        let queue = queue.as_ref();
        let state = &mut *self.cluster.0.borrow_mut();
        let mut draft = Draft::on(&state.store);
        let was_taken = draft.delete(&records::single(&records::taken_key(queue, id))) > 0;
        draft.delete(&records::single(&records::claim_key(queue, id)));
        state.decide(draft, self.user.as_deref(), None)?;
        Ok(was_taken)
    }

    /// An item is not done: it is ready again. False when it was not in flight.
    ///
    /// # Errors
    /// A policy's refusal.
    pub fn nack(&self, queue: impl AsRef<[u8]>, id: u64) -> Result<bool, Failure> {
        let state = &mut *self.cluster.0.borrow_mut();
        let mut draft = Draft::on(&state.store);
        let was_taken = records::give_back(&mut draft, queue.as_ref(), id);
        state.decide(draft, self.user.as_deref(), None)?;
        Ok(was_taken)
    }
}

impl Dequeue {
    /// Whether it waits, woken or not.
    pub fn is_waiting(&self) -> bool {
        self.waiting.is_parked()
    }

    /// Whether something that was read for it has changed, or its time has come.
    pub fn is_woken(&self) -> bool {
        self.waiting.is_woken()
    }

    /// The time at which it will be woken in any case; none when it waits for no time.
    pub fn waits_until(&self) -> Option<Time> {
        self.waiting.waits_until()
    }

    /// How often it was decided about.
    pub fn runs(&self) -> usize {
        self.waiting.runs()
    }

    /// Decides about it again.
    ///
    /// # Panics
    /// When it is not woken: then the server would not ask either.
    pub fn run(&self) {
        self.waiting.run();
    }

    /// The items.
    ///
    /// # Errors
    /// Why the dequeue failed.
    ///
    /// # Panics
    /// While it waits.
    pub fn items(&self) -> Result<Vec<QueueItem>, Failure> {
        match self.waiting.reply()? {
            Reply::Items(items) => Ok(items),
            other => unreachable!("a dequeue's answer is items, not {other:?}"),
        }
    }

    /// The payloads of the items, as text.
    ///
    /// # Errors
    /// Why the dequeue failed.
    ///
    /// # Panics
    /// While it waits.
    pub fn texts(&self) -> Result<Vec<String>, Failure> {
        let text = |item: &QueueItem| String::from_utf8_lossy(&item.payload).into_owned();
        Ok(self.items()?.iter().map(text).collect())
    }

    /// Ends its claims, as when its client is gone: the items are ready again.
    pub fn expire(&self) {
        self.waiting.cluster.revoke_lease(self.lease);
    }
}

impl State {
    /// Decides about a dequeue on the newest state.
    pub(crate) fn try_dequeue(&mut self, ask: &DequeueAsk, user: Option<&str>) -> Progress {
        let ended = |failure| Progress::Ended(Err(failure));
        let mut draft = Draft::on(&self.store);
        draft.reads.extend(records::shelves(&ask.name));
        let plugin = match self.condition_of(&mut draft, &ask.name) {
            Ok(plugin) => plugin,
            Err(failure) => return ended(failure),
        };
        let wanted = ask.wanted as usize;
        let next = records::ready(&mut draft, &ask.name, 0, wanted);
        if next.is_empty() {
            return Progress::Parked { reads: draft.reads, until: None, woken: false };
        }
        let (mut draft, leaving) = match &plugin {
            None => (draft, next),
            Some(plugin) => match self.ask_condition(plugin, ask, draft, user) {
                (draft, Ok(wire::Readiness::Ready)) => (draft, next),
                (mut draft, Ok(wire::Readiness::Items(ids))) => {
                    match chosen(&mut draft, &ask.name, &ids, wanted) {
                        Ok(items) => (draft, items),
                        Err(reason) => return ended(refused(plugin, reason)),
                    }
                }
                (_, Ok(wire::Readiness::Wait(Some(until)))) if until <= self.now => {
                    let reason = "it waits until a time that is over".to_owned();
                    return ended(refused(plugin, reason));
                }
                (draft, Ok(wire::Readiness::Wait(until))) => {
                    return Progress::Parked { reads: draft.reads, until, woken: false };
                }
                (_, Ok(wire::Readiness::Refuse(reason))) => return ended(refused(plugin, reason)),
                (_, Err(why)) => {
                    let reason = format!("the queue condition failed: {why}");
                    return ended(refused(plugin, reason));
                }
            },
        };
        let taken = take(&mut draft, ask, leaving);
        let by = plugin.as_ref().map(|plugin| &plugin.name[..]);
        Progress::Ended(self.decide(draft, user, by).map(|_| Reply::Items(taken)))
    }

    /// The plugin that the queue's condition names.
    fn condition_of(&self, draft: &mut Draft, queue: &[u8]) -> Result<Option<Rc<Plugin>>, Failure> {
        let Some(item) = draft.get(&[queue, b"/condition"].concat()) else { return Ok(None) };
        let text = String::from_utf8_lossy(&item.value).into_owned();
        let name = text.trim().strip_prefix("plugin ").unwrap_or_else(|| {
            panic!("the kit knows conditions of the form `plugin NAME` only, not `{text}`")
        });
        let plugin = self.plugins.get(name.trim());
        let covers = |plugin: &&Rc<Plugin>| matches!(&plugin.condition, Some((prefix, _)) if queue.starts_with(prefix));
        match plugin.filter(covers) {
            Some(plugin) => Ok(Some(Rc::clone(plugin))),
            None => Err(Failure::UnknownPlugin(name.trim().to_owned())),
        }
    }

    fn ask_condition(
        &mut self,
        plugin: &Rc<Plugin>,
        ask: &DequeueAsk,
        draft: Draft,
        user: Option<&str>,
    ) -> (Draft, Result<wire::Readiness, String>) {
        let (prefix, check) = plugin.condition.clone().expect("it was chosen for having one");
        let mut look = draft.clone();
        let queue = wire::Queue {
            name: ask.name.clone(),
            ready: records::ready(&mut look, &ask.name, 0, usize::MAX).len() as u64,
            in_flight: records::in_flight(&mut look, &ask.name, usize::MAX).len() as u64,
            wanted: ask.wanted,
        };
        let context = plugin.context(&prefix, user);
        let subject = Subject::Queue { name: ask.name.clone() };
        self.run_about(draft, plugin, &prefix, subject, || check(context, queue))
    }
}

fn refused(plugin: &Plugin, reason: String) -> Failure {
    Failure::Refused { by: plugin.name.clone(), reason }
}

/// The ready items with these numbers, in this order.
fn chosen(
    draft: &mut Draft,
    queue: &[u8],
    ids: &[u64],
    wanted: usize,
) -> Result<Vec<QueueItem>, String> {
    let ready = records::ready(draft, queue, 0, usize::MAX);
    let find = |id: &u64| {
        let found = ready.iter().find(|item| item.id == *id).cloned();
        found.ok_or_else(|| format!("it lets item {id} leave, which is not ready"))
    };
    ids.iter().take(wanted).map(find).collect()
}

/// Moves the items to those in flight, each with a claim on the dequeue's lease.
fn take(draft: &mut Draft, ask: &DequeueAsk, mut leaving: Vec<QueueItem>) -> Vec<QueueItem> {
    for item in &mut leaving {
        item.attempts += 1;
        let record = ItemRecord {
            payload: item.payload.clone(),
            headers: item.headers.clone(),
            priority: item.priority,
            attempts: item.attempts,
            enqueued: item.enqueued,
        };
        draft.delete(&records::single(&records::ready_key(&ask.name, item.priority, item.id)));
        draft.put(&records::taken_key(&ask.name, item.id), &records::encode(&record), 0);
        draft.put(&records::claim_key(&ask.name, item.id), b"", ask.lease);
    }
    leaving
}
