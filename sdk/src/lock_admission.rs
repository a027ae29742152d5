//! What a lock admission may look like, what it is asked about, and its answer.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::bindings::host::portunus::plugin::types;
use crate::bindings::lock_admission::exports::portunus::plugin::lock_admission as wire;
use crate::error::Stop;
use crate::host::locks;
use crate::{Context, Error, LockMode, Place, Result, Time};

/// A request for a lock, and who else holds it or waits for it.
///
/// The holders belong to every decision; the waiters only to one that looks at them.
#[derive(Debug)]
pub struct Lock {
    name: Vec<u8>,
    place: Place,
    holders: Vec<Place>,
}

impl Lock {
    /// The lock's name, as the client gave it.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The name for use in a message; what is not UTF-8 in it is replaced.
    pub fn name_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }

    /// The request that is decided about.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Who holds the lock, in the order of their tokens; the request is not among them.
    pub fn holders(&self) -> &[Place] {
        &self.holders
    }

    /// All that wait, the request among them, in the order in which they came. A decision that
    /// asks for them is made again when anybody comes or goes.
    pub fn waiters(&self) -> Vec<Place> {
        locks::waiters()
    }

    /// Those that wait and came before the request, first come first. It reads all of
    /// [`Lock::waiters`].
    pub fn ahead(&self) -> Vec<Place> {
        let mut waiters = self.waiters();
        let own = waiters.iter().position(|waiter| waiter.lease == self.place.lease);
        waiters.truncate(own.unwrap_or(waiters.len()));
        waiters
    }

    /// Whether nobody who came before the request waits any more. A request that is told no and
    /// waits rests on the place before it and not on the holders: it is decided again when it is
    /// next, so a release wakes nobody else.
    pub fn is_next(&self) -> bool {
        locks::is_next()
    }

    /// What the lock's own rules say, for a plugin that adds to them: in order of arrival, an
    /// exclusive request alone, shared ones together, and permits while enough are left of those
    /// that the request names.
    pub fn native(&self) -> Admission {
        let alike = self.holders.iter().all(|holder| holder.mode == self.place.mode);
        let fits = match self.place.mode {
            LockMode::Exclusive => self.holders.is_empty(),
            LockMode::Shared => alike,
            LockMode::Permits => alike && self.weight_with_request() <= self.place.permits.into(),
        };
        if fits && self.is_next() { Admission::Admit } else { Admission::Wait }
    }

    /// What the holders weigh together with the request.
    pub fn weight_with_request(&self) -> u64 {
        let held: u64 = self.holders.iter().map(|holder| u64::from(holder.weight)).sum();
        held + u64::from(self.place.weight)
    }
}

impl Place {
    /// What the caller gave along, as text; none when it is not UTF-8. It is empty when the
    /// caller gave nothing.
    pub fn metadata_text(&self) -> Option<&str> {
        std::str::from_utf8(&self.metadata).ok()
    }

    /// What the caller gave along, from JSON; none when it gave nothing.
    ///
    /// # Errors
    /// Refuses when it is not a `T` in JSON.
    pub fn metadata_json<T: DeserializeOwned>(&self) -> Result<Option<T>> {
        if self.metadata.is_empty() {
            return Ok(None);
        }
        crate::tape::from_json(&self.metadata).map(Some).map_err(|error| {
            Error(Stop::Refuse(format!("the lock's metadata does not parse: {error}")))
        })
    }
}

/// The answer of a lock admission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Admission {
    /// The lock is the request's. What the plugin wrote happens in the same transaction.
    Admit,
    /// Not yet: the request keeps its place, and is decided again when something that was read
    /// changes. What the plugin wrote is dropped.
    Wait,
    /// The same, but at this time in any case.
    WaitUntil(Time),
    /// Never: the text reaches the caller, and its place is given up.
    Refuse(String),
}

impl Admission {
    /// Refuses; `reason` reaches the caller.
    pub fn refuse(reason: impl Into<String>) -> Self {
        Admission::Refuse(reason.into())
    }
}

/// What a lock admission may return: `Admission`, or `Result<Admission>` or `Result`, whose error
/// refuses or, made by [`wait`](crate::wait), waits.
#[diagnostic::on_unimplemented(
    message = "a lock admission cannot return `{Self}`",
    label = "this is no admission",
    note = "write `fn admission(cx: &Context, lock: &Lock) -> Admission`, or return `Result` or \
            `Result<Admission>`, whose error refuses"
)]
pub trait IntoAdmission {
    /// The answer.
    fn into_admission(self) -> Admission;
}

impl IntoAdmission for Admission {
    fn into_admission(self) -> Admission {
        self
    }
}

impl<E: Into<Error>> IntoAdmission for Result<Admission, E> {
    fn into_admission(self) -> Admission {
        self.unwrap_or_else(|error| match error.into().0 {
            Stop::Refuse(reason) | Stop::Invalid(reason) => Admission::Refuse(reason),
            Stop::Wait(None) => Admission::Wait,
            Stop::Wait(Some(until)) => Admission::WaitUntil(until),
        })
    }
}

impl<E: Into<Error>> IntoAdmission for Result<(), E> {
    fn into_admission(self) -> Admission {
        self.map(|()| Admission::Admit).into_admission()
    }
}

/// Serves one call. The bound says what the function has to look like.
pub fn admit<F, R>(
    admission: F,
    context: types::Context,
    request: wire::Request,
    holders: Vec<Place>,
) -> wire::Admission
where
    F: Fn(&Context, &Lock) -> R,
    R: IntoAdmission,
{
    crate::rt::init();
    let lock = Lock { name: request.name, place: request.place, holders };
    match admission(&Context::of(context), &lock).into_admission() {
        Admission::Admit => wire::Admission::Admit,
        Admission::Wait => wire::Admission::Wait(None),
        Admission::WaitUntil(until) => wire::Admission::Wait(Some(until.as_millis())),
        Admission::Refuse(reason) => wire::Admission::Refuse(reason),
    }
}
