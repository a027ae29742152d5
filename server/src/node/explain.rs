//! What each policy would say to a transaction: on a linearizable read's state, away from the
//! lane, and without any effect.

use portunus_proto::etcdserverpb::TxnRequest;

use super::error::{Error, Failure};
use super::handle::Node;
use super::plugin::{Bindings, Ended, Hearing, Matter, Said};
use super::shared::Shared;
use crate::decide::{self, Refusal, Request};
use crate::machine::State;
use crate::view::ReadSet;

/// A dry run of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Explained {
    /// The store's revision it was run on.
    pub revision: i64,
    /// Each answer of each policy concerned, in the order in which they were asked; one that is
    /// shown what others add answers more than once.
    pub said: Vec<Said>,
    /// Why it would not be made.
    pub refusal: Option<Refusal>,
}

impl Node {
    /// Asks every policy that has a say in `txn`, those behind a refusal too. `caller` is the user
    /// it would be for.
    ///
    /// # Errors
    /// No leader, or a plugin that this member is still compiling: then `TooManyRequests`.
    pub async fn explain(
        &self,
        txn: TxnRequest,
        caller: Option<String>,
    ) -> Result<Explained, Error> {
        let request = Request::Txn(txn);
        decide::check(&request, self.shared.options.max_txn_ops)?;
        self.linearizable().await?;
        let shared = self.shared.clone();
        let version = shared.applied.load();
        let explained = tokio::task::spawn_blocking(move || {
            explain(&shared, &version.state, &request, caller.as_deref())
        });
        explained.await.unwrap_or(Err(Failure::Stopped.into()))
    }
}

fn explain(
    shared: &Shared,
    state: &State,
    request: &Request,
    caller: Option<&str>,
) -> Result<Explained, Error> {
    let (bindings, revision) = (Bindings::of(state), state.revision);
    let mut after = state.clone();
    let cx = shared.decision_limits();
    let (decided, reads) = decide::resolve(&mut after, request, &[], ReadSet::on(state), &cx);
    let changes = match decided {
        Ok(changes) => changes,
        Err(refusal) => {
            return Ok(Explained { revision, said: Vec::new(), refusal: Some(refusal) });
        }
    };
    let now_ms = shared.clock.unix_ms();
    let at = state.next_revision().main;
    let matter = Matter { after: &after, at, caller, depth: 0, via: &[], now_ms, failures: None };
    let (heard, said) = Hearing::new(&shared.policies, &bindings, matter, changes, reads).explain();
    match heard {
        Ok(()) => Ok(Explained { revision, said, refusal: None }),
        Err(Ended::Refused(refusal)) => Ok(Explained { revision, said, refusal: Some(refusal) }),
        Err(Ended::NotReady) => Err(Failure::TooManyRequests.into()),
    }
}
