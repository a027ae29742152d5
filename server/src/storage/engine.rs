//! The only door to fjall: two keyspaces, and the few operations the rest needs. What is written
//! here counts only once it is in a synced table; fjall's journal is never read back, it is
//! replaced by an empty one at every open (see `mod.rs`).

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fjall::{AbstractTree, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::error::Error;
use super::layout::{Layout, sync_dir};
use super::mark::Mark;
use super::record::Record;
use super::row_key;
use crate::types::Revision;

/// Records, and rows.
const KEYSPACES: [&str; 2] = ["revisions", "system"];
/// What fjall writes last when it creates a database.
const FJALL_MARKER: &str = "version";
/// Memtable of the records. A full one is flushed in the background, so a checkpoint never has
/// more than this left to write.
const RECORDS_MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
/// Memtable of the rows: written and flushed at checkpoints only.
const ROWS_MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;
/// One thread of fjall's own. With more, its first one spins whenever a compaction is queued.
const WORKER_THREADS: usize = 1;
/// fjall stalls its writer in a loop that never looks at a failure from these on; we wait before.
const SEALED_MEMTABLES_MAX: usize = 3;
const L0_RUNS_MAX: usize = 18;
const STALL_POLL: Duration = Duration::from_millis(5);

/// Stored pairs, one place after the other.
pub type Rows = std::collections::BTreeMap<Vec<u8>, Option<Bytes>>;

/// One open generation.
pub struct Engine {
    records: Keyspace,
    rows: Keyspace,
    db: Database,
    dir: PathBuf,
    // Declared last: the engine is closed before its files go and the lock is given up.
    leave: Leave,
}

struct Leave {
    retired: AtomicBool,
    layout: Layout,
    generation: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        if self.retired.load(Ordering::Acquire) {
            self.layout.remove(self.generation);
        }
    }
}

impl Engine {
    /// Opens or creates the engine of a generation. fjall panics on some kinds of damage; that is
    /// damage like any other here.
    pub fn open(layout: &Layout, generation: u64, cache_bytes: u64) -> Result<Self, Error> {
        let dir = layout.path(generation);
        let fresh = !dir.join(FJALL_MARKER).exists();
        discard_journal(&dir)?;
        let opened = catch_unwind(AssertUnwindSafe(|| {
            let db = Database::builder(&dir)
                .cache_size(cache_bytes)
                .worker_threads(WORKER_THREADS)
                .open()?;
            // fjall drops a keyspace whose own marker is gone, and would begin an empty one here.
            if !fresh && !KEYSPACES.iter().all(|name| db.keyspace_exists(name)) {
                return Err(fjall::Error::Unrecoverable);
            }
            let [records, rows] = KEYSPACES;
            let options = KeyspaceCreateOptions::default;
            let records =
                db.keyspace(records, || options().max_memtable_size(RECORDS_MEMTABLE_BYTES))?;
            let rows = db.keyspace(rows, || options().max_memtable_size(ROWS_MEMTABLE_BYTES))?;
            Ok::<_, fjall::Error>((db, records, rows))
        }));
        let damaged = |what: String| Error::Damaged { path: dir.clone(), what };
        let (db, records, rows) = match opened {
            Ok(Ok(parts)) => parts,
            Ok(Err(fjall::Error::Locked)) => return Err(Error::Locked(dir)),
            Ok(Err(fjall::Error::Io(e))) => return Err(Error::io("open the tables")(e)),
            Ok(Err(e)) => return Err(damaged(e.to_string())),
            Err(_) => return Err(damaged("the engine panicked while opening".into())),
        };
        let leave = Leave { retired: AtomicBool::new(false), layout: layout.clone(), generation };
        Ok(Self { records, rows, db, dir, leave })
    }

    /// The files go when the last user of this engine does.
    pub fn retire(&self) {
        self.leave.retired.store(true, Ordering::Release);
    }

    /// Declares the generation complete: it holds a checkpoint.
    pub fn mark_ready(&self) -> Result<(), Error> {
        self.leave.layout.mark_ready(self.leave.generation)
    }

