//! What a trigger may look like, what it is told, and its answer.

use std::fmt::Display;
use std::ops::Deref;

use crate::bindings::host::portunus::plugin::types;
use crate::{Context, Event, Missed};

/// The events of one or more whole revisions, in order, and whether any before them are lost.
///
/// It is a slice of [`Event`] otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    missed: Option<Missed>,
    events: Vec<Event>,
}

impl Batch {
    #[doc(hidden)]
    pub fn of(missed: Option<Missed>, events: Vec<Event>) -> Self {
        Self { missed, events }
    }

    /// Revisions that were compacted away before the trigger came to them: what they changed is
    /// not among the events. Look at the store for what is there now.
    pub fn missed(&self) -> Option<Missed> {
        self.missed
    }

    /// The events; may be empty when some were missed.
    pub fn events(&self) -> &[Event] {
        &self.events
    }
}

impl Deref for Batch {
    type Target = [Event];

    fn deref(&self) -> &[Event] {
        &self.events
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Event;
    type IntoIter = std::slice::Iter<'a, Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.iter()
    }
}

/// What a trigger may be told: `&[Event]`, or `&Batch` to be told of missed revisions as well.
#[diagnostic::on_unimplemented(
    message = "a trigger cannot be told `&{Self}`",
    label = "neither `&[Event]` nor `&Batch`",
    note = "write `fn trigger(cx: &Context, events: &[Event]) -> Result`, or take `&Batch` to be \
            told of missed revisions as well"
)]
pub trait Told {
    #[doc(hidden)]
    fn of(batch: &Batch) -> Result<&Self, String>;
}

impl Told for Batch {
    fn of(batch: &Batch) -> Result<&Self, String> {
        Ok(batch)
    }
}

impl Told for [Event] {
    /// A gap is never hidden: a function that has no place for it fails.
    fn of(batch: &Batch) -> Result<&Self, String> {
        match batch.missed {
            None => Ok(&batch.events),
            Some(Missed { first, last }) => Err(format!(
                "revisions {first} to {last} were compacted away before this trigger came to \
                 them; let it take `&Batch` and handle `missed()`, or skip them"
            )),
        }
    }
}

/// What a trigger may return: nothing, or `Result<(), E>` with an `E` that can be displayed.
#[diagnostic::on_unimplemented(
    message = "a trigger cannot return `{Self}`",
    label = "this is no answer of a trigger",
    note = "write `fn trigger(cx: &Context, events: &[Event]) -> Result`"
)]
pub trait IntoHandled {
    #[doc(hidden)]
    fn into_handled(self) -> Result<(), String>;
}

impl IntoHandled for () {
    fn into_handled(self) -> Result<(), String> {
        Ok(())
    }
}

impl<E: Display> IntoHandled for Result<(), E> {
    fn into_handled(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// Serves one call. The bounds say what the function has to look like.
///
/// # Errors
/// The trigger's own, as text.
pub fn handle<F, T, R>(trigger: F, context: types::Context, batch: &Batch) -> Result<(), String>
where
    F: Fn(&Context, &T) -> R,
    T: Told + ?Sized,
    R: IntoHandled,
{
    crate::rt::init();
    trigger(&Context::of(context), T::of(batch)?).into_handled()
}
