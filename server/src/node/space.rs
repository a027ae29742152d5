//! Room on the disk. The log and the store must never meet a full disk in the middle of an entry,
//! so writes are refused while there is still a reserve, and taken again when there is room.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::limits::DISK_RESERVE_BYTES;

/// How often the disk is asked.
pub const SPACE_INTERVAL: Duration = Duration::from_millis(500);

/// What is known about the room under a data directory.
pub struct Space {
    dir: PathBuf,
    short: AtomicBool,
    reserve_bytes: u64,
}

impl Space {
    pub fn new(dir: &Path) -> Self {
        let space = Self {
            dir: dir.to_owned(),
            short: AtomicBool::new(false),
            reserve_bytes: reserve(dir),
        };
        space.look();
        space
    }

    /// True while writes must be refused.
    pub fn is_short(&self) -> bool {
        self.short.load(Ordering::Relaxed)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// True when a file of `bytes` leaves the reserve untouched.
    pub fn has_room_for(&self, bytes: u64) -> bool {
        let Ok(stat) = rustix::fs::statvfs(&self.dir) else { return true };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        free >= self.reserve_bytes.saturating_add(bytes)
    }

    /// Asks the file system; a file system that does not answer is taken to have room.
    pub fn look(&self) {
        let Ok(stat) = rustix::fs::statvfs(&self.dir) else { return };
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        let short = free < self.reserve_bytes;
        if short != self.short.swap(short, Ordering::Relaxed) {
            let reserve = self.reserve_bytes;
            match short {
                true => tracing::error!(free, reserve, "disk nearly full: writes are refused"),
                false => tracing::info!(free, reserve, "disk has room again: writes are taken"),
            }
        }
    }
}

/// A small file system keeps a quarter of itself in reserve instead.
fn reserve(dir: &Path) -> u64 {
    match rustix::fs::statvfs(dir) {
        Ok(stat) => DISK_RESERVE_BYTES.min(stat.f_blocks.saturating_mul(stat.f_frsize) / 4),
        Err(_) => DISK_RESERVE_BYTES,
    }
}
