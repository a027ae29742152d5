//! Finds keys by a field of their values: a write policy that keeps an index in the same
//! transaction, so that it is never behind and never wrong.
//!
//! - `field`: the field of the JSON value, as `city` or `/address/city`; needed;
//! - `index`: where the index is, beside the prefix; needed, and to be granted;
//! - `unique = true`: refuses a second key with the same value in the field.
//!
//! The key `users/7` with the value `{"city": "Rome"}` puts `by-city/Rome/users/7`, so `etcdctl get
//! --prefix by-city/Rome/` finds it. A value that has no such field, or is no JSON, is not indexed.
//! An entry hangs on the lease of its key. Slashes and percent signs in the field's value are
//! written as `%2F` and `%25`.
//!
//! ```sh
//! portunus plugin deploy builtin:secondary-index --write-policy users/ --grant-write by-city/ \
//!     --config field=city --config index=by-city/
//! ```

use portunus_sdk::json;
use portunus_sdk::prelude::*;

#[write_policy]
fn secondary_index(cx: &Context, writes: &[Write]) -> Result {
    let field: String = cx.config("field").or_refuse("the setting field is missing")?;
    let index: String = cx.config("index").or_refuse("the setting index is missing")?;
    let unique = cx.config("unique").unwrap_or(false);
    for write in writes {
        let before = write.previous().and_then(|item| entry(&item.value, &field));
        let after = write.value().and_then(|value| entry(value, &field));
        if let Some(before) = &before
            && after.as_ref() != Some(before)
        {
            cx.delete(place(&index, before, write.key()));
        }
        if let (Some(after), Write::Put(put)) = (&after, write) {
            if unique {
                only(cx, &index, after, &put.key)?;
            }
            cx.put_with_lease(place(&index, after, &put.key), &put.key, put.lease);
        }
    }
    Ok(())
}

/// The field's value as text for a key: what a string says, a number or truth value as written.
fn entry(value: &[u8], field: &str) -> Option<String> {
    let text = json::pick(value, field)?.into_text();
    Some(text.replace('%', "%25").replace('/', "%2F"))
}

fn place(index: &str, entry: &str, key: &[u8]) -> Vec<u8> {
    [index.as_bytes(), entry.as_bytes(), b"/", key].concat()
}

fn only(cx: &Context, index: &str, entry: &str, key: &[u8]) -> Result {
    let others = cx.prefix(place(index, entry, b"")).limit(2);
    match others.into_iter().find(|item| item.value != key) {
        None => Ok(()),
        Some(other) => {
            let has = String::from_utf8_lossy(&other.value).into_owned();
            refuse(format!("\"{entry}\" is taken by {has}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::secondary_index;

    fn deployed(more: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("index").under("users/").may_write("by/").may_read("by/");
        let plugin = plugin.config(format!("field = city\nindex = by/\n{more}"));
        cluster.deploy(plugin.write_policy(secondary_index));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn index(client: &Client) -> Vec<String> {
        client.prefix("by/").iter().map(|item| item.key_text().into_owned()).collect()
    }

    #[test]
    fn the_index_follows_its_keys_in_the_same_revision() {
        let (_, client) = deployed("");
        client.put("users/1", r#"{"city": "Rome"}"#).expect("put");
        client.put("users/2", r#"{"city": "Rome"}"#).expect("put");
        assert_eq!(index(&client), ["by/Rome/users/1", "by/Rome/users/2"]);
        let at = client.put("users/1", r#"{"city": "Oslo", "age": 3}"#).expect("moved");
        assert_eq!(index(&client), ["by/Oslo/users/1", "by/Rome/users/2"]);
        assert_eq!(client.get("by/Oslo/users/1").map(|item| item.mod_revision), Some(at));
        assert_eq!(client.text("by/Oslo/users/1").as_deref(), Some("users/1"));
        client.delete_prefix("users/").expect("deleted");
        assert!(index(&client).is_empty());
    }

    #[test]
    fn what_has_no_such_field_is_not_indexed() {
        let (_, client) = deployed("");
        for value in ["no JSON", "{}", r#"{"city": null}"#, r#"{"city": ["Rome"]}"#] {
            client.put("users/1", value).expect("put");
            assert!(index(&client).is_empty(), "{value}");
        }
        client.put("users/1", r#"{"city": 7}"#).expect("put");
        client.put("users/2", r#"{"city": "a/b%"}"#).expect("put");
        assert_eq!(index(&client), ["by/7/users/1", "by/a%2Fb%25/users/2"]);
    }

    #[test]
    fn a_pointer_reaches_into_the_value() {
        let (_, client) = deployed("field = /address/city");
        client.put("users/1", r#"{"address": {"city": "Rome"}}"#).expect("put");
        assert_eq!(index(&client), ["by/Rome/users/1"]);
    }

    #[test]
    fn a_unique_field_is_one_keys_alone() {
        let (_, client) = deployed("unique = true");
        client.put("users/1", r#"{"city": "Rome"}"#).expect("the first");
        client.put("users/1", r#"{"city": "Rome", "age": 4}"#).expect("the same");
        let taken = client.put("users/2", r#"{"city": "Rome"}"#).expect_err("the second");
        assert_eq!(taken.to_string(), r#"refused by index: "Rome" is taken by users/1"#);
        let both = client.txn().put("users/3", r#"{"city": "X"}"#);
        let both = both.put("users/4", r#"{"city": "X"}"#).commit();
        assert!(both.is_err(), "within one transaction as well: {both:?}");
    }

    #[test]
    fn an_entry_goes_with_the_lease_of_its_key() {
        let (cluster, client) = deployed("");
        let lease = cluster.grant_lease(Duration::from_secs(5));
        client.put_with_lease("users/1", r#"{"city": "Rome"}"#, lease).expect("put");
        cluster.advance(Duration::from_secs(6));
        assert!(index(&client).is_empty());
    }
}
