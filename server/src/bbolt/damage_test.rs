//! Every way in which a file can be wrong is refused by name, and none of them is a panic or a
//! walk without end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bbolt_test::{read, write};
use super::layout::{FREELIST, META, PAGE_BYTES};
use super::{Database, Error};

const PAGE: usize = PAGE_BYTES as usize;

/// Two levels of branches, an overflowing value, an empty bucket.
fn sample() -> Vec<u8> {
    // Long keys, so that few of them make many pages.
    let key = |n: u32| [&n.to_be_bytes()[..], &[9; 1_000]].concat();
    let many = (0..200u32).map(|n| (key(n), vec![7; 9]));
    let large = [(b"large".to_vec(), vec![3; 3 * PAGE])];
    write(
        &[
            ("a".to_owned(), many.collect()),
            ("b".to_owned(), large.into()),
            ("empty".to_owned(), BTreeMap::new()),
        ]
        .into(),
    )
}

fn refusal(file: Vec<u8>) -> String {
    read(file).expect_err("a damaged file is refused").to_string()
}

/// The kind of each page, as its header says.
fn kinds(file: &[u8]) -> Vec<u16> {
    file.chunks(PAGE).map(|page| u16::from_le_bytes([page[8], page[9]])).collect()
}

#[test]
fn a_file_cut_at_any_page_is_refused() {
    let file = sample();
    let pages = file.len() / PAGE;
    for keep in 0..pages {
        for bytes in [keep * PAGE, keep * PAGE + 100] {
            let refused = refusal(file[..bytes].to_vec());
            let expected = match bytes {
                0..1024 => {
                    format!("not a bbolt file: it has {bytes} bytes, too few for two meta pages")
                }
                _ => format!("the file is cut: {} bytes are in use and it has {bytes}", file.len()),
            };
            assert_eq!(refused, expected);
        }
    }
}

#[test]
fn another_kind_of_file_is_refused() {
    let text = vec![b'x'; 10_000];
    let refused = refusal(text);
    assert!(refused.starts_with("not a bbolt file: neither meta page is valid: magic 0x78787878"));
    let mut newer = sample();
    newer[20] = 3;
    newer[PAGE + 20] = 3;
    assert!(refusal(newer).contains("format version 3 is not 2"));
}

/// One meta page is enough, and the other then decides.
#[test]
fn one_damaged_meta_page_is_made_up_for_by_the_other() {
    let file = sample();
    let whole = read(file.clone()).unwrap();
    for meta in [0, PAGE] {
        let mut damaged = file.clone();
        damaged[meta + 40] ^= 1;
        assert!(read(damaged.clone()).unwrap() == whole, "without the meta page at {meta}");
        damaged[PAGE - meta + 70] ^= 1;
        assert!(refusal(damaged).contains("its checksum does not fit"));
    }
}

#[test]
fn pages_that_go_in_a_circle_are_refused() {
    let file = sample();
    let kinds = kinds(&file);
    let branches: Vec<usize> = (0..kinds.len()).filter(|page| kinds[*page] == 1).collect();
    assert!(branches.len() > 2, "a tree of several levels");
    for (from, to) in [(0, 0), (1, 0), (0, 1)] {
        let (from, to) = (branches[from], branches[to]);
        let mut circle = file.clone();
        // The page that the first element of the branch names.
        circle[from * PAGE + 24..][..8].copy_from_slice(&(to as u64).to_le_bytes());
        let error = read(circle).expect_err("refused");
        assert!(matches!(error, Error::Page { .. }), "{from} to {to}: {error}");
    }
}

#[test]
fn a_page_used_twice_or_by_nobody_is_refused() {
    let file = sample();
    let freelist = kinds(&file).iter().position(|kind| *kind == FREELIST).unwrap();
    // The freelist frees a page that is in use.
    let mut freed = file.clone();
    freed[freelist * PAGE + 10] = 1;
    freed[freelist * PAGE + 16..][..8].copy_from_slice(&2u64.to_le_bytes());
    assert_eq!(refusal(freed), "page 2: it is both used and free");
    let mut far = file.clone();
    far[freelist * PAGE + 10] = 1;
    far[freelist * PAGE + 16..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(far).contains("it lies beyond the"));
    let mut long = file;
    long[freelist * PAGE + 10..][..2].copy_from_slice(&0xffffu16.to_le_bytes());
    long[freelist * PAGE + 16..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(refusal(long).contains("its elements do not fit into it"));
}

/// A flip in the tree's own bytes, the header and elements of each page, is refused or changes
/// nothing that is read (bytes that the format does not use).
#[test]
fn a_flip_in_a_pages_header_is_refused() {
    let file = sample();
    let whole = read(file.clone()).unwrap();
    let kinds = kinds(&file);
    let pages = (2..kinds.len()).filter(|page| [1, 2, FREELIST].contains(&kinds[*page]));
    let (mut refused, mut harmless) = (0, 0);
    for page in pages.step_by(3) {
        for at in 0..24 {
            for bit in [1, 0x80] {
                let mut flipped = file.clone();
                flipped[page * PAGE + at] ^= bit;
                match read(flipped) {
                    Err(error) => {
                        assert!(error.is_damage(), "{error}");
                        refused += 1;
                    }
                    // Flags of a leaf's element beyond the one there is.
                    Ok(read) if read == whole => {
                        assert!((16..20).contains(&at), "page {page}, byte {at}, bit {bit:#x}");
                        harmless += 1;
                    }
                    // The first element's flags or position: another key or value, in order still.
                    Ok(_) => assert!(at >= 10, "page {page}, byte {at}, bit {bit:#x}"),
                }
            }
        }
    }
    assert!(refused > 2 * harmless, "{refused} refused, {harmless} harmless");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn no_bytes_make_the_reader_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let small = (0..400u32).map(|n| (n.to_be_bytes().to_vec(), vec![7; 30]));
        let mut file = write(&[("a".to_owned(), small.collect())].into());
        for (place, byte) in places {
            let at = place.index(file.len());
            file[at] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        let _ = read(file);
    }

    #[test]
    fn nor_does_rubbish_between_good_meta_pages(
        rubbish in prop::collection::vec(any::<u8>(), 3 * PAGE),
    ) {
        let small = (0..300u32).map(|n| (n.to_be_bytes().to_vec(), vec![7; 30]));
        let mut file = write(&[("a".to_owned(), small.collect())].into());
        assert_eq!(kinds(&file)[0], META);
        file[2 * PAGE..5 * PAGE].copy_from_slice(&rubbish);
        prop_assert!(Database::open(file.clone()).is_ok());
        prop_assert!(read(file).is_err());
    }
}
