//! The store after a crash: whatever became of the journal and of unsynced bytes, it holds exactly
//! what the batches up to the index it claims left, and the replay of the rest makes it whole.

#![allow(clippy::disallowed_methods, reason = "a test measures or waits by the real clock")]

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;

use super::super::model::{Model, batch, delete, open, put, row};
use super::super::{Batch, Checkpoint, Options, Store};
use super::{Engine, Forgets, Layout, Mark};
use crate::types::Revision;

/// More than any case writes to a journal, less than fjall preallocates.
const JOURNAL_BYTES_MAX: u64 = 1 << 18;

/// What happens to bytes nobody synced.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Nothing,
    JournalGone,
    /// Cut at this share of 256.
    JournalTorn(u8),
    /// One byte in this many flipped.
    JournalFlipped(u8),
    JournalZeroed(u8),
    /// Files of a flush, a version and a flip that never completed.
    Leftovers,
}

#[derive(Clone, Debug)]
enum Step {
    Write {
        puts: u8,
        deletes: u8,
        rows: Vec<(u8, Option<u8>)>,
        forget: u8,
        entries: u8,
    },
    /// The engine flushes records by itself, ahead of any checkpoint.
    Flush,
    Checkpoint,
    Crash(Damage),
    Close,
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Nothing),
        Just(Damage::JournalGone),
        any::<u8>().prop_map(Damage::JournalTorn),
        (1u8..60).prop_map(Damage::JournalFlipped),
        any::<u8>().prop_map(Damage::JournalZeroed),
        Just(Damage::Leftovers),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let rows = prop::collection::vec((0u8..6, prop::option::of(any::<u8>())), 0..4);
    let write = (0u8..5, 0u8..3, rows, 0u8..6, 1u8..4).prop_map(
        |(puts, deletes, rows, forget, entries)| Step::Write {
            puts,
            deletes,
            rows,
            forget,
            entries,
        },
    );
    prop_oneof![
        6 => write,
        2 => Just(Step::Flush),
        2 => Just(Step::Checkpoint),
        2 => damage().prop_map(Step::Crash),
        1 => Just(Step::Close),
    ]
}

/// The store, and the log that outlives it.
struct World<'a> {
    dir: &'a Path,
    log: Vec<Batch>,
    index: u64,
    store: Option<Store>,
}

impl World<'_> {
    fn write(&mut self, puts: u8, deletes: u8, rows: &[(u8, Option<u8>)], forget: u8, entries: u8) {
        self.index += u64::from(entries);
        let main = self.index as i64;
        let records = (0..puts).map(|sub| put(main, sub.into(), &[sub; 90]));
        let deletes = (0..deletes).map(|sub| delete(main, u32::from(puts + sub)));
        let mut rows: Vec<_> = rows
            .iter()
            .map(|(key, value)| {
                let value = value.map(|v| Bytes::from(vec![v; 20]));
                (Bytes::from(vec![*key]), value)
            })
            .collect();
        rows.push(row("index", &self.index.to_string()));
        let live = Model::of(&self.log).records;
        let forget = live.keys().step_by(2).take(forget.into()).copied().collect();
        let batch =
            Batch { index: self.index, records: records.chain(deletes).collect(), rows, forget };
        self.log.push(batch.clone());
        self.store().write(batch).expect("taken");
    }

    fn store(&self) -> &Store {
        self.store.as_ref().expect("open between steps")
    }

    /// Reopens, checks what is claimed, replays the rest and checks the whole.
    fn restart(&mut self, at_least: u64) {
        let (store, opened) = open(self.dir);
        let claimed = opened.applied_index;
        assert!(claimed >= at_least, "claims {claimed}, {at_least} was durable");
        assert!(opened.durable_index <= claimed);
        let covered = self.log.partition_point(|batch| batch.index <= claimed);
        let expected = Model::of(&self.log[..covered]);
        let head = self.log[..covered].iter().flat_map(|b| &b.records).map(|(at, _)| *at).max();
        assert_eq!(opened.head, head.unwrap_or_default());
        let ahead = store.scan(Revision::default(), Revision::new(i64::MAX, 0));
        for found in ahead {
            let (at, record) = found.expect("read");
            assert!(at <= opened.head, "{at} is ahead of the claim");
            if let Some(expected) = expected.records.get(&at) {
                assert_eq!(&record, expected);
            }
        }
        assert_eq!(Model::loaded(&store), expected, "at {claimed}");
        for batch in &self.log[covered..] {
            store.write(batch.clone()).expect("taken");
        }
        let whole = Model::seen(&store.snapshot().expect("taken"));
        assert_eq!(whole, Model::of(&self.log), "after the replay from {claimed}");
        self.store = Some(store);
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Write { puts, deletes, rows, forget, entries } => {
                self.write(*puts, *deletes, rows, *forget, *entries);
            }
            Step::Flush => {
                self.store().snapshot().expect("everything is written");
                self.store().shared.engine.read().flush_records().expect("flushed");
            }
            Step::Checkpoint => {
                let index = self.store().checkpoint_now().expect("durable");
                assert_eq!(index, self.index);
            }
            Step::Crash(damage) => {
                let durable = self.store().checkpoint_index();
                self.store = None;
                inflict(*damage, self.dir);
                self.restart(durable);
            }
            Step::Close => {
                self.store.take().expect("open between steps").close().expect("closed");
                self.restart(self.index);
            }
        }
    }
}

