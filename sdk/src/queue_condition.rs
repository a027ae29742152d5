//! What a queue condition may look like, what it is asked about, and its answer.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::bindings::host::portunus::plugin::types;
use crate::bindings::queue_condition::exports::portunus::plugin::queue_condition as wire;
use crate::error::Stop;
use crate::host::queues;
use crate::{Context, Error, QueueItem, Result, Time};

/// A first page is small, as most look at the first items only; each next one is larger.
const PAGE_FIRST: u32 = 16;
const PAGE_MAX: u32 = 256;

/// A queue that somebody wants to take items from.
#[derive(Debug)]
pub struct Queue(wire::Queue);

impl Queue {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.0.name
    }

    /// The name for use in a message; what is not UTF-8 in it is replaced.
    pub fn name_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0.name)
    }

    /// How many items may leave as far as the queue itself is concerned.
    pub fn ready_count(&self) -> u64 {
        self.0.ready
    }

    /// How many items are delivered and not acknowledged.
    pub fn in_flight_count(&self) -> u64 {
        self.0.in_flight
    }

    /// How many items this dequeue asks for; at least 1.
    pub fn wanted(&self) -> usize {
        self.0.wanted as usize
    }

    /// At most `limit` ready items in the order in which they would leave, after the first `skip`.
    pub fn ready(&self, skip: u32, limit: u32) -> Vec<QueueItem> {
        queues::ready(skip, limit)
    }

    /// The ready items in the order in which they would leave, read as they are asked for.
    pub fn items(&self) -> impl Iterator<Item = QueueItem> + use<> {
        let (mut skip, mut size, mut at_end) = (0, PAGE_FIRST, false);
        std::iter::from_fn(move || {
            if at_end {
                return None;
            }
            let page = queues::ready(skip, size);
            at_end = page.len() < size as usize;
            skip += size;
            size = (size * 4).min(PAGE_MAX);
            Some(page)
        })
        .flatten()
    }

    /// At most `limit` items that are delivered and not acknowledged, in order of their numbers.
    pub fn in_flight(&self, limit: u32) -> Vec<QueueItem> {
        queues::in_flight(limit)
    }

    /// Whether an item with this number is still in the queue: ready, delayed, in flight or dead.
    pub fn holds(&self, id: u64) -> bool {
        queues::holds(id)
    }
}

impl QueueItem {
    /// The header of this name, if the item has one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| &value[..])
    }

    /// The payload, from JSON.
    ///
    /// # Errors
    /// Refuses when it is not a `T` in JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        crate::tape::from_json(&self.payload).map_err(|error| {
            Error(Stop::Refuse(format!("the payload of item {} does not parse: {error}", self.id)))
        })
    }
}

/// The answer of a queue condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// The next items may leave, as many as are asked for.
    Ready,
    /// The items with these numbers may, in this order, each of them ready; none is to wait.
    Items(Vec<u64>),
    /// Nothing may leave yet: it is decided again when something that was read changes. What the
    /// plugin wrote is dropped.
    Wait,
    /// The same, but at this time in any case.
    WaitUntil(Time),
    /// The dequeue fails; the text reaches its caller.
    Refuse(String),
}

impl Readiness {
    /// Refuses; `reason` reaches the dequeue's caller.
    pub fn refuse(reason: impl Into<String>) -> Self {
        Readiness::Refuse(reason.into())
    }
}

/// What a queue condition may return: `Readiness`, or `Result<Readiness>` or `Result`, whose error
/// refuses or, made by [`wait`](crate::wait), waits.
#[diagnostic::on_unimplemented(
    message = "a queue condition cannot return `{Self}`",
    label = "this is no readiness",
    note = "write `fn condition(cx: &Context, queue: &Queue) -> Readiness`, or return `Result` or \
            `Result<Readiness>`, whose error refuses"
)]
pub trait IntoReadiness {
    /// The answer.
    fn into_readiness(self) -> Readiness;
}

impl IntoReadiness for Readiness {
    fn into_readiness(self) -> Readiness {
        self
    }
}

impl<E: Into<Error>> IntoReadiness for Result<Readiness, E> {
    fn into_readiness(self) -> Readiness {
        self.unwrap_or_else(|error| match error.into().0 {
            Stop::Refuse(reason) | Stop::Invalid(reason) => Readiness::Refuse(reason),
            Stop::Wait(None) => Readiness::Wait,
            Stop::Wait(Some(until)) => Readiness::WaitUntil(until),
        })
    }
}

impl<E: Into<Error>> IntoReadiness for Result<(), E> {
    fn into_readiness(self) -> Readiness {
        self.map(|()| Readiness::Ready).into_readiness()
    }
}

/// Serves one call. The bound says what the function has to look like.
pub fn ready<F, R>(condition: F, context: types::Context, queue: wire::Queue) -> wire::Readiness
where
    F: Fn(&Context, &Queue) -> R,
    R: IntoReadiness,
{
    crate::rt::init();
    match condition(&Context::of(context), &Queue(queue)).into_readiness() {
        Readiness::Ready => wire::Readiness::Ready,
        Readiness::Items(ids) if ids.is_empty() => wire::Readiness::Wait(None),
        Readiness::Items(ids) => wire::Readiness::Items(ids),
        Readiness::Wait => wire::Readiness::Wait(None),
        Readiness::WaitUntil(until) => wire::Readiness::Wait(Some(until.as_millis())),
        Readiness::Refuse(reason) => wire::Readiness::Refuse(reason),
    }
}
