//! JSON as nodes. serde_json does the reading, compiled for nothing else.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Node, Wrong};

/// Room for what most arguments and small values are made of.
const NODES_USUAL: usize = 16;

/// The nodes of a whole text.
pub(crate) fn parse(text: &[u8]) -> Result<Vec<Node<'_>>, Wrong> {
    let mut nodes = Vec::with_capacity(NODES_USUAL);
    let mut reader = serde_json::Deserializer::from_slice(text);
    let parsed = Fill(&mut nodes).deserialize(&mut reader).and_then(|()| reader.end());
    parsed.map_or_else(|error| Err(Wrong::new(error.to_string())), |()| Ok(nodes))
}

/// Appends one value's nodes.
struct Fill<'t, 'a>(&'t mut Vec<Node<'a>>);

impl<'a> DeserializeSeed<'a> for Fill<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'a> Fill<'_, 'a> {
    fn push<E>(self, node: Node<'a>) -> Result<(), E> {
        self.0.push(node);
        Ok(())
    }
}

impl<'a> Visitor<'a> for Fill<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.push(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.push(Node::Bool(value))
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.push(Node::Unsigned(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.push(Node::Signed(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.push(Node::Float(number))
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.push(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.push(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<(), A::Error> {
        let (at, mut count) = (self.0.len(), 0);
        self.0.push(Node::Null);
        while items.next_element_seed(Fill(self.0))?.is_some() {
            count += 1;
        }
        self.0[at] = Node::List(count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(self, mut fields: A) -> Result<(), A::Error> {
        let (at, mut count) = (self.0.len(), 0);
        self.0.push(Node::Null);
        while fields.next_key_seed(Fill(self.0))?.is_some() {
            fields.next_value_seed(Fill(self.0))?;
            count += 1;
        }
        self.0[at] = Node::Object(count);
        Ok(())
    }
}

/// What the node at `index` is made of: as it is written, in a text that did parse.
pub(crate) fn literal(text: &[u8], index: usize) -> &[u8] {
    let (mut rest, mut before) = (text, index);
    while let Some((byte, after)) = rest.split_first() {
        let len = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' | b']' | b'}' => {
                rest = after;
                continue;
            }
            b'[' | b'{' => 1,
            b'"' => 2 + text_len(after),
            _ => {
                let is_end = |byte: &u8| b" \t\n\r,:]}".contains(byte);
                rest.iter().position(is_end).unwrap_or(rest.len())
            }
        };
        let (token, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        if before == 0 {
            return token;
        }
        (rest, before) = (after, before - 1);
    }
    &[]
}

/// Up to the quote that ends a text.
fn text_len(text: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = text.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{Node, literal, parse};
    use crate::tape::field;

    #[test]
    fn a_text_becomes_nodes_and_each_can_be_found_in_it() {
        let text =
            br#" {"a" : [1,-2 , 2.50],"\"b\\": {"c":null, "d":[[],{}]},"e":true,"a":"\u0041"}"#;
        let nodes = parse(text).expect("JSON");
        let name = |text: &'static str| Node::Text(Cow::Borrowed(text));
        let expected = [
            (Node::Object(4), "{"),
            (name("a"), "\"a\""),
            (Node::List(3), "["),
            (Node::Unsigned(1), "1"),
            (Node::Signed(-2), "-2"),
            (Node::Float(2.5), "2.50"),
            (name("\"b\\"), r#""\"b\\""#),
            (Node::Object(2), "{"),
            (name("c"), "\"c\""),
            (Node::Null, "null"),
            (name("d"), "\"d\""),
            (Node::List(2), "["),
            (Node::List(0), "["),
            (Node::Object(0), "{"),
            (name("e"), "\"e\""),
            (Node::Bool(true), "true"),
            (name("a"), "\"a\""),
            (name("A"), r#""\u0041""#),
        ];
        assert_eq!(nodes.len(), expected.len());
        for (at, (node, token)) in expected.iter().enumerate() {
            assert_eq!(&nodes[at], node);
            assert_eq!(std::str::from_utf8(literal(text, at)), Ok(*token));
        }
        assert_eq!(field(&nodes, "e"), Some(15));
        assert_eq!(field(&nodes, "a"), Some(17), "the last one counts");
        assert_eq!(field(&nodes, "c"), None, "not its own");
        assert_eq!(field(&nodes[2..], "a"), None, "a list");
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let why = |text: &[u8]| parse(text).expect_err("no JSON").to_string();
        assert_eq!(why(b""), "EOF while parsing a value at line 1 column 0");
        assert_eq!(why(b"{} {}"), "trailing characters at line 1 column 4");
        assert_eq!(why(b"[1,]"), "trailing comma at line 1 column 4");
        assert!(why(&[b'['; 200]).starts_with("recursion limit exceeded"));
    }
}
