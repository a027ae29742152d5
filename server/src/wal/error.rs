//! Why a log cannot be opened, in words that say what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use super::Identity;

/// The log stays closed. Nothing on disk was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "write-ahead log {} is in use by another process: stop that one, or give this member its \
         own data directory", .dir.display()
    )]
    Busy { dir: PathBuf },

    #[error(
        "write-ahead log {} belongs to {found}, and this is {expected}: start it with its own \
         data directory", .file.display()
    )]
    Foreign { file: PathBuf, found: Identity, expected: Identity },

    #[error(
        "write-ahead log {} has format {found}, newer than this program knows ({known}): upgrade \
         the member", .file.display()
    )]
    Format { file: PathBuf, found: u32, known: u32 },

    #[error(
        "write-ahead log {} is damaged at offset {offset} ({what}), below what this member \
         promised: {RESTORE}", .file.display()
    )]
    Damaged { file: PathBuf, offset: u64, what: &'static str },

    #[error("write-ahead log {} is missing: {RESTORE}", .file.display())]
    Missing { file: PathBuf },

    #[error("write-ahead log {}: {action}: {source}", .path.display())]
    Io { path: PathBuf, action: &'static str, source: io::Error },
}

/// A member that lost a part of its log must not vote as if it had it.
const RESTORE: &str = "remove this member from the cluster, delete its data directory and add it \
                       as a new member, so that its peers restore it; the only member of a \
                       cluster is restored from a backup";

impl OpenError {
    /// For `map_err`: an I/O error with what was tried.
    pub fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, action, source }
    }
}
