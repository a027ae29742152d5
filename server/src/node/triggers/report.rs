//! How the triggers stand, for operators.

use std::time::Duration;

use bytes::Bytes;

use super::host::{self, Host};
use crate::decide::Refusal;
use crate::effect::{Binding, BindingId, TriggerState, TriggerStatus};
use crate::node::{Error, Failure, Node};

/// One trigger as this member knows it. Where it does not run, which is on every member but the
/// leader, nothing is known of failures that have not paused it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriggerReport {
    pub binding: BindingId,
    /// Every event of this revision and of those before is done.
    pub cursor: i64,
    /// Revisions behind the cursor; 0 where none of them has events for the trigger.
    pub lag: i64,
    pub status: TriggerStatus,
    /// In a row, up to now.
    pub failures: u32,
    pub last_error: Option<String>,
    /// When the batch that failed is tried again, from now on.
    pub retry_in: Option<Duration>,
}

impl Node {
    /// One trigger.
    pub fn trigger_report(&self, binding: &str) -> Option<TriggerReport> {
        let version = self.shared.applied.load();
        let state = version.state.trigger(binding)?;
        Some(self.report(state, version.state.revision))
    }

    /// Every trigger, by binding.
    pub fn trigger_status(&self) -> Vec<TriggerReport> {
        let version = self.shared.applied.load();
        let revision = version.state.revision;
        version.state.triggers().iter().map(|state| self.report(state, revision)).collect()
    }

    fn report(&self, state: &TriggerState, revision: i64) -> TriggerReport {
        let standing = self.shared.triggers.standings.get(&state.binding).unwrap_or_default();
        let paused = match &state.status {
            TriggerStatus::Paused { error, attempts, .. } => Some((error.clone(), *attempts)),
            TriggerStatus::Running => None,
        };
        let (last_error, failures) = match paused {
            Some((error, attempts)) => (Some(error), attempts),
            None => (standing.error, standing.failures),
        };
        let now = self.shared.clock.now();
        TriggerReport {
            binding: state.binding.clone(),
            cursor: state.cursor,
            lag: if standing.idle { 0 } else { revision - state.cursor },
            status: state.status.clone(),
            failures,
            last_error,
            retry_in: standing.retry_at.map(|at| at.since(now)),
        }
    }

    /// What a skip without a target leads to: the revision of the next events of a trigger that
    /// still runs; `None` for a paused one, whose state knows it.
    pub(in crate::node) async fn next_events(&self, id: &str) -> Result<Option<i64>, Error> {
        let version = self.shared.applied.load();
        let binding = version.state.registry().binding(id);
        let prefix = match (binding, version.state.trigger(id)) {
            (Some(_), Some(TriggerState { status: TriggerStatus::Paused { .. }, .. })) => {
                return Ok(None);
            }
            (Some(binding), Some(_)) => binding.prefix.clone(),
            _ => return Err(Refusal::BindingNotFound(id.to_owned()).into()),
        };
        let host = host::of(self, id.to_owned(), prefix);
        let mut next = version.state.trigger(id).map_or(0, |state| state.cursor) + 1;
        loop {
            let stretch = host.read(next).await.map_err(|why| {
                tracing::error!(binding = id, why, "a trigger's events cannot be read");
                Failure::Unreadable
            })?;
            match stretch.revisions.front() {
                Some((at, _)) => return Ok(Some(*at)),
                // There is nothing to skip, and the decision says so.
                None if stretch.whole => return Ok(Some(next - 1)),
                None => next = stretch.up_to + 1,
            }
        }
    }

    /// The key of the first event behind `cursor`, which is what a stuck trigger fails at.
    pub(in crate::node) async fn kept_key(&self, binding: &Binding, cursor: i64) -> Option<Bytes> {
        let host = host::of(self, binding.id(), binding.prefix.clone());
        let mut next = cursor + 1;
        loop {
            let stretch = host.read(next).await.ok()?;
            match stretch.revisions.front() {
                Some((_, changes)) => {
                    return changes.first().map(|change| Bytes::copy_from_slice(change.key()));
                }
                None if stretch.whole => return None,
                None => next = stretch.up_to + 1,
            }
        }
    }
}
