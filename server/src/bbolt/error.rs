//! Why a file is refused, by name.

use std::io;

/// What is wrong with a file, or with what was to be written to one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}: {error}")]
    Io { what: &'static str, error: io::Error },
    #[error("not a bbolt file: it has {bytes} bytes, too few for two meta pages")]
    TooShort { bytes: u64 },
    #[error("not a bbolt file: neither meta page is valid: {first}; {second}")]
    NoMeta { first: MetaError, second: MetaError },
    #[error("the file is cut: {needed} bytes are in use and it has {bytes}")]
    Truncated { needed: u64, bytes: u64 },
    #[error("page {page}: {what}")]
    Page { page: u64, what: PageError },
    #[error("bucket \"{bucket}\" is not there")]
    NoBucket { bucket: String },
    #[error("key {key} does not come after the one before it")]
    OutOfOrder { key: String },
    #[error("a key of {bytes} bytes cannot be stored: 1 to 32768 are possible")]
    KeySize { bytes: usize },
    #[error("a value of {bytes} bytes cannot be stored: 2147483646 are possible")]
    ValueSize { bytes: usize },
}

/// Why a meta page does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetaError {
    #[error("magic {0:#x} is not bbolt's")]
    Magic(u32),
    #[error("format version {0} is not 2")]
    Version(u32),
    #[error("its checksum does not fit")]
    Checksum,
    #[error("page size {0} is not a power of two from 512 to 65536")]
    PageSize(u32),
    #[error("it counts {0} pages, of which the file names ones beyond")]
    Pages(u64),
    #[error("the file ends before it")]
    Missing,
}

/// What is wrong with one page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    #[error("it lies beyond the {0} pages in use")]
    Beyond(u64),
    #[error("it says to be page {0}")]
    Id(u64),
    #[error("its kind {0:#x} is not one that may stand here")]
    Kind(u16),
    #[error("its elements do not fit into it")]
    Bounds,
    #[error("its keys are not in order")]
    Order,
    #[error("a key is outside the range that the page above gives it")]
    Range,
    #[error("it has no elements")]
    Empty,
    #[error("the tree is deeper than {0} pages: pages go in a circle")]
    Depth(usize),
    #[error("it is used twice")]
    Twice,
    #[error("it is neither used nor free")]
    Lost,
    #[error("it is both used and free")]
    Freed,
    #[error("a bucket's header is damaged")]
    Bucket,
}

impl Error {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what, error }
    }

    pub(super) fn page(page: u64, what: PageError) -> Self {
        Self::Page { page, what }
    }

    /// True when it is the file that is wrong, and not the disk it is read from.
    pub fn is_damage(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}
