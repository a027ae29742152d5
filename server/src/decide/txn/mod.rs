//! Transactions: if all compares hold then one list of operations, else the other; lists may hold
//! transactions again. Everything written shares one revision, and nothing is written before
//! the state was asked what it would refuse.

mod check;
mod compare;
mod run;

pub use check::{check, is_read_only, is_serializable};
pub use run::read_only;
pub(super) use run::run;
