//! Keeps what is stored under a prefix within bounds, each of which is a setting of the binding
//! and does not apply when it is left out:
//!
//! - `max-key-bytes`, `max-value-bytes`: sizes, the prefix counted in the key;
//! - `key-chars`: the characters that a key may have after the prefix, as `a-z0-9/_-`;
//! - `values`: `utf8` refuses values that are not text, `json` those that are not one JSON value;
//! - `max-keys`: how many keys there may be under the prefix.

mod charset;
mod json;

use charset::Charset;
use portunus_sdk::prelude::*;

#[write_policy]
fn value_guard(cx: &Context, writes: &[Write]) -> Result {
    let guard = Guard {
        key_bytes_max: cx.config("max-key-bytes"),
        value_bytes_max: cx.config("max-value-bytes"),
        key_chars: cx.config("key-chars"),
        values: cx.config("values"),
    };
    for write in writes {
        if let Write::Put(put) = write {
            let checked = guard.check(cx.binding_prefix(), put);
            checked.or_else(|why| refuse(format!("{}: {why}", write.key_text())))?;
        }
    }
    match cx.config("max-keys") {
        Some(max) => check_count(cx, writes, max),
        None => Ok(()),
    }
}

struct Guard {
    key_bytes_max: Option<usize>,
    value_bytes_max: Option<usize>,
    key_chars: Option<Charset>,
    values: Option<Values>,
}

enum Values {
    Utf8,
    Json,
}

impl std::str::FromStr for Values {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "utf8" => Ok(Self::Utf8),
            "json" => Ok(Self::Json),
            _ => Err(()),
        }
    }
}

impl Guard {
    fn check(&self, prefix: &[u8], put: &Put) -> Result<(), String> {
        within("key", put.key.len(), self.key_bytes_max)?;
        within("value", put.value.len(), self.value_bytes_max)?;
        let name = put.key.strip_prefix(prefix).unwrap_or(&put.key);
        if let Some(byte) = self.key_chars.as_ref().and_then(|chars| chars.first_outside(name)) {
            return Err(format!(
                "key has `{}`, which key-chars does not allow",
                byte.escape_ascii()
            ));
        }
        match self.values {
            Some(Values::Utf8) if std::str::from_utf8(&put.value).is_err() => {
                Err("value is not UTF-8 text".to_owned())
            }
            Some(Values::Json) => json::check(&put.value).map_err(|wrong| wrong.to_string()),
            _ => Ok(()),
        }
    }
}

fn within(what: &str, bytes: usize, bytes_max: Option<usize>) -> Result<(), String> {
    match bytes_max {
        Some(max) if bytes > max => Err(format!("{what} has {bytes} bytes, more than {max}")),
        _ => Ok(()),
    }
}

/// Counts only when the transaction creates keys, so that updates never conflict on the count.
/// The store shows the transaction's writes as done.
fn check_count(cx: &Context, writes: &[Write], max: u64) -> Result {
    if writes.iter().all(|write| write.previous().is_some()) {
        return Ok(());
    }
    let prefix = cx.binding_prefix();
    match cx.count_prefix(prefix) {
        after if after <= max => Ok(()),
        after => {
            refuse(format!("{} may hold {max} keys, not {after}", String::from_utf8_lossy(prefix)))
        }
    }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::value_guard;

    fn guarded(configuration: &str) -> Client {
        let cluster = Cluster::new();
        let plugin = Plugin::new("guard").under("app/").config(configuration);
        cluster.deploy(plugin.write_policy(value_guard));
        cluster.anonymous()
    }

    #[test]
    fn without_settings_everything_is_allowed() {
        assert_eq!(guarded("").put("app/\n", [0xff; 10_000]), Ok(2));
    }

    #[test]
    fn each_bound_refuses_what_is_outside_and_names_it() {
        for (configuration, key, value, why) in [
            ("max-key-bytes = 5", "app/ab", &b""[..], "app/ab: key has 6 bytes, more than 5"),
            ("max-value-bytes = 1", "app/a", b"12", "app/a: value has 2 bytes, more than 1"),
            (
                "key-chars = a-z",
                "app/a/b",
                b"",
                "app/a/b: key has `/`, which key-chars does not allow",
            ),
            ("values = utf8", "app/a", b"\xff", "app/a: value is not UTF-8 text"),
            ("values = json", "app/a", b"{", "app/a: value is not JSON at byte 1"),
        ] {
            let refused = guarded(configuration).put(key, value).expect_err("refused");
            assert_eq!(refused.to_string(), format!("refused by guard: {why}"));
        }
        let all = "max-key-bytes=5\nmax-value-bytes=2\nkey-chars=a-z\nvalues=json";
        assert_eq!(guarded(all).put("app/a", "{}"), Ok(2));
    }

    #[test]
    fn a_mistyped_setting_refuses_and_says_so() {
        let refused = guarded("max-keys = many").put("app/a", "").expect_err("refused");
        assert!(refused.to_string().contains("max-keys = many is not a u64"), "{refused}");
    }

    #[test]
    fn the_prefix_holds_no_more_keys_than_it_may() {
        let client = guarded("max-keys = 2");
        for key in ["app/a", "app/b", "other", "app/a"] {
            client.put(key, "").expect("there is room");
        }
        let refused = client.put("app/c", "").expect_err("refused").to_string();
        assert_eq!(refused, "refused by guard: app/ may hold 2 keys, not 3");
        let swap = client.txn().delete("app/a").put("app/c", "").commit();
        assert!(swap.is_ok(), "{swap:?}");
    }
}
