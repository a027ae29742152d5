//! The log against a model that is nothing but a list.

use std::fs;
use std::path::Path;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::testing::*;
use super::{Entry, Options, Position, Wal};

#[derive(Clone, Debug)]
enum Step {
    /// Entries of these sizes, in the next term or the last, by a caller that waits for the disk
    /// or not.
    Append {
        sizes: Vec<usize>,
        new_term: bool,
        here: bool,
    },
    /// Keep this share of the entries, in 256ths.
    Truncate(u8),
    Purge(u8),
    /// As after the install of a snapshot: this far beyond the end.
    PurgeBeyond(u8),
    Vote(u8),
    Committed(u8),
    Flush,
    Reopen,
    /// Go on from a copy of the directory, taken while the log is open: a killed process.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (vec(0..900usize, 1..6), any::<bool>(), any::<bool>())
            .prop_map(|(sizes, new_term, here)| Step::Append { sizes, new_term, here }),
        2 => any::<u8>().prop_map(Step::Truncate),
        2 => any::<u8>().prop_map(Step::Purge),
        1 => (1..9u8).prop_map(Step::PurgeBeyond),
        1 => any::<u8>().prop_map(Step::Vote),
        1 => any::<u8>().prop_map(Step::Committed),
        1 => Just(Step::Flush),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ];
    vec(step, 1..60)
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    purged: Option<Position>,
    vote: Option<u8>,
    committed: Option<Position>,
    term: u64,
}

impl Model {
    fn next(&self) -> u64 {
        let before = self.entries.last().map(Entry::position).or(self.purged);
        before.map_or(0, |position| position.index + 1)
    }

    fn at(&self, share: u8) -> Option<Entry> {
        self.entries.get(self.entries.len() * usize::from(share) / 256).cloned()
    }

    fn step(&mut self, wal: &Wal, step: &Step) {
        match step {
            Step::Append { sizes, new_term, here } => {
                self.term += u64::from(*new_term);
                let next = self.next();
                let new = sizes.iter().zip(next..).map(|(size, at)| entry(self.term, at, *size));
                let new: Vec<Entry> = new.collect();
                match here {
                    true => wal.append_here(new.clone(), done().0).unwrap(),
                    false => wal.append(new.clone(), done().0).unwrap(),
                }
                self.entries.extend(new);
            }
            Step::Truncate(share) => {
                if let Some(kept) = self.at(*share) {
                    wal.truncate_after(Some(kept.index));
                    self.entries.retain(|entry| entry.index <= kept.index);
                } else {
                    wal.truncate_after(None);
                }
            }
            Step::Purge(share) => {
                if let Some(upto) = self.at(*share) {
                    self.purge(wal, upto.position());
                }
            }
            Step::PurgeBeyond(far) => {
                let upto = position(self.term, self.next() + u64::from(*far));
                self.purge(wal, upto);
            }
            Step::Vote(vote) => {
                wal.save_vote(Bytes::copy_from_slice(&[*vote]), done().0).unwrap();
                self.vote = Some(*vote);
            }
            Step::Committed(share) => {
                if let Some(committed) = self.at(*share).map(|entry| entry.position()) {
                    wal.save_committed(committed);
                    self.committed = Some(committed);
                }
            }
            Step::Flush => flush(wal),
            Step::Reopen | Step::Crash => unreachable!("done by the caller"),
        }
    }

    fn purge(&mut self, wal: &Wal, upto: Position) {
        wal.purge(upto);
        self.entries.retain(|entry| entry.index > upto.index);
        self.purged = Some(upto);
    }

    fn check(&self, wal: &Wal) {
        assert_eq!(read_all(wal), self.entries);
        assert_eq!(wal.purged(), self.purged);
        assert_eq!(wal.last(), self.entries.last().map(Entry::position).or(self.purged));
        assert_eq!(wal.range().end, self.next());
        assert_eq!(wal.vote().as_deref(), self.vote.as_ref().map(std::slice::from_ref));
        assert_eq!(wal.committed(), self.committed);
    }
}

fn run(steps: &[Step]) {
    // Syncs would only make it slow: what is asked here is what the log means.
    let options = Options { no_fsync: true, ring_bytes: 1000, ..small() };
    let mut dir = tempfile::tempdir().unwrap();
    let mut wal = open(dir.path(), &options);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Reopen => {
                drop(wal);
                wal = open(dir.path(), &options);
            }
            Step::Crash => {
                flush(&wal);
                let copy = tempfile::tempdir().unwrap();
                copy_segments(dir.path(), copy.path());
                drop(wal);
                wal = open(copy.path(), &options);
                dir = copy;
            }
            step => model.step(&wal, step),
        }
        model.check(&wal);
    }
}

/// Newest first: a segment that is removed meanwhile is then the oldest of the copy.
fn copy_segments(from: &Path, to: &Path) {
    let mut names: Vec<_> = fs::read_dir(from).unwrap().map(|f| f.unwrap().file_name()).collect();
    names.retain(|name| name.to_str().unwrap().ends_with(".wal"));
    names.sort();
    for name in names.iter().rev() {
        if fs::copy(from.join(name), to.join(name)).is_err() {
            return;
        }
    }
}

#[test]
fn the_log_is_a_list() {
    let config = Config { cases: 96, failure_persistence: None, ..Config::default() };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            run(&steps);
            Ok(())
        })
        .unwrap();
}