    /// Writes records, atomically.
    pub fn append<'a>(
        &self,
        records: impl Iterator<Item = &'a (Revision, Record)>,
    ) -> Result<(), Error> {
        let mut batch = self.db.batch();
        for (revision, record) in records {
            batch.insert(&self.records, revision.to_bytes(), record.encode());
        }
        self.commit(batch, "write records")
    }

    /// Removes records; returns how many were there and their bytes.
    pub fn erase(&self, revisions: &[Revision]) -> Result<(u64, u64), Error> {
        let (mut count, mut bytes) = (0, 0);
        let mut batch = self.db.batch();
        for revision in revisions {
            let key = revision.to_bytes();
            let size = self.records.size_of(key).map_err(Error::engine("look up a record"))?;
            if let Some(size) = size {
                count += 1;
                bytes += record_bytes(size as usize);
                batch.remove(&self.records, key);
            }
        }
        self.commit(batch, "forget records")?;
        Ok((count, bytes))
    }

    /// Removes every record above `head`. Returns how many there were.
    pub fn erase_above(&self, head: Revision) -> Result<u64, Error> {
        const PORTION: usize = 10_000;
        let mut erased = 0;
        loop {
            let from = (std::ops::Bound::Excluded(head.to_bytes()), std::ops::Bound::Unbounded);
            let mut batch = self.db.batch();
            for guard in self.records.range::<[u8; 12], _>(from).take(PORTION) {
                batch.remove(&self.records, guard.key().map_err(Error::engine("list records"))?);
            }
            let count = batch.len();
            self.commit(batch, "remove records ahead of the checkpoint")?;
            erased += count as u64;
            if count < PORTION {
                return Ok(erased);
            }
        }
    }

    /// A checkpoint: first every record becomes durable, then the rows together with the mark that
    /// speaks for both. The rows' memtable holds nothing else, and a flush installs its tables
    /// atomically, so after a crash there is this mark with these rows, or the one before.
    pub fn checkpoint(&self, rows: &Rows, mark: Mark) -> Result<(), Error> {
        self.flush_records()?;
        let mut batch = self.db.batch();
        for (key, value) in rows {
            match value {
                Some(value) => batch.insert(&self.rows, &key[..], &value[..]),
                None => batch.remove(&self.rows, &key[..]),
            }
        }
        batch.insert(&self.rows, row_key::MARK, mark.encode());
        self.commit(batch, "write rows")?;
        flush(&self.rows)
    }

    /// Makes every record durable. The engine does the same by itself when the memtable is full.
    pub fn flush_records(&self) -> Result<(), Error> {
        flush(&self.records)
    }

    /// What the tables hold; `None` when no checkpoint was ever made.
    pub fn mark(&self) -> Result<Option<Mark>, Error> {
        let stored = self.rows.get(row_key::MARK).map_err(Error::engine("read the mark"))?;
        let Some(stored) = stored else { return Ok(None) };
        let what = || "the checkpoint mark is malformed or newer".to_string();
        let damaged = || Error::Damaged { path: self.dir.clone(), what: what() };
        Mark::decode(&stored).ok_or_else(damaged).map(Some)
    }

    pub fn record(&self, at: Revision) -> Result<Option<Record>, Error> {
        let stored = self.records.get(at.to_bytes()).map_err(Error::engine("read a record"))?;
        stored.map(|bytes| self.decode(at, &bytes)).transpose()
    }

    /// At most `limit` records from `from` on and below `to`, in order.
    pub fn records(
        &self,
        from: Revision,
        to: Revision,
        limit: usize,
    ) -> Result<Vec<(Revision, Record)>, Error> {
        if from >= to {
            return Ok(Vec::new());
        }
        let range = self.records.range(from.to_bytes()..to.to_bytes());
        range.take(limit).map(|guard| self.read(guard)).collect()
    }

    /// A consistent view of both keyspaces. Holds back garbage collection while it lives.
    pub fn view(&self) -> fjall::Snapshot {
        self.db.snapshot()
    }

    /// The stored rows of a view, the store's own included.
    pub fn rows_of(
        &self,
        view: &fjall::Snapshot,
    ) -> impl Iterator<Item = Result<(Vec<u8>, Bytes), Error>> + use<> {
        view.iter(&self.rows).map(|guard| {
            let (key, value) = guard.into_inner().map_err(Error::engine("read a row"))?;
            Ok((key.to_vec(), Bytes::copy_from_slice(&value)))
        })
    }

    /// The records of a view, not yet decoded.
    pub fn records_of(&self, view: &fjall::Snapshot) -> fjall::Iter {
        view.iter(&self.records)
    }

    /// The same from one revision on.
    pub fn records_from(&self, view: &fjall::Snapshot, from: Revision) -> fjall::Iter {
        view.range(&self.records, from.to_bytes()..)
    }

    pub fn read(&self, guard: fjall::Guard) -> Result<(Revision, Record), Error> {
        let (key, value) = guard.into_inner().map_err(Error::engine("read a record"))?;
        let at = Revision::from_bytes(&key).ok_or_else(|| Error::Damaged {
            path: self.dir.clone(),
            what: "a record's key is no revision".into(),
        })?;
        Ok((at, self.decode(at, &value)?))
    }

    /// Fills the records of a fresh generation from an ordered stream, past memtable and journal.
    pub fn ingest(&self, records: impl Iterator<Item = (Revision, Vec<u8>)>) -> Result<(), Error> {
        let failed = || Error::engine("ingest records");
        let mut ingestion = self.records.start_ingestion().map_err(failed())?;
        for (revision, bytes) in records {
            ingestion.write(revision.to_bytes(), bytes).map_err(failed())?;
        }
        ingestion.finish().map_err(failed())
    }

    /// Rewrites all record tables without what was erased. Takes as long as reading and writing
    /// what is left; readers go on, and writes go to memtables meanwhile.
    pub fn compact(&self) -> Result<(), Error> {
        self.records.major_compact().map_err(Error::engine("compact the tables"))
    }

    /// Bytes of the record tables on disk.
    pub fn record_table_bytes(&self) -> u64 {
        self.records.disk_space()
    }

    /// Bytes of all tables on disk and of what waits in memtables to become one.
    pub fn disk_bytes(&self) -> u64 {
        let each = [&self.records, &self.rows];
        each.iter().map(|k| k.disk_space() + k.tree.active_memtable().size()).sum()
    }

    /// Bytes free on the engine's device.
    pub fn free_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.dir).map_or(0, |stat| stat.f_bavail * stat.f_frsize)
    }

    /// Fails once a background thread of fjall has.
    pub fn health(&self) -> Result<(), Error> {
        match self.db.persist(PersistMode::Buffer) {
            Err(fjall::Error::Poisoned) => Err(Error::Poisoned { free_bytes: self.free_bytes() }),
            other => other.map_err(Error::engine("write the journal")),
        }
    }

    fn commit(&self, batch: fjall::OwnedWriteBatch, action: &'static str) -> Result<(), Error> {
        let stalls = |keyspace: &Keyspace| {
            keyspace.tree.sealed_memtable_count() >= SEALED_MEMTABLES_MAX
                || keyspace.tree.l0_run_count() >= L0_RUNS_MAX
        };
        while stalls(&self.records) || stalls(&self.rows) {
            self.health()?;
            std::thread::sleep(STALL_POLL);
        }
        match batch.commit() {
            Err(fjall::Error::Poisoned) => Err(Error::Poisoned { free_bytes: self.free_bytes() }),
            other => other.map_err(Error::engine(action)),
        }
    }

    fn decode(&self, at: Revision, bytes: &[u8]) -> Result<Record, Error> {
        Record::decode(bytes, at)
            .map_err(|e| Error::Damaged { path: self.dir.clone(), what: e.to_string() })
    }
}

