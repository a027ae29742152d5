//! The one door to the host: what the contract imports in a guest, and what the test kit plays
//! natively. Both have the same functions.

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::host::portunus::plugin::{diag, env, store};
#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::lock_admission::portunus::plugin::locks;
#[cfg(target_arch = "wasm32")]
pub(crate) use crate::bindings::queue_condition::portunus::plugin::queues;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::host::{diag, env, locks, queues, store};
