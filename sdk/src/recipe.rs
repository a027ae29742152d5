//! What a recipe may take and return, and the list of a plugin's recipes.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bindings::host::portunus::plugin::types;
use crate::error::Stop;
use crate::tape::{self, Node};
use crate::{Context, Error, Outcome};

/// A payload or a reply as it is on the wire, instead of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bytes(pub Vec<u8>);

/// What a recipe may take after its context: anything that serde can make from JSON, except for
/// serde_json's `RawValue`, or [`Bytes`]. An empty payload stands for JSON's `null`, or an object
/// without fields.
#[diagnostic::on_unimplemented(
    message = "a recipe cannot take `{Self}`",
    label = "serde cannot make this from a payload",
    note = "write `fn recipe(cx: &Context, args: Args) -> Result<Reply>` with \
            `#[derive(Deserialize)] struct Args`, or take `Bytes`"
)]
pub trait Args: Sized {
    #[doc(hidden)]
    fn from_payload(payload: &[u8]) -> Result<Self, String>;
}

impl<T: DeserializeOwned> Args for T {
    fn from_payload(payload: &[u8]) -> Result<Self, String> {
        let parsed;
        let choices: &[&[Node<'_>]] = if payload.is_empty() {
            &[&[Node::Null], &[Node::Object(0)]]
        } else {
            parsed = tape::parse(payload).map_err(|error| error.to_string())?;
            &[&parsed]
        };
        // One place that reads, as each is a reader of its own in the guest.
        let mut why = String::new();
        for nodes in choices {
            match tape::read(nodes) {
                Ok(args) => return Ok(args),
                Err(error) => why = error.to_string(),
            }
        }
        Err(why)
    }
}

impl Args for Bytes {
    fn from_payload(payload: &[u8]) -> Result<Self, String> {
        Ok(Self(payload.to_vec()))
    }
}

/// What a recipe may reply: anything that serde can write as JSON, or [`Bytes`].
pub trait Reply {
    #[doc(hidden)]
    fn into_payload(self) -> Result<Vec<u8>, String>;
}

impl<T: Serialize> Reply for T {
    fn into_payload(self) -> Result<Vec<u8>, String> {
        serde_json::to_vec(&self).map_err(|error| format!("the reply has no JSON: {error}"))
    }
}

impl Reply for Bytes {
    fn into_payload(self) -> Result<Vec<u8>, String> {
        Ok(self.0)
    }
}

/// What a recipe may return: `Result<Reply>`, or a `Result` with an error of the plugin's own.
#[diagnostic::on_unimplemented(
    message = "a recipe cannot return `{Self}`",
    label = "this is no `Result<Reply>`",
    note = "write `fn recipe(cx: &Context, args: Args) -> Result<Reply>`"
)]
pub trait IntoOutcome {
    #[doc(hidden)]
    fn into_outcome(self) -> Outcome;
}

impl<R: Reply, E: Into<Error>> IntoOutcome for Result<R, E> {
    fn into_outcome(self) -> Outcome {
        match self {
            Ok(reply) => reply.into_payload().map_or_else(Outcome::Refuse, Outcome::Done),
            Err(error) => match error.into().0 {
                Stop::Refuse(reason) => Outcome::Refuse(reason),
                Stop::Invalid(reason) => Outcome::Invalid(reason),
                Stop::Wait(until) => Outcome::Wait(until.map(crate::Time::as_millis)),
            },
        }
    }
}

/// One function that `#[recipe]` marks. Implemented by the attribute only.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a recipe",
    label = "mark the function with #[recipe]"
)]
pub trait Recipe {
    /// Its name, by which it is called.
    const NAME: &'static str;

    /// Serves one call.
    fn call(cx: &Context, payload: &[u8]) -> Outcome;
}

/// A recipe that the plugin's `recipes!` names. Implemented by that macro only.
#[diagnostic::on_unimplemented(
    message = "recipe `{Self}` is in no list of recipes, so nobody could call it",
    label = "not listed",
    note = "write `recipes!({Self});` once in the plugin, with the names of all its recipes"
)]
pub trait Listed: Recipe {}

/// Parses the arguments and calls the function.
pub fn answer<A: Args, R: IntoOutcome>(payload: &[u8], function: impl FnOnce(A) -> R) -> Outcome {
    match A::from_payload(payload) {
        Ok(args) => function(args).into_outcome(),
        Err(why) => Outcome::Invalid(why),
    }
}

/// A plugin's recipes, as `recipes!` lists them.
#[derive(Debug, Clone, Copy)]
pub struct Recipes(&'static [Entry]);

/// One of them.
#[derive(Clone, Copy)]
pub struct Entry {
    name: &'static str,
    call: fn(&Context, &[u8]) -> Outcome,
}

impl Debug for Entry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name)
    }
}

impl Entry {
    #[doc(hidden)]
    pub const fn of<T: Recipe>() -> Self {
        Self { name: T::NAME, call: T::call }
    }
}

impl Recipes {
    /// The list.
    ///
    /// # Panics
    /// When two have one name; the macro calls it at compile time.
    #[doc(hidden)]
    pub const fn of(entries: &'static [Entry]) -> Self {
        let mut at = 0;
        while at < entries.len() {
            let mut earlier = 0;
            while earlier < at {
                assert!(
                    !equal(entries[at].name.as_bytes(), entries[earlier].name.as_bytes()),
                    "two recipes have the same name"
                );
                earlier += 1;
            }
            at += 1;
        }
        Self(entries)
    }

    /// Their names, in the order of the list.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.0.iter().map(|entry| entry.name)
    }

    #[doc(hidden)]
    pub fn call(&self, context: types::Context, function: &str, payload: &[u8]) -> Outcome {
        crate::rt::init();
        match self.0.iter().find(|entry| entry.name == function) {
            Some(entry) => (entry.call)(&Context::of(context), payload),
            None => Outcome::UnknownFunction,
        }
    }
}

const fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Lists the plugin's recipes, once: each function that `#[recipe]` marks becomes one that
/// clients call by its name. A recipe that is marked but not listed does not compile.
///
/// The list is also the constant `RECIPES`, for the test kit.
#[macro_export]
macro_rules! recipes {
    ($($function:path),+ $(,)?) => {
        /// The plugin's recipes.
        #[allow(dead_code, reason = "tests use it")]
        pub(crate) const RECIPES: $crate::Recipes = $crate::Recipes::of(const {
            &[$($crate::__rt::Entry::of::<$function>()),+]
        });

        $(impl $crate::__rt::Listed for $function {})+

        const _: () = {
            #[allow(dead_code)]
            struct Plugin;

            impl $crate::__rt::recipe::exports::portunus::plugin::recipe::Guest for Plugin {
                fn functions() -> ::std::vec::Vec<::std::string::String> {
                    RECIPES.names().map(::std::string::String::from).collect()
                }

                fn call(
                    context: $crate::__rt::Call,
                    function: ::std::string::String,
                    payload: ::std::vec::Vec<u8>,
                ) -> $crate::__rt::Outcome {
                    RECIPES.call(context, &function, &payload)
                }
            }

            #[cfg(target_arch = "wasm32")]
            $crate::__rt::recipe::export_recipe!(
                Plugin with_types_in $crate::__rt::recipe
            );
        };
    };
}
