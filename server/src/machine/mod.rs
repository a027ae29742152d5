//! The replicated machine: its whole state as one persistent value, and blind application of
//! entries to it. Nothing here decides anything, reads a clock or can fail on one member only.

mod apply;
mod level;
mod load;
mod prefixes;
mod registry;
mod rows;
mod state;

pub use crate::mvcc::{Change, What};
pub use apply::{Applied, Diverged, apply};
pub use level::{FEATURE_LEVEL, TooNew, check_level, level};
pub use load::{LoadError, load};
pub use registry::Registry;
pub use rows::{Place, Row, Rows, SystemRow, lease_of_row, position_rows, system_rows};
pub use state::State;
