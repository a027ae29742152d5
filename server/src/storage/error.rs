//! What can go wrong with the store. Everything but a refusal to open is fatal for the node: the
//! write-behind cannot skip a batch, so it stops and says why.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::layout::FORMAT;
use crate::types::Revision;

/// A failure of the store. Cloned freely: one cause may end many waiters.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("store {} is in use by another process: stop it or choose another data directory", .0.display())]
    Locked(PathBuf),
    #[error("store {} has format {found:?}, this program knows {FORMAT:?}: start the version that wrote it or upgrade", .path.display())]
    Format { path: PathBuf, found: String },
    #[error("store {} is damaged: {what}: set it aside and rebuild it from the log or the leader", .path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(
        "no space left on the device to {action} of the store: free space and restart the member"
    )]
    NoSpace { action: &'static str },
    #[error("cannot {action} of the store: {source}")]
    Io { action: &'static str, source: Arc<io::Error> },
    #[error("storage engine cannot {action}: {source}")]
    Engine { action: &'static str, source: Arc<fjall::Error> },
    #[error(
        "a background thread of the storage engine failed, {free_bytes} bytes are free on its device: see the log and restart the member"
    )]
    Poisoned { free_bytes: u64 },
    #[error("record {next} comes after {last}: a snapshot is installed in revision order")]
    OutOfOrder { last: Revision, next: Revision },
    #[error("the store has stopped: {0}")]
    Stopped(Arc<str>),
}

impl Error {
    /// The stored bytes are not what was written: the store is to be set aside and rebuilt.
    /// Everything else may pass once its cause is gone.
    pub fn is_damage(&self) -> bool {
        match self {
            Error::Damaged { .. } => true,
            Error::Engine { source, .. } => !matches!(
                **source,
                fjall::Error::Io(_)
                    | fjall::Error::Storage(fjall::LsmError::Io(_))
                    | fjall::Error::Poisoned
                    | fjall::Error::Locked
            ),
            _ => false,
        }
    }

    /// Wraps an IO error of our own files; `action` completes "cannot ... of the store".
    pub(super) fn io(action: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace { action },
            _ => Error::Io { action, source: Arc::new(source) },
        }
    }

    /// Wraps an error of the engine; `action` completes "storage engine cannot ...".
    pub(super) fn engine<E: Into<fjall::Error>>(action: &'static str) -> impl FnOnce(E) -> Error {
        move |source| match source.into() {
            fjall::Error::Io(e) | fjall::Error::Storage(fjall::LsmError::Io(e))
                if matches!(
                    e.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
                ) =>
            {
                Error::NoSpace { action }
            }
            source => Error::Engine { action, source: Arc::new(source) },
        }
    }
}
