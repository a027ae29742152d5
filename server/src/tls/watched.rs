//! Something built from files, built again when one of them has changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::files::LoadError;

/// Tells one content of a file from another: device, inode, size, and when content and inode
/// changed (seconds, nanoseconds). `None` when there is no such file.
type Stamp = Option<(u64, u64, u64, (i64, i64), (i64, i64))>;

type Build<T> = Box<dyn Fn() -> Result<T, LoadError> + Send + Sync>;

/// A value and the files it comes from.
pub struct Watched<T> {
    files: Vec<PathBuf>,
    build: Build<T>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    stamps: Vec<Stamp>,
    value: Arc<T>,
}

impl<T> Watched<T> {
    /// # Errors
    /// The files as they are now cannot be used.
    pub fn new(
        files: Vec<PathBuf>,
        build: impl Fn() -> Result<T, LoadError> + Send + Sync + 'static,
    ) -> Result<Self, LoadError> {
        let stamps = stamps(&files);
        let value = Arc::new(build()?);
        let held = Mutex::new(Held { stamps, value });
        Ok(Self { files, build: Box::new(build), held })
    }

    /// The value of the files as they are now; of files that cannot be used, the value before. Looks
    /// at each file's metadata, which costs microseconds.
    pub fn current(&self) -> Arc<T> {
        // Before reading: what changes meanwhile is noticed next time.
        let stamps = stamps(&self.files);
        let mut held = self.held.lock();
        if held.stamps != stamps {
            held.stamps = stamps;
            let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
            let files = files.join(",");
            match (self.build)() {
                Ok(value) => {
                    tracing::info!(files, "loaded changed tls files");
                    held.value = Arc::new(value);
                }
                Err(error) => {
                    tracing::warn!(%error, files, "changed tls files cannot be used, kept the old");
                }
            }
        }
        held.value.clone()
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    files.iter().map(|file| stamp(file)).collect()
}

fn stamp(file: &Path) -> Stamp {
    let meta = std::fs::metadata(file).ok()?;
    let changed = ((meta.mtime(), meta.mtime_nsec()), (meta.ctime(), meta.ctime_nsec()));
    Some((meta.dev(), meta.ino(), meta.size(), changed.0, changed.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_taken_up_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("f");
        std::fs::write(&file, "1").expect("written");
        let source = file.clone();
        let watched = Watched::new(vec![file.clone()], move || {
            let text = std::fs::read_to_string(&source).unwrap_or_default();
            text.parse::<u32>().map_err(|error| LoadError::Setup(error.to_string()))
        })
        .expect("1 is a number");
        assert_eq!(*watched.current(), 1);
        std::fs::write(&file, "no number").expect("written");
        assert_eq!(*watched.current(), 1);
        std::fs::remove_file(&file).expect("removed");
        assert_eq!(*watched.current(), 1);
        std::fs::write(&file, "22").expect("written");
        assert_eq!(*watched.current(), 22);
    }
}
