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
fn value_guard(cx: &Context, writes: &[Write]) -> Result<(), String> {
    let guard = Guard {
        key_bytes_max: cx.config("max-key-bytes"),
        value_bytes_max: cx.config("max-value-bytes"),
        key_chars: cx.config("key-chars"),
        values: cx.config("values"),
    };
    for write in writes {
        if let Write::Put(put) = write {
            guard.check(&cx.prefix, put).map_err(|why| format!("{}: {why}", write.key_text()))?;
        }
    }
    match cx.config("max-keys") {
        Some(max) => check_count(&cx.prefix, writes, max),
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
fn check_count(prefix: &[u8], writes: &[Write], max: u64) -> Result<(), String> {
    let created = writes.iter().filter(|write| write.previous().is_none()).count() as u64;
    if created == 0 {
        return Ok(());
    }
    let deleted = writes.iter().filter(|write| matches!(write, Write::Delete(_))).count() as u64;
    let after = store::count_prefix(prefix) + created - deleted;
    if after <= max {
        return Ok(());
    }
    Err(format!("{} may hold {max} keys, not {after}", String::from_utf8_lossy(prefix)))
}

#[cfg(test)]
mod tests {
    use portunus_sdk::prelude::*;
    use portunus_sdk::testing;

    use super::value_guard;

    fn context(configuration: &str) -> Context {
        Context { configuration: configuration.into(), ..testing::context("guard", "app/") }
    }

    #[test]
    fn without_settings_everything_is_allowed() {
        let mut fake = testing::Store::new();
        assert_eq!(value_guard(&context(""), &[fake.put("app/\n", vec![0xff; 10_000])]), Ok(()));
    }

    #[test]
    fn each_bound_refuses_what_is_outside_and_names_it() {
        let mut fake = testing::Store::new();
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
            let refused = value_guard(&context(configuration), &[fake.put(key, value)]);
            assert_eq!(refused, Err(why.to_owned()));
        }
        let all = "max-key-bytes=5\nmax-value-bytes=2\nkey-chars=a-z\nvalues=json";
        assert_eq!(value_guard(&context(all), &[fake.put("app/a", "{}")]), Ok(()));
    }

    #[test]
    fn the_prefix_holds_no_more_keys_than_it_may() {
        let mut fake = testing::Store::new();
        fake.set("app/a", "");
        fake.set("app/b", "");
        fake.set("other", "");
        let cx = context("max-keys = 2");
        assert_eq!(value_guard(&cx, &[fake.put("app/a", "new")]), Ok(()));
        let refused = value_guard(&cx, &[fake.put("app/c", "")]);
        assert_eq!(refused, Err("app/ may hold 2 keys, not 3".to_owned()));
        assert_eq!(value_guard(&cx, &[fake.delete("app/a"), fake.put("app/c", "")]), Ok(()));
    }
}
