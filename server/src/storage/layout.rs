//! The store's directory: generations side by side, and `CURRENT`, which names the one that counts.
//! A snapshot is installed by building a whole generation beside the current one and renaming a
//! new `CURRENT` into place; a crash at any point leaves one complete store.
//!
//! ```text
//! dir/LOCK           held while a process uses the store
//! dir/CURRENT        "portunus-store 1\ng000003\n"
//! dir/g000003/       the engine's files
//! dir/g000003.ready  written last: this generation holds a checkpoint
//! dir/aside-000002/  set aside because it would not open
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::error::Error;
use crate::clock::Clock;

/// First line of `CURRENT`: what wrote this directory, and in which format.
pub const FORMAT: &str = "portunus-store 1";

/// A predecessor that is still ending is waited for: its engine may be closing in the background.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_POLL: Duration = Duration::from_millis(10);

const CURRENT: &str = "CURRENT";
const LOCK: &str = "LOCK";
const ASIDE: &str = "aside-";
const READY: &str = "ready";

/// A store's directory, locked for this process as long as a clone lives.
#[derive(Clone)]
pub struct Layout {
    dir: PathBuf,
    // Unlocked when the last clone goes.
    _lock: Arc<File>,
}

impl Layout {
    /// Creates the directory if needed and locks it.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        fs::create_dir_all(dir).map_err(Error::io("create the directory"))?;
        let lock = File::options().create(true).truncate(false).write(true).open(dir.join(LOCK));
        let lock = lock.map_err(Error::io("create the lock file"))?;
        let clock = Clock::system();
        let begun = clock.now();
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(fs::TryLockError::WouldBlock) if clock.now().since(begun) < LOCK_PATIENCE => {
                    std::thread::sleep(LOCK_POLL);
                }
                Err(fs::TryLockError::WouldBlock) => return Err(Error::Locked(dir.to_path_buf())),
                Err(fs::TryLockError::Error(e)) => return Err(Error::io("lock the directory")(e)),
            }
        }
        Ok(Self { dir: dir.to_path_buf(), _lock: Arc::new(lock) })
    }

    pub fn path(&self, generation: u64) -> PathBuf {
        self.dir.join(format!("g{generation:06}"))
    }

    /// The generation that counts: the one `CURRENT` names, or without `CURRENT` (a crash before
    /// it was first written) the newest complete one. `None` in a fresh directory.
    pub fn current(&self) -> Result<Option<u64>, Error> {
        let text = match fs::read_to_string(self.dir.join(CURRENT)) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let complete = self.generations()?.into_iter().filter(|g| self.is_ready(*g));
                return Ok(complete.max());
            }
            Err(e) if e.kind() == io::ErrorKind::InvalidData => String::from("not text"),
            Err(e) => return Err(Error::io("read CURRENT")(e)),
        };
        let (format, name) = text.split_once('\n').unwrap_or((&text, ""));
        if format != FORMAT {
            let found = format.chars().take(40).collect();
            return Err(Error::Format { path: self.dir.clone(), found });
        }
        let damaged = |what: String| Error::Damaged { path: self.dir.clone(), what };
        let generation = parse_generation(name.trim_end())
            .ok_or_else(|| damaged("CURRENT names no generation".into()))?;
        if !self.is_ready(generation) || !self.path(generation).is_dir() {
            return Err(damaged(format!("generation {generation} is missing")));
        }
        Ok(Some(generation))
    }

    /// A fresh directory for the next generation.
    pub fn create_generation(&self) -> Result<u64, Error> {
        let next = self.generations()?.into_iter().max().unwrap_or(0) + 1;
        remove_if_there(fs::remove_file(self.ready_path(next)))
            .and_then(|()| fs::create_dir(self.path(next)))
            .map_err(Error::io("create a generation"))?;
        Ok(next)
    }

    /// Declares a generation complete: its engine holds a checkpoint.
    pub fn mark_ready(&self, generation: u64) -> Result<(), Error> {
        self.replace_file(&self.ready_path(generation), FORMAT.as_bytes())
            .map_err(Error::io("complete a generation"))
    }

    /// Makes `generation` the one that counts, atomically and durably.
    pub fn flip(&self, generation: u64) -> Result<(), Error> {
        let text = format!("{FORMAT}\ng{generation:06}\n");
        self.replace_file(&self.dir.join(CURRENT), text.as_bytes())
            .map_err(Error::io("write CURRENT"))
    }

    /// Removes every generation but `keep`: what an aborted install or an old flip left.
    pub fn clean(&self, keep: u64) -> Result<(), Error> {
        for generation in self.generations()?.into_iter().filter(|g| *g != keep) {
            tracing::info!(generation, "leftover generation of the store removed");
            self.remove(generation);
        }
        Ok(())
    }

    /// Removes one generation; what cannot be removed now is a leftover for the next start.
    pub fn remove(&self, generation: u64) {
        let removed = remove_if_there(fs::remove_file(self.ready_path(generation)))
            .and_then(|()| remove_if_there(fs::remove_dir_all(self.path(generation))));
        if let Err(error) = removed {
            tracing::warn!(generation, %error, "generation of the store not removed");
        }
    }

    /// Moves the current generation out of the way, so that the next open starts an empty store.
    /// Only the latest one set aside is kept. Returns where it went.
    pub fn set_aside(&self) -> Result<Option<PathBuf>, Error> {
        let Some(newest) = self.generations()?.into_iter().max() else {
            return Ok(None);
        };
        let generation = self.current().ok().flatten().unwrap_or(newest);
        for entry in self.entries()? {
            if entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with(ASIDE)) {
                remove_if_there(fs::remove_dir_all(&entry))
                    .map_err(Error::io("drop an older copy"))?;
            }
        }
        let aside = self.dir.join(format!("{ASIDE}{generation:06}"));
        let moved = remove_if_there(fs::remove_file(self.dir.join(CURRENT)))
            .and_then(|()| remove_if_there(fs::remove_file(self.ready_path(generation))))
            .and_then(|()| fs::rename(self.path(generation), &aside))
            .and_then(|()| sync_dir(&self.dir));
        moved.map_err(Error::io("set aside a generation"))?;
        Ok(Some(aside))
    }

    fn ready_path(&self, generation: u64) -> PathBuf {
        self.path(generation).with_extension(READY)
    }

    fn is_ready(&self, generation: u64) -> bool {
        self.ready_path(generation).exists()
    }

    fn generations(&self) -> Result<Vec<u64>, Error> {
        let names = self.entries()?;
        let names = names.iter().filter_map(|path| path.file_name()?.to_str());
        Ok(names.filter_map(parse_generation).collect())
    }

    fn entries(&self) -> Result<Vec<PathBuf>, Error> {
        let entries = fs::read_dir(&self.dir)
            .and_then(|all| all.map(|entry| entry.map(|e| e.path())).collect());
        entries.map_err(Error::io("list the directory"))
    }

    fn replace_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let temporary = path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_dir(&self.dir)
    }
}

/// Makes renames and creations in `dir` durable.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn parse_generation(name: &str) -> Option<u64> {
    let digits = name.strip_prefix('g')?;
    (digits.len() >= 6).then(|| digits.parse().ok()).flatten()
}

fn remove_if_there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
#[path = "layout_test.rs"]
mod tests;