fn journals(dir: &Path) -> Vec<std::path::PathBuf> {
    let generations = fs::read_dir(dir).expect("listed").map(|entry| entry.expect("listed").path());
    let inside = generations.filter(|path| path.is_dir()).flat_map(|path| {
        fs::read_dir(path).expect("listed").map(|entry| entry.expect("listed").path())
    });
    inside.filter(|path| path.extension().is_some_and(|e| e == "jnl")).collect()
}

fn inflict(damage: Damage, dir: &Path) {
    if let Damage::Leftovers = damage {
        let generation = fs::read_dir(dir).expect("listed").map(|e| e.expect("listed").path());
        let generation = generation.into_iter().find(|p| p.is_dir()).expect("a generation");
        for keyspace in ["1", "2"] {
            let tree = generation.join("keyspaces").join(keyspace);
            fs::write(tree.join("tables/9999"), [7; 5000]).expect("written");
            fs::write(tree.join("v9999"), [7; 50]).expect("written");
        }
        fs::write(dir.join("CURRENT.tmp"), "portunus-st").expect("written");
        fs::create_dir_all(dir.join("g000077/keyspaces")).expect("created");
        return;
    }
    for path in journals(dir) {
        let mut bytes = Vec::new();
        let start = File::open(&path).expect("opened").take(JOURNAL_BYTES_MAX);
        BufReader::new(start).read_to_end(&mut bytes).expect("read");
        // Preallocated: what counts is before the zeroes.
        let used = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let share = |part: u8| used * usize::from(part) / 256;
        match damage {
            Damage::Nothing | Damage::Leftovers => continue,
            Damage::JournalGone => {
                fs::remove_file(&path).expect("removed");
                continue;
            }
            Damage::JournalTorn(part) => bytes.truncate(share(part)),
            Damage::JournalFlipped(each) => {
                bytes[..used].iter_mut().step_by(each.into()).for_each(|b| *b ^= 0x5a);
            }
            Damage::JournalZeroed(part) => bytes[share(part)..used].fill(0),
        }
        fs::write(&path, bytes).expect("written");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_restart_shows_exactly_what_it_claims_and_the_replay_completes_it(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut world =
            World { dir: dir.path(), log: Vec::new(), index: 0, store: Some(open(dir.path()).0) };
        steps.iter().for_each(|step| world.take(step));
        world.take(&Step::Crash(Damage::JournalGone));
    }
}

#[test]
fn records_ahead_of_the_claim_do_not_show_even_if_history_goes_another_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    (1..=5).for_each(|index| store.write(batch(index)).expect("taken"));
    store.checkpoint_now().expect("durable");
    (6..=9).for_each(|index| store.write(batch(index)).expect("taken"));
    store.snapshot().expect("everything is written");
    store.shared.engine.read().flush_records().expect("flushed");
    drop(store);
    let (store, opened) = open(dir.path());
    assert_eq!((opened.applied_index, opened.ahead), (5, 8));
    assert_eq!(store.record(Revision::new(7, 0)).expect("read"), None);
    let other = Batch { index: 6, records: vec![put(9, 0, b"another")], ..Batch::default() };
    store.write(other.clone()).expect("taken");
    let mut expected = Model::of(&(1..=5).map(batch).collect::<Vec<_>>());
    expected.apply(&other);
    assert_eq!(Model::seen(&store.snapshot().expect("taken")), expected);
    store.close().expect("closed");
    assert_eq!(Model::loaded(&open(dir.path()).0), expected);
}

