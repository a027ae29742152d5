//! Why a snapshot is not written, or not read.

use std::io;

use crate::{bbolt, storage};

/// What is wrong with a snapshot, or stood in its way.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {what}: {error}")]
    Io { what: &'static str, error: io::Error },
    #[error(transparent)]
    File(#[from] bbolt::Error),
    #[error(transparent)]
    Store(#[from] storage::Error),
    /// etcd's words.
    #[error("snapshot missing hash but --skip-hash-check=false")]
    NoChecksum,
    /// etcd's words, with the hashes as it prints them.
    #[error("expected sha256 {expected}, got {found}")]
    Checksum { expected: String, found: String },
    #[error("the snapshot has no bucket \"key\": it is not etcd's data")]
    NotEtcds,
    #[error("bucket \"{bucket}\": key {key} is not one that etcd writes there")]
    Key { bucket: &'static str, key: String },
    #[error("bucket \"{bucket}\": the value of {key} is damaged: {why}")]
    Value { bucket: &'static str, key: String, why: String },
    #[error("the snapshot's own bucket has form {found}, this program knows up to {known}")]
    Newer { found: u8, known: u8 },
    #[error("the store's rows are damaged: {0}")]
    Rows(String),
}

impl Error {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what, error }
    }

    pub(super) fn key(bucket: &'static str, key: &[u8]) -> Self {
        Self::Key { bucket, key: key.escape_ascii().to_string() }
    }

    pub(super) fn value(bucket: &'static str, key: &[u8], why: impl ToString) -> Self {
        Self::Value { bucket, key: key.escape_ascii().to_string(), why: why.to_string() }
    }
}
