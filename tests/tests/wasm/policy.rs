//! A well-behaved policy sees what the transaction does, and its verdict arrives as it gave it.

use portunus::types::LeaseId;
use portunus::wasm::{Caller, Verdict, Write};

use crate::fixture::{Keys, VALUE_GUARD, bind, engine, item, plugin, put};

#[test]
fn the_guard_refuses_by_configuration_and_names_the_key() {
    let engine = engine();
    let guard = plugin(&engine, VALUE_GUARD);
    let mut keys = Keys::default();
    let strict = bind(&engine, &guard, "max-value-bytes = 4\nvalues = json");
    let lax = bind(&engine, &guard, "");
    assert_eq!(put(&strict, &mut keys, "app/a", b"1234"), Ok(Verdict::Allow));
    let reason = "app/a: value has 5 bytes, more than 4".to_owned();
    assert_eq!(put(&strict, &mut keys, "app/a", b"12345"), Ok(Verdict::Refuse(reason)));
    assert_eq!(put(&lax, &mut keys, "app/a", b"12345"), Ok(Verdict::Allow));
}

#[test]
fn the_guard_reads_the_lent_store_and_counts_what_the_transaction_creates() {
    let engine = engine();
    let guard = bind(&engine, &plugin(&engine, VALUE_GUARD), "max-keys = 3");
    let item = item("app/a", b"v", 2, LeaseId::NONE);
    let create = |key| Write::Put { key, value: b"v", lease: LeaseId(9), previous: None };
    let change =
        Write::Put { key: b"app/a", value: b"w", lease: LeaseId::NONE, previous: Some(&item) };
    let delete = Write::Delete { key: b"app/a", previous: &item };

    // The store shows the transaction's writes as done.
    let ask = |after: &[&str], writes: &[Write<'_>]| {
        let key = |key: &&str| ((*key).to_owned(), b"v".to_vec());
        let mut keys = Keys::with(after.iter().map(key));
        (guard.check(&mut keys, Caller::default(), writes), keys.reads)
    };
    let three = ["app/a", "app/b", "app/c", "b"];
    assert_eq!(ask(&three, &[create(b"app/c")]), (Ok(Verdict::Allow), 1));
    let reason = "app/ may hold 3 keys, not 4".to_owned();
    let four = ["app/a", "app/b", "app/c", "app/d"];
    let refused = (Ok(Verdict::Refuse(reason)), 1);
    assert_eq!(ask(&four, &[create(b"app/c"), create(b"app/d")]), refused);
    let swap = [delete.clone(), create(b"app/c"), create(b"app/d")];
    assert_eq!(ask(&["app/b", "app/c", "app/d"], &swap), (Ok(Verdict::Allow), 1));
    let unread = (Ok(Verdict::Allow), 0);
    assert_eq!(ask(&four, &[change, delete]), unread, "nothing is created, nothing counted");
}

#[test]
fn a_mistyped_setting_refuses_and_says_why() {
    let engine = engine();
    let guard = bind(&engine, &plugin(&engine, VALUE_GUARD), "max-keys = many");
    let error = put(&guard, &mut Keys::default(), "app/a", b"v").expect_err("mistyped");
    let text = error.to_string();
    assert!(text.contains("configuration of guard: max-keys = many is not a u64"), "{text}");
}

#[test]
fn many_threads_share_one_policy() {
    let engine = engine();
    let guard = bind(&engine, &plugin(&engine, VALUE_GUARD), "max-value-bytes = 4");
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
