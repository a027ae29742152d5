//! Puts, deletes and ranges.

mod delete;
mod put;
mod range;
mod stream;

pub use delete::check_delete;
pub(super) use delete::delete_range;
pub use put::check_put;
pub(super) use put::put;
pub(super) use range::{answer, check_revision};
pub use range::{check_range, range};
pub use stream::{Chunk, RangeStream};
