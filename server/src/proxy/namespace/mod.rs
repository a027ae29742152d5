//! Clients under a prefix: their keys are put under it on the way in and taken from under it on
//! the way back, so that each sees a store of its own. A call that cannot be kept to the prefix is
//! refused by its name.

mod kv;
mod locks;
mod queues;
mod space;
mod table;

pub use space::Namespace;
pub use table::{Map, Passage};
