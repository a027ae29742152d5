//! Interim, until the lane is merged.

mod events;

pub use events::{Handled, TriggerBatch};
