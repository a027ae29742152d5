//! What a text is taken apart into.

use std::borrow::Cow;

use serde::de::Unexpected;

/// A value, or the beginning of one: the parts of a list or an object follow it.
#[derive(Debug, PartialEq)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Unsigned(u64),
    /// A negative one.
    Signed(i64),
    Float(f64),
    Text(Cow<'a, str>),
    /// So many values follow.
    List(usize),
    /// So many pairs follow, of a name, which is a [`Node::Text`], and a value.
    Object(usize),
    /// A name that is read as what its map has for keys, numbers too.
    Key(&'a str),
    /// A setting's value, which is what its reader takes it for: commas make it a list.
    Word(&'a str),
}

impl Node<'_> {
    /// How many nodes belong to it that are not parts of its parts.
    fn parts(&self) -> usize {
        match self {
            Node::List(count) => *count,
            Node::Object(count) => count * 2,
            _ => 0,
        }
    }

    /// For serde's messages.
    pub(super) fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Node::Null => Unexpected::Unit,
            Node::Bool(value) => Unexpected::Bool(*value),
            Node::Unsigned(number) => Unexpected::Unsigned(*number),
            Node::Signed(number) => Unexpected::Signed(*number),
            Node::Float(number) => Unexpected::Float(*number),
            Node::Text(text) => Unexpected::Str(text),
            Node::List(_) => Unexpected::Seq,
            Node::Object(_) => Unexpected::Map,
            Node::Key(text) | Node::Word(text) => Unexpected::Str(text),
        }
    }
}

/// How many nodes the first value takes up.
pub(crate) fn extent(nodes: &[Node<'_>]) -> usize {
    let (mut missing, mut at) = (1, 0);
    while missing > 0 {
        missing += nodes.get(at).map_or(0, Node::parts);
        missing -= 1;
        at += 1;
    }
    at
}

/// Where the value of the object's last field of this name begins.
pub(crate) fn field(nodes: &[Node<'_>], name: &str) -> Option<usize> {
    let Some(Node::Object(count)) = nodes.first() else { return None };
    let (mut at, mut found) = (1, None);
    for _ in 0..*count {
        if matches!(&nodes[at], Node::Text(text) if text == name) {
            found = Some(at + 1);
        }
        at += 1 + extent(&nodes[at + 1..]);
    }
    found
}
