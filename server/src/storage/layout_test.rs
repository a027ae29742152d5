//! The directory survives being left at any step, and refuses what it does not know.

use std::fs;

use super::{CURRENT, Error, Layout};

fn complete(layout: &Layout) -> u64 {
    let generation = layout.create_generation().expect("created");
    layout.mark_ready(generation).expect("ready");
    generation
}

#[test]
fn current_follows_the_flip_and_cleaning_keeps_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::open(dir.path()).expect("opened");
    assert_eq!(layout.current().expect("read"), None);
    let first = complete(&layout);
    layout.flip(first).expect("flipped");
    let second = complete(&layout);
    assert_eq!(layout.current().expect("read"), Some(first), "complete but not yet named");
    layout.flip(second).expect("flipped");
    assert_eq!(layout.current().expect("read"), Some(second));
    layout.clean(second).expect("cleaned");
    assert!(!layout.path(first).exists() && layout.path(second).exists());
}

#[test]
fn an_incomplete_generation_never_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::open(dir.path()).expect("opened");
    layout.create_generation().expect("created");
    assert_eq!(layout.current().expect("read"), None);
    let second = complete(&layout);
    assert_eq!(layout.current().expect("read"), Some(second), "CURRENT was not yet written");
}

#[test]
fn foreign_and_newer_formats_are_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::open(dir.path()).expect("opened");
    for text in ["portunus-store 2\ng000001\n", "etcd\n", ""] {
        fs::write(dir.path().join(CURRENT), text).expect("written");
        let error = layout.current().expect_err("refused");
        assert!(matches!(error, Error::Format { .. }), "{error}");
    }
    fs::write(dir.path().join(CURRENT), "portunus-store 1\ng000009\n").expect("written");
    assert!(matches!(layout.current().expect_err("refused"), Error::Damaged { .. }));
}

#[test]
fn a_directory_has_one_user() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::open(dir.path()).expect("opened");
    assert!(matches!(Layout::open(dir.path()).err(), Some(Error::Locked(_))));
    drop(layout);
    Layout::open(dir.path()).expect("free again");
}

#[test]
fn what_is_set_aside_is_kept_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let layout = Layout::open(dir.path()).expect("opened");
    assert_eq!(layout.set_aside().expect("nothing to do"), None);
    let mut last = None;
    for _ in 0..2 {
        let generation = complete(&layout);
        layout.flip(generation).expect("flipped");
        fs::write(layout.path(generation).join("x"), "x").expect("written");
        last = layout.set_aside().expect("set aside");
        assert_eq!(layout.current().expect("read"), None);
    }
    assert!(last.expect("a place").join("x").exists());
    let kept = fs::read_dir(dir.path()).expect("listed").count();
    assert_eq!(kept, 2, "the lock and one copy");
}
