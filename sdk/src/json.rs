//! One value out of a JSON text, without a type for the rest: one that holds any JSON makes a plugin
//! larger.

use crate::tape::{self, Node};

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
    let nodes = tape::parse(json).ok()?;
    let mut at = 0;
    match field.strip_prefix('/') {
        None => at = tape::field(&nodes, field)?,
        Some(path) => {
            for step in path.split('/') {
                at += step_into(&nodes[at..], &step.replace("~1", "/").replace("~0", "~"))?;
            }
        }
    }
    match &nodes[at] {
        Node::Text(text) => Some(Scalar::Text(text.to_string())),
        Node::Bool(_) | Node::Unsigned(_) | Node::Signed(_) | Node::Float(_) => {
            let literal = std::str::from_utf8(tape::literal(json, at)).ok()?;
            Some(Scalar::Literal(literal.to_owned()))
        }
        _ => None,
    }
}

/// How many nodes further the part of this name or number begins.
fn step_into(nodes: &[Node<'_>], step: &str) -> Option<usize> {
    match nodes.first()? {
        Node::List(count) => {
            let index = step.parse::<usize>().ok().filter(|index| index < count)?;
            Some((0..index).fold(1, |at, _| at + tape::extent(&nodes[at..])))
        }
        _ => tape::field(nodes, step),
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
        assert_eq!(text("/f/0").as_deref(), Some("1"));
        for broken in [&b""[..], b"{", b"[1]", b"7", b"{} {}", br#"{"a": 1"#] {
            assert_eq!(pick(broken, "a"), None);
        }
    }

    #[test]
    fn the_last_of_two_fields_counts() {
        assert_eq!(pick(br#"{"a": 1, "a": 2}"#, "a"), Some(Scalar::Literal("2".into())));
    }
}