#[test]
fn what_a_crash_kept_from_being_erased_does_not_count_and_goes_later() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, opened) = open(dir.path());
    let mut log: Vec<_> = (1..=5).map(batch).collect();
    log.iter().for_each(|batch| store.write(batch.clone()).expect("taken"));
    store.checkpoint_now().expect("durable");
    drop(store);
    // A checkpoint that covers the forgetting, and the crash right after it.
    let forget: Vec<_> = (1..=4).map(|main| Revision::new(main, 0)).collect();
    let layout = Layout::open(dir.path()).expect("opened");
    let generation = layout.current().expect("read").expect("one");
    let engine = Engine::open(&layout, generation, 1 << 20).expect("opened");
    let mut rows = Default::default();
    Forgets::default().defer(&forget, &mut rows);
    let mark = Mark { index: 6, head: Revision::new(5, 1), previous: opened.applied_index };
    engine.checkpoint(&rows, mark).expect("durable");
    assert!(engine.record(forget[0]).expect("read").is_some());
    drop((engine, layout));
    log.push(Batch { index: 6, forget: forget.clone(), ..Batch::default() });
    let (store, opened) = open(dir.path());
    assert_eq!(opened.applied_index, 6);
    assert_eq!(Model::loaded(&store), Model::of(&log));
    let deadline = Instant::now() + Duration::from_secs(60);
    while forget.iter().any(|at| store.record(*at).expect("read").is_some()) {
        assert!(Instant::now() < deadline, "never erased");
        std::thread::yield_now();
    }
    drop(store);
    assert_eq!(Model::loaded(&open(dir.path()).0), Model::of(&log));
}

#[test]
fn a_crash_between_a_finished_install_and_the_switch_keeps_the_old_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let (store, _) = open(dir.path());
    (1..=5).for_each(|index| store.write(batch(index)).expect("taken"));
    store.checkpoint_now().expect("durable");
    let mut installer = store.installer().expect("started");
    let (at, record) = put(70, 0, b"v");
    installer.record(at, &record).expect("taken");
    let installed = installer.finish(70, at).expect("finished");
    drop(store);
    std::mem::forget(installed);
    // The forgotten one still holds the lock, as no crashed process does: look at a copy.
    let copy = tempfile::tempdir().expect("a directory");
    copy_dir(dir.path(), copy.path());
    let (store, opened) = open(copy.path());
    assert_eq!(opened.applied_index, 5);
    assert_eq!(store.record(at).expect("read"), None);
    assert!(!copy.path().join("g000002").exists(), "the leftover is gone");
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("listed") {
        let entry = entry.expect("listed");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).expect("created");
            copy_dir(&entry.path(), &to);
        } else if entry.path().extension().is_none_or(|e| e != "jnl") {
            fs::copy(entry.path(), to).expect("copied");
        } else {
            File::create(to).expect("created");
        }
    }
}

const CHILD: &str = "PORTUNUS_STORE_TEST_DIR";

/// Not a test of its own: the process that the next one kills.
#[test]
fn child_that_writes_until_killed() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let on_checkpoint = Arc::new(|c: Checkpoint| println!("\ncheckpoint {}", c.index));
    let options = Options {
        pending_bytes: 20_000,
        checkpoint_bytes: 30_000,
        on_checkpoint,
        ..Options::default()
    };
    let (store, opened) = Store::open(Path::new(&dir), options).expect("opened");
    for index in opened.applied_index + 1.. {
        store.write(batch(index)).expect("taken");
    }
}

#[test]
fn a_killed_process_leaves_a_true_prefix() {
    let dir = tempfile::tempdir().expect("a directory");
    let program = std::env::current_exe().expect("this test program");
    let name = concat!(module_path!(), "::child_that_writes_until_killed");
    let name = name.split_once("::").expect("a crate before the path").1;
    let mut before = 0;
    for round in 0..4 {
        let mut child = Command::new(&program)
            .args([name, "--exact", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let told = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("checkpoint ")?.parse::<u64>().ok());
        let durable = told.take(3 + round * 5).last();
        let Some(durable) = durable else {
            panic!("no checkpoint in round {round}, {:?}", child.wait());
        };
        child.kill().expect("killed");
        child.wait().expect("reaped");
        let (store, opened) = open(dir.path());
        assert!(opened.applied_index >= durable && durable > before);
        let log: Vec<_> = (1..=opened.applied_index).map(batch).collect();
        assert_eq!(Model::loaded(&store), Model::of(&log), "round {round}");
        before = opened.applied_index;
    }
}
