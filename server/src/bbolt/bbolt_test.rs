//! What the writer writes, the reader reads back, whatever the sizes.

use std::collections::BTreeMap;
use std::io::Cursor;

use bytes::Bytes;
use proptest::prelude::*;

use super::layout::PAGE_BYTES;
use super::{Database, Error, Writer};

type Contents = BTreeMap<String, BTreeMap<Vec<u8>, Vec<u8>>>;

pub fn write(contents: &Contents) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    for (name, entries) in contents {
        let mut bucket = writer.bucket(name);
        for (key, value) in entries {
            writer.put(&mut bucket, key, value).unwrap();
        }
        writer.close(bucket).unwrap();
    }
    let (out, bytes) = writer.finish().unwrap();
    let out = out.into_inner();
    assert_eq!(out.len() as u64, bytes);
    out
}

pub fn read(file: Vec<u8>) -> Result<Contents, Error> {
    let database = Database::open(file)?;
    database.check()?;
    let mut contents = Contents::new();
    for (name, bucket) in database.buckets()? {
        let entries = database.entries(&bucket).map(|entry| {
            let (key, value) = entry?;
            Ok((key.to_vec(), value.to_vec()))
        });
        let name = String::from_utf8_lossy(&name).into_owned();
        contents.insert(name, entries.collect::<Result<_, Error>>()?);
    }
    Ok(contents)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_file_reads_back_and_passes_the_check(
        contents in prop::collection::btree_map(
            "[a-z]{1,9}",
            prop::collection::btree_map(
                prop::collection::vec(any::<u8>(), 1..60),
                prop_oneof![
                    9 => prop::collection::vec(any::<u8>(), 0..200),
                    1 => prop::collection::vec(any::<u8>(), 0..20_000),
                ],
                0..120,
            ),
            0..5,
        )
    ) {
        let file = write(&contents);
        prop_assert_eq!(file.len() % PAGE_BYTES as usize, 0);
        prop_assert_eq!(read(file).unwrap(), contents);
    }
}

/// Branches above branches, and keys so long that few fit on a page.
#[test]
fn a_tree_of_several_levels_reads_back() {
    for (count, key_bytes) in [(60_000usize, 17usize), (300, 1_500), (40, 9_000)] {
        let entry = |n: usize| {
            let mut key = format!("{n:08}").into_bytes();
            key.resize(key_bytes, b'k');
            (key, n.to_le_bytes().to_vec())
        };
        let contents: Contents = [("deep".into(), (0..count).map(entry).collect())].into();
        assert!(read(write(&contents)).unwrap() == contents, "{count} keys of {key_bytes}");
    }
}

#[test]
fn buckets_may_be_written_side_by_side() {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    let (mut even, mut odd) = (writer.bucket("even"), writer.bucket("odd"));
    for n in 0..5_000u32 {
        let bucket = if n % 2 == 0 { &mut even } else { &mut odd };
        writer.put(bucket, &n.to_be_bytes(), b"value").unwrap();
    }
    writer.close(odd).unwrap();
    writer.close(even).unwrap();
    let database = Database::open(writer.finish().unwrap().0.into_inner()).unwrap();
    database.check().unwrap();
    let buckets = database.buckets().unwrap();
    let names: Vec<&[u8]> = buckets.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, [&b"even"[..], b"odd"]);
    for (parity, (_, bucket)) in buckets.iter().enumerate() {
        let keys: Vec<Bytes> = database.entries(bucket).map(|entry| entry.unwrap().0).collect();
        let expected = (0..5_000u32).filter(|n| *n as usize % 2 == parity);
        assert!(keys.iter().map(|key| &key[..]).eq(expected.map(u32::to_be_bytes)));
    }
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    let mut bucket = writer.bucket("b");
    writer.put(&mut bucket, b"m", b"").unwrap();
    let refused = |result: Result<(), Error>| result.expect_err("refused").to_string();
    let order = refused(writer.put(&mut bucket, b"m", b""));
    assert_eq!(order, "key m does not come after the one before it");
    let empty = refused(writer.put(&mut bucket, b"", b""));
    assert_eq!(empty, "a key of 0 bytes cannot be stored: 1 to 32768 are possible");
    let long = refused(writer.put(&mut bucket, &[b'z'; 32_769], b""));
    assert_eq!(long, "a key of 32769 bytes cannot be stored: 1 to 32768 are possible");
}
