//! One value out of a JSON text, found without building the rest: types that hold any JSON make a
//! plugin larger by a quarter.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A string, a number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scalar {
    /// A string, as what it stands for.
    Text(String),
    /// A number, `true` or `false`, as it is written.
    Literal(String),
}

impl Scalar {
    /// What it says, without quotes.
    pub fn into_text(self) -> String {
        match self {
            Scalar::Text(text) | Scalar::Literal(text) => text,
        }
    }
}

/// The field of an object: `city`, or as a JSON pointer `/address/city`. None when there is no
/// such field, when it is `null`, an array or an object, and when the text is no JSON.
///
/// ```
/// use portunus_sdk::json::{Scalar, pick};
///
/// let value = br#"{"address": {"city": "Rome", "lines": [7]}}"#;
/// assert_eq!(pick(value, "/address/city"), Some(Scalar::Text("Rome".into())));
/// assert_eq!(pick(value, "/address/lines/0"), Some(Scalar::Literal("7".into())));
/// assert_eq!(pick(value, "address"), None);
/// ```
pub fn pick(json: &[u8], field: &str) -> Option<Scalar> {
    let found = match field.strip_prefix('/') {
        None => field_of(json, field).ok()??,
        Some(path) => {
            let mut at: &RawValue = serde_json::from_slice(json).ok()?;
            for step in path.split('/') {
                at = step_into(at, &step.replace("~1", "/").replace("~0", "~"))?;
            }
            at
        }
    };
    match found.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str(text).ok().map(Scalar::Text),
        text if text.starts_with(['[', '{']) => None,
        text => Some(Scalar::Literal(text.to_owned())),
    }
}

fn step_into<'a>(at: &'a RawValue, step: &str) -> Option<&'a RawValue> {
    let text = at.get();
    if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
        return items.get(step.parse::<usize>().ok()?).copied();
    }
    field_of(text.as_bytes(), step).ok()?
}

/// One field of an object as it is written; the last one of its name.
pub(crate) fn field_of<'a>(
    object: &'a [u8],
    name: &str,
) -> serde_json::Result<Option<&'a RawValue>> {
    let mut reader = serde_json::Deserializer::from_slice(object);
    let found = reader.deserialize_map(Field { name })?;
    reader.end()?;
    Ok(found)
}

struct Field<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for Field<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some((name, value)) = map.next_entry::<Cow<'_, str>, &RawValue>()? {
            if name == self.name {
                found = Some(value);
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::{Scalar, pick};

    #[test]
    fn what_is_no_scalar_is_not_picked() {
        let value = br#"{"a": null, "b": {"c": true, "d/e~": "\u0041"}, "f": [1, {"g": -2.50}]}"#;
        let text = |field: &str| pick(value, field).map(Scalar::into_text);
        for absent in ["a", "b", "f", "g", "/b", "/f", "/f/2", "/f/x", "/b/c/x", "/"] {
            assert_eq!(text(absent), None, "{absent}");
        }
        assert_eq!(text("/b/c").as_deref(), Some("true"));
        assert_eq!(text("/b/d~1e~0").as_deref(), Some("A"));
        assert_eq!(text("/f/1/g").as_deref(), Some("-2.50"));
        for broken in [&b""[..], b"{", b"[1]", b"7", b"{} {}", br#"{"a": 1"#] {
            assert_eq!(pick(broken, "a"), None);
        }
    }

    #[test]
    fn the_last_of_two_fields_counts() {
        assert_eq!(pick(br#"{"a": 1, "a": 2}"#, "a"), Some(Scalar::Literal("2".into())));
    }
}
