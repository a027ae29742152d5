//! A well-behaved policy sees what the transaction does, and its verdict arrives as it gave it.

use portunus::types::{Item, LeaseId, Revision};
use portunus::wasm::{ExtensionPoint, Limits, Verdict, Write};

use crate::fixture::{ALLOW_ALL, Keys, VALUE_GUARD, bind, engine, plugin, put};

#[test]
fn a_plugin_tells_its_extension_points_and_digest() {
    let engine = engine();
    let (allow, guard) = (plugin(&engine, ALLOW_ALL), plugin(&engine, VALUE_GUARD));
    assert_eq!(allow.points(), [ExtensionPoint::WritePolicy]);
    assert_ne!(allow.digest(), guard.digest());
    assert_eq!(allow.digest(), plugin(&engine, ALLOW_ALL).digest());
}

#[test]
fn the_guard_refuses_by_configuration_and_names_the_key() {
    let engine = engine();
    let guard = plugin(&engine, VALUE_GUARD);
    let mut keys = Keys::default();
    let strict = bind(&engine, &guard, "max-value-bytes = 4\nvalues = json", Limits::MAX);
    let lax = bind(&engine, &guard, "", Limits::MAX);
    assert_eq!(put(&strict, &mut keys, "app/a", b"1234"), Ok(Verdict::Allow));
    let reason = "app/a: value has 5 bytes, more than 4".to_owned();
    assert_eq!(put(&strict, &mut keys, "app/a", b"12345"), Ok(Verdict::Refuse(reason)));
    assert_eq!(put(&lax, &mut keys, "app/a", b"12345"), Ok(Verdict::Allow));
}

#[test]
fn the_guard_reads_the_lent_store_and_counts_what_the_transaction_creates() {
    let engine = engine();
    let guard = bind(&engine, &plugin(&engine, VALUE_GUARD), "max-keys = 3", Limits::MAX);
    let mut keys = Keys::with(["app/a", "app/b", "b"].map(|key| (key.to_owned(), b"v".to_vec())));
    let item = Item::new(b"app/a", b"v", 2, Revision::new(2, 0), 1, LeaseId::NONE);
    let create = |key| Write::Put { key, value: b"v", lease: LeaseId(9), previous: None };
    let change =
        Write::Put { key: b"app/a", value: b"w", lease: LeaseId::NONE, previous: Some(&item) };
    let delete = Write::Delete { key: b"app/a", previous: &item };

    let mut ask = |writes: &[Write<'_>]| guard.check(&mut keys, None, writes);
    assert_eq!(ask(&[create(b"app/c")]), Ok(Verdict::Allow));
    let reason = "app/ may hold 3 keys, not 4".to_owned();
    assert_eq!(ask(&[create(b"app/c"), create(b"app/d")]), Ok(Verdict::Refuse(reason)));
    assert_eq!(ask(&[change, delete.clone()]), Ok(Verdict::Allow));
    assert_eq!(ask(&[delete, create(b"app/c"), create(b"app/d")]), Ok(Verdict::Allow));
    assert_eq!(keys.reads, 3, "a transaction that creates nothing does not count the keys");
}

#[test]
fn a_mistyped_setting_refuses_and_says_why() {
    let engine = engine();
    let guard = bind(&engine, &plugin(&engine, VALUE_GUARD), "max-keys = many", Limits::MAX);
    let error = put(&guard, &mut Keys::default(), "app/a", b"v").expect_err("mistyped");
    let text = error.to_string();
    assert!(text.contains("configuration of guard: max-keys = many is not a u64"), "{text}");
}

#[test]
fn many_threads_share_one_policy() {
    let engine = engine();
    let guard = bind(&engine, &plugin(&engine, VALUE_GUARD), "max-value-bytes = 4", Limits::MAX);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let guard = &guard;
            scope.spawn(move || {
                let mut keys = Keys::default();
                let value = vec![b'x'; 3 + thread % 3];
                for _ in 0..200 {
                    let refused = put(guard, &mut keys, "app/a", &value) != Ok(Verdict::Allow);
                    assert_eq!(refused, value.len() > 4);
                }
            });
        }
    });
}
