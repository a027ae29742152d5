//! Calling recipes: a user's function in one transaction on the leader, which may wait.

use bytes::Bytes;

use super::ask::{Ask, Said};
use super::error::Error;
use super::handle::{Node, unreachable_answer};
use crate::decide::{RecipeCall, Reply, Request};

/// A recipe's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// The store's revision after it, as in any header.
    pub revision: i64,
    pub payload: Bytes,
}

impl Node {
    /// Runs a recipe's function. What it writes is made in one transaction, judged by the policies
    /// it falls under; what it only read is linearizable. A call that waits ends with its caller:
    /// dropping the future calls it off, here or on the leader.
    ///
    /// # Errors
    /// The plugin refuses, fails, or is not there; a policy refuses what it writes. While it
    /// waits, a change of the leader ends it with [`super::Failure::LeaderChanged`]: nothing was
    /// executed.
    pub async fn call_recipe(&self, call: RecipeCall) -> Result<Called, Error> {
        // Not among the proposals that metrics count as pending: it may wait for a long time.
        match self.ask(Ask::Decide(Request::Call(call))).await? {
            Said::Reply(Reply::Called { revision, payload }) => Ok(Called { revision, payload }),
            other => unreachable_answer(&other),
        }
    }
}
