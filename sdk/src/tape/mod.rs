//! Where a type's parts come from: a text is taken apart once, into a row of small nodes, and each
//! type is then made from those. serde compiles the reader once more for each type that is read,
//! so what is compiled for each has to be small; a parser of JSON is not.
//!
//! What serde_json accepts for a type is accepted, except for its own `RawValue` and for integers
//! beyond 64 bits, which are fractions here.

mod json;
mod node;
mod read;
mod wrong;

#[cfg(test)]
mod read_test;

pub(crate) use json::{literal, parse};
pub(crate) use node::{Node, extent, field};
pub(crate) use read::read;
pub(crate) use wrong::Wrong;

use serde::de::DeserializeOwned;

/// A value from its JSON.
pub(crate) fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Wrong> {
    read(&parse(text)?)
}
