//! Triggers: plugins that are told of every event under their prefix, in order, with
//! exactly-once effect.
//!
//! While this member leads it runs each trigger: it reads the applied history behind the
//! trigger's cursor, hands batches of whole revisions to the lane, and the plugin's writes commit
//! in one entry with the cursor. The decision refuses a batch that does not begin where the cursor
//! stands, so whatever this duty does twice, or did in an earlier reign, counts once; what it must
//! see to is that a batch from one revision to another holds every event in between.
//!
//! - [`roster`]: who must hear of a key, and the bell that tells it so. An idle trigger costs the
//!   apply path one look-up per event and nothing else.
//! - [`backlog`]: events read and cut into batches.
//! - [`runner`]: one trigger's course: batches under way, failures, backoff, pause.
//! - [`host`]: what a runner needs of the node, so that tests can be one.
//! - [`duty`]: starts and stops runners with the reign and the bindings.

mod backlog;
mod duty;
mod host;
mod report;
mod roster;
mod runner;
mod standing;

#[cfg(test)]
mod course_test;
#[cfg(test)]
mod world_test;

pub use duty::{Triggers, follow};
pub use report::TriggerReport;
