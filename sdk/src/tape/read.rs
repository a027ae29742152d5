//! A type from nodes, as serde asks for it.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};

use super::node::extent;
use super::{Node, Wrong};

/// The value that the nodes are.
pub(crate) fn read<T: DeserializeOwned>(nodes: &[Node<'_>]) -> Result<T, Wrong> {
    T::deserialize(&mut Reader { nodes })
}

/// The nodes that are not yet read; at least one value, whenever serde asks for one.
struct Reader<'t, 'a> {
    nodes: &'t [Node<'a>],
}

impl<'t, 'a> Reader<'t, 'a> {
    fn next(&mut self) -> &'t Node<'a> {
        match self.nodes.split_first() {
            Some((node, rest)) => {
                self.nodes = rest;
                node
            }
            None => &Node::Null,
        }
    }

    fn list<'de, V: Visitor<'de>>(&mut self, count: usize, visitor: V) -> Result<V::Value, Wrong> {
        let mut items = Items { reader: self, count, left: count };
        let value = visitor.visit_seq(&mut items)?;
        none_left(items.left, value)
    }

    fn object<'de, V: Visitor<'de>>(
        &mut self,
        count: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        let mut fields = Fields { reader: self, left: count, name: "" };
        let value = visitor.visit_map(&mut fields)?;
        none_left(fields.left, value)
    }

    /// `visitor` takes it if it is a number of any kind; the others are the caller's.
    /// For any kind of number; which ones fit is for the visitor to say.
    fn number<'de, V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        let written;
        let node = match self.next() {
            Node::Key(text) | Node::Word(text) => {
                written = integer(text)?;
                &written
            }
            other => other,
        };
        match node {
            Node::Unsigned(number) => visitor.visit_u64(*number),
            Node::Signed(number) => visitor.visit_i64(*number),
            Node::Float(number) => visitor.visit_f64(*number),
            other => mismatch(other, &visitor),
        }
    }

    fn fraction<'de, V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        if let Some(Node::Key(text) | Node::Word(text)) = self.nodes.first() {
            self.next();
            let number = text.parse().map_err(|_| is_not(text, "a number that fits"))?;
            return visitor.visit_f64(number);
        }
        self.number(visitor)
    }

    fn text<'de, V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Text(text) => visitor.visit_str(text),
            Node::Key(text) | Node::Word(text) => visitor.visit_str(text),
            other => mismatch(other, &visitor),
        }
    }

    fn bytes<'de, V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Text(text) => visitor.visit_bytes(text.as_bytes()),
            Node::Key(text) | Node::Word(text) => visitor.visit_bytes(text.as_bytes()),
            Node::List(count) => self.list(*count, visitor),
            other => mismatch(other, &visitor),
        }
    }
}

fn mismatch<T>(found: &Node<'_>, expected: &dyn Expected) -> Result<T, Wrong> {
    Err(Wrong::invalid_type(found.unexpected(), expected))
}

fn integer(text: &str) -> Result<Node<'static>, Wrong> {
    let number = match text.starts_with('-') {
        true => text.parse().map(Node::Signed),
        false => text.parse().map(Node::Unsigned),
    };
    number.map_err(|_| is_not(text, "a number that fits"))
}

fn is_not(text: &str, what: &str) -> Wrong {
    Wrong::new(format!("{text} is not {what}"))
}

/// A reader that stops before the end does not expect the rest.
fn none_left<T>(left: usize, value: T) -> Result<T, Wrong> {
    match left {
        0 => Ok(value),
        _ => Err(Wrong::new(format!("{left} more than expected"))),
    }
}