/// What a record with an encoded value of this size counts for in the live bytes.
pub fn record_bytes(encoded: usize) -> u64 {
    encoded as u64 + 12
}

/// Turns a keyspace's memtables into synced tables before it returns. fjall's own worker is told
/// too (it rotates the journal and compacts); whoever takes the flush lock first does the work.
fn flush(keyspace: &Keyspace) -> Result<(), Error> {
    keyspace.rotate_memtable().map_err(Error::engine("seal a memtable"))?;
    let turn = keyspace.tree.get_flush_lock();
    let flushed = keyspace.tree.flush(&turn, 0);
    flushed.map(drop).map_err(Error::engine("flush a memtable"))
}

/// Replaces fjall's journals by an empty one. Nothing in them counts: what is not in a table is
/// replayed from the log. An empty file rather than none, because fjall takes its sequence numbers
/// from the tables only when it finds a journal.
fn discard_journal(dir: &Path) -> Result<(), Error> {
    if !dir.join(FJALL_MARKER).exists() {
        return Ok(());
    }
    let action = "discard the engine's journal";
    let entries = fs::read_dir(dir).map_err(Error::io(action))?;
    let mut bytes = 0;
    for entry in entries {
        let path = entry.map_err(Error::io(action))?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("jnl")) {
            bytes += path.metadata().map(|m| m.len()).unwrap_or(0);
            fs::remove_file(&path).map_err(Error::io(action))?;
        }
    }
    File::create(dir.join("0.jnl"))
        .and_then(|file| file.sync_all())
        .and_then(|()| sync_dir(dir))
        .map_err(Error::io(action))?;
    tracing::debug!(bytes, "journal of the engine discarded, the log is replayed instead");
    Ok(())
}
