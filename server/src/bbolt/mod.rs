//! Files in the format of bbolt, the B+tree file that etcd keeps its data in and that its snapshots
//! are: a reader that believes nothing it reads, and a writer of whole files in one pass. It knows
//! pages, buckets and bytes; what etcd puts into them is [`crate::backup`]'s business.
//!
//! ```text
//! file    page 0 and 1: meta, the valid one with the higher transaction counts
//!         other pages: branch, leaf, freelist; a page may go on over the next ones (overflow)
//! page    id u64, flags u16, count u16, overflow u32, then its elements
//! leaf    flags u32, pos u32, ksize u32, vsize u32 each; pos counts from the element itself
//! branch  pos u32, ksize u32, page u64 each
//! bucket  a leaf element's value: root page u64, sequence u64; root 0 is a leaf page right behind
//! meta    magic, version, page size, flags (u32 each), root bucket, freelist page, pages in use,
//!         transaction, FNV-1a of all before (u64 each)
//! ```
//!
//! Numbers are little-endian. The format has no checksum but the meta pages': what a flipped bit
//! in a value changes shows only in the checksum that a snapshot carries behind the file.

mod cursor;
mod error;
mod layout;
mod page;
mod reader;
mod source;
mod writer;

#[cfg(test)]
mod bbolt_test;
#[cfg(test)]
mod damage_test;

pub use cursor::Cursor;
pub use error::Error;
pub use reader::{Bucket, Database};
pub use source::Source;
pub use writer::{BucketWriter, Writer};