macro_rules! same {
    ($($method:ident)* => $other:ident) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.$other(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for &mut Reader<'_, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Null => visitor.visit_unit(),
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Unsigned(number) => visitor.visit_u64(*number),
            Node::Signed(number) => visitor.visit_i64(*number),
            Node::Float(number) => visitor.visit_f64(*number),
            Node::Text(text) => visitor.visit_str(text),
            Node::Key(text) | Node::Word(text) => visitor.visit_str(text),
            Node::List(count) => self.list(*count, visitor),
            Node::Object(count) => self.object(*count, visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Bool(value) => visitor.visit_bool(*value),
            Node::Key(text) | Node::Word(text) => {
                visitor.visit_bool(text.parse().map_err(|_| is_not(text, "true or false"))?)
            }
            other => mismatch(other, &visitor),
        }
    }

    same! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 => number
    }
    same! { deserialize_f32 deserialize_f64 => fraction }
    same! { deserialize_char deserialize_str deserialize_string deserialize_identifier => text }
    same! { deserialize_bytes deserialize_byte_buf => bytes }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if let Some(Node::Null) = self.nodes.first() {
            self.next();
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Null => visitor.visit_unit(),
            other => mismatch(other, &visitor),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::List(count) => self.list(*count, visitor),
            Node::Word(text) => {
                let words = text.split(',').map(str::trim_ascii).filter(|word| !word.is_empty());
                let words: Vec<Node<'_>> = words.map(Node::Word).collect();
                Reader { nodes: &words }.list(words.len(), visitor)
            }
            other => mismatch(other, &visitor),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Object(count) => self.object(*count, visitor),
            other => mismatch(other, &visitor),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.next() {
            Node::Object(count) => self.object(*count, visitor),
            Node::List(count) => self.list(*count, visitor),
            other => mismatch(other, &visitor),
        }
    }

    /// A variant without values is its name, another one is an object of one field.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.nodes.first() {
            Some(Node::Text(_) | Node::Key(_) | Node::Word(_)) => {
                visitor.visit_enum(Variant { reader: self, has_value: false })
            }
            Some(Node::Object(1)) => {
                self.next();
                visitor.visit_enum(Variant { reader: self, has_value: true })
            }
            _ => mismatch(self.next(), &visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.nodes = self.nodes.get(extent(self.nodes)..).unwrap_or_default();
        visitor.visit_unit()
    }
}

/// A list's items.
struct Items<'r, 't, 'a> {
    reader: &'r mut Reader<'t, 'a>,
    count: usize,
    left: usize,
}

impl<'de> SeqAccess<'de> for &mut Items<'_, '_, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let index = self.count - self.left - 1;
        seed.deserialize(&mut *self.reader).map(Some).map_err(|wrong| wrong.in_item(index))
    }
}

/// An object's fields.
struct Fields<'r, 't, 'a> {
    reader: &'r mut Reader<'t, 'a>,
    left: usize,
    /// Of the field whose value is next.
    name: &'t str,
}

impl<'de> MapAccess<'de> for &mut Fields<'_, '_, '_> {
    type Error = Wrong;

    fn next_key_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Wrong> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        if let Node::Text(name) = self.reader.next() {
            self.name = name;
        }
        let key = [Node::Key(self.name)];
        seed.deserialize(&mut Reader { nodes: &key }).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Wrong> {
        seed.deserialize(&mut *self.reader).map_err(|wrong| wrong.in_field(self.name))
    }
}

/// A variant's name and its value.
struct Variant<'r, 't, 'a> {
    reader: &'r mut Reader<'t, 'a>,
    has_value: bool,
}

impl Variant<'_, '_, '_> {
    fn needs_value(&self, expected: &str) -> Result<(), Wrong> {
        match self.has_value {
            true => Ok(()),
            false => Err(Wrong::invalid_type(Unexpected::Other("unit variant"), &expected)),
        }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, '_, '_> {
    type Error = Wrong;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Wrong> {
        Ok((seed.deserialize(&mut *self.reader)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_, '_> {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        if !self.has_value {
            return Ok(());
        }
        match self.reader.next() {
            Node::Null => Ok(()),
            other => mismatch(other, &"unit variant"),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Wrong> {
        self.needs_value("newtype variant")?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Wrong> {
        self.needs_value("tuple variant")?;
        self.reader.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.needs_value("struct variant")?;
        self.reader.deserialize_struct("", &[], visitor)
    }
}
