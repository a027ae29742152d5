//! Write Portunus plugins: your own logic inside the server's write path, as plain functions.
//!
//! A plugin is a library crate of type `cdylib` with one function for each extension point it
//! wants to be asked at. An attribute makes the function the plugin's export:
//!
//! ```
//! use portunus_sdk::prelude::*;
//!
//! /// Keeps values small.
//! #[write_policy]
//! fn small_values(cx: &Context, writes: &[Write]) -> Verdict {
//!     let limit = cx.config("max-value-bytes").unwrap_or(1024);
//!     match writes.iter().find(|write| write.value().is_some_and(|value| value.len() > limit)) {
//!         Some(write) => Verdict::refuse(format!("{} has more than {limit} bytes", write.key_text())),
//!         None => Verdict::Allow,
//!     }
//! }
//! # fn main() {
//! # let cx = portunus_sdk::testing::context("small", "app/");
//! # let mut store = portunus_sdk::testing::Store::new();
//! # assert_eq!(small_values(&cx, &[store.put("app/k", "v")]), Verdict::Allow);
//! # assert!(matches!(small_values(&cx, &[store.put("app/k", vec![0; 2000])]), Verdict::Refuse(_)));
//! # }
//! ```
//!
//! The function is an ordinary one: call it in `cargo test`, natively, with the fake store of
//! [`testing`]. In the server it runs sandboxed, with bounds on time, memory, reads and results;
//! it has no clock, no randomness and no network, and must not keep anything between two calls.
//! A panic refuses the write, and its text and place reach the server's log.

extern crate self as portunus_sdk;

#[allow(
    missing_docs,
    clippy::all,
    clippy::too_many_lines,
    clippy::unwrap_used,
    reason = "generated from wit/"
)]
#[rustfmt::skip]
mod bindings {
    pub mod host;
    pub mod write_policy;
}
mod context;
pub mod log;
#[doc(hidden)]
pub mod rt;
pub mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod write_policy;

pub use bindings::host::portunus::plugin::types::{
    Change, Context, Delete, Item, NewValue, Put, Write,
};
pub use bindings::write_policy::exports::portunus::plugin::write_policy::Verdict;
pub use portunus_sdk_macros::write_policy;

/// Everything a plugin usually needs.
pub mod prelude {
    pub use crate::{Change, Context, Delete, Item, Put, Verdict, Write, log, store, write_policy};
}

/// What the attributes' expansions refer to. Not for use by hand.
#[doc(hidden)]
pub mod __rt {
    pub use crate::bindings::{host, write_policy};
    pub use crate::rt::init;
    pub use wit_bindgen;
}
