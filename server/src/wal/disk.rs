//! Everything the log does to its directory: making, activating, syncing and removing files, each
//! in the order that survives a power loss.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::header::{SEGMENT_HEADER_BYTES, SegmentHeader};
use super::segment::{self, Segment};
use super::{OpenError, Options};

/// Zeros are written and synced in steps of this size, so that making a segment does not hold up
/// the commits that go on meanwhile.
const ZERO_STEP_BYTES: usize = 1024 * 1024;

const SPARE: &str = "spare";
const SPARE_UNFINISHED: &str = "spare.tmp";

/// How often data was synced, how long it took in total, and how much was written.
#[derive(Debug, Default)]
pub struct SyncStats {
    pub count: AtomicU64,
    pub nanos: AtomicU64,
    pub written_bytes: AtomicU64,
}

/// A segment's file before it is one: all zeros, all of it on disk.
#[derive(Debug)]
pub struct Spare {
    pub file: File,
    pub file_bytes: u64,
}

pub struct Disk {
    pub dir: PathBuf,
    pub options: Options,
    pub stats: Arc<SyncStats>,
    /// Held for as long as the log is open.
    _lock: File,
}

impl Disk {
    /// Takes the directory for this process, making it if there is none.
    pub fn lock(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let is_new = !dir.exists();
        fs::create_dir_all(dir).map_err(OpenError::io(dir, "create directory"))?;
        let path = dir.join("LOCK");
        let mut open = OpenOptions::new();
        let lock = open.create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(OpenError::io(&path, "open"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(OpenError::Busy { dir: dir.to_owned() });
            }
            Err(fs::TryLockError::Error(source)) => {
                return Err(OpenError::io(&path, "lock")(source));
            }
        }
        // A new directory must outlive a power loss as well as what is in it.
        if let Some(parent) = dir.parent().filter(|_| is_new && !options.no_fsync) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let synced = File::open(parent).and_then(|parent| parent.sync_all());
            synced.map_err(OpenError::io(parent, "sync directory"))?;
        }
        Ok(Self { dir: dir.to_owned(), options, stats: Arc::default(), _lock: lock })
    }

    /// Numbers of the segments there are, in order.
    pub fn segments(&self) -> io::Result<Vec<u64>> {
        Self::numbers(&self.dir)
    }

    /// The same, of a directory that need not be this process's.
    pub fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(dir)? {
            numbers.extend(entry?.file_name().to_str().and_then(segment::number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes a file of zeros under its final spare name. Uses the one a former process left.
    pub fn make_spare(&self, file_bytes: u64) -> io::Result<Spare> {
        if self.options.faults.no_space.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        if let Some(spare) = self.leftover_spare(file_bytes)? {
            return Ok(spare);
        }
        let unfinished = self.dir.join(SPARE_UNFINISHED);
        let made = self.write_zeros(&unfinished, file_bytes);
        if made.is_err() {
            // What was taken of a full disk is given back; the error that led here counts.
            let _ = fs::remove_file(&unfinished);
        }
        let file = made?;
        fs::rename(&unfinished, self.dir.join(SPARE))?;
        Ok(Spare { file, file_bytes })
    }

    fn leftover_spare(&self, file_bytes: u64) -> io::Result<Option<Spare>> {
        let path = self.dir.join(SPARE);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        // It is whole under that name; only an activation that was cut off wrote its first page.
        let mut page = [0; SEGMENT_HEADER_BYTES];
        let usable = file.metadata()?.len() == file_bytes
            && file.read_exact_at(&mut page, 0).is_ok()
            && page.iter().all(|byte| *byte == 0);
        Ok(usable.then_some(Spare { file, file_bytes }))
    }

    fn write_zeros(&self, path: &Path, file_bytes: u64) -> io::Result<File> {
        let mut open = OpenOptions::new();
        let file = open.read(true).write(true).create(true).truncate(true).open(path)?;
        let zeros = vec![0; ZERO_STEP_BYTES.min(file_bytes as usize)];
        let mut offset = 0;
        while offset < file_bytes {
            let step = zeros.len().min((file_bytes - offset) as usize);
            file.write_all_at(&zeros[..step], offset)?;
            offset += step as u64;
            if !self.options.no_fsync {
                file.sync_data()?;
            }
        }
        if !self.options.no_fsync {
            file.sync_all()?;
        }
        Ok(file)
    }

    /// Makes the spare the segment of this header. Only a whole header ever bears a segment's
    /// name: it is on disk before the rename is.
    pub fn activate(&self, spare: Spare, header: &SegmentHeader) -> io::Result<Segment> {
        spare.file.write_all_at(&header.encode(), 0)?;
        if !self.options.no_fsync {
            spare.file.sync_data()?;
        }
        let path = segment::path(&self.dir, header.number);
        fs::rename(self.dir.join(SPARE), &path)?;
        self.sync_dir()?;
        Ok(Segment::new(spare.file, path, header))
    }

    pub fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.options.faults.write_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected write failure"));
        }
        self.stats.written_bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        let started = self.options.clock.now();
        file.write_all_at(bytes, offset)?;
        if let Some(on_write) = &self.options.on_write {
            on_write(self.options.clock.now().since(started));
        }
        Ok(())
    }

    /// Waits until what was written to the file is on disk.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        if self.options.no_fsync {
            return Ok(());
        }
        let started = self.options.clock.now();
        while self.options.faults.sync_hangs.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if self.options.faults.sync_fails.load(Ordering::SeqCst) {
            return Err(io::Error::other("injected sync failure"));
        }
        file.sync_data()?;
        let took = self.options.clock.now().since(started);
        self.stats.count.fetch_add(1, Ordering::Relaxed);
        self.stats.nanos.fetch_add(took.as_nanos() as u64, Ordering::Relaxed);
        if let Some(on_sync) = &self.options.on_sync {
            on_sync(took);
        }
        Ok(())
    }

    /// Removes a segment, for good before it returns: were a later one's removal to survive
    /// without this one's, recovery would see a gap.
    pub fn remove(&self, path: &Path) -> io::Result<()> {
        match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed?,
        }
        self.sync_dir()
    }

    pub fn sync_dir(&self) -> io::Result<()> {
        if self.options.no_fsync { Ok(()) } else { File::open(&self.dir)?.sync_all() }
    }
}
