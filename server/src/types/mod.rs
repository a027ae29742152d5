//! The newtypes everything speaks in: revisions, keys, ranges, ids, items. No behaviour beyond
//! what keeps a value valid.

mod ids;
mod item;
mod range;
mod revision;

pub use ids::{ClusterId, LeaseId, MemberId};
pub use item::{Item, MalformedItem};
pub use range::{KeyRange, RangeEnd};
pub use revision::Revision;
