//! Lines `name = value`, read as a map whose values are what the reader takes them for.

use std::fmt::{self, Display};

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

pub(crate) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter(|line| !line.trim_ascii_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.trim_ascii(), value.trim_ascii()))
}

pub(crate) fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    pairs(text).fold(None, |last, (found, value)| if found == name { Some(value) } else { last })
}

/// # Errors
/// A line that is none, and whatever `T` does not accept.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Wrong> {
    let names =
        |line: &&str| !line.trim_ascii().is_empty() && !line.trim_ascii_start().starts_with('#');
    if let Some(line) = text.lines().filter(names).find(|line| !line.contains('=')) {
        return Err(Wrong(format!("line `{line}` is not `name = value`")));
    }
    let mut last: Vec<(&str, Value<'_>)> = Vec::new();
    for (name, value) in pairs(text) {
        last.retain(|(earlier, _)| *earlier != name);
        last.push((name, Value { name, text: value }));
    }
    T::deserialize(MapDeserializer::new(last.into_iter()))
}

#[derive(Debug)]
pub(crate) struct Wrong(String);

impl Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

#[derive(Clone, Copy)]
struct Value<'a> {
    name: &'a str,
    text: &'a str,
}

impl Value<'_> {
    fn is_not(&self, what: &str) -> Wrong {
        Wrong(format!("{} = {} is not {what}", self.name, self.text))
    }
}

impl<'de> IntoDeserializer<'de, Wrong> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! numbers {
    ($($method:ident $visit:ident,)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            let number = self.text.parse().map_err(|_| self.is_not("a number that fits"))?;
            visitor.$visit(number)
        })*
    };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_borrowed_str(self.text)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_bool(self.text.parse().map_err(|_| self.is_not("true or false"))?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_enum(IntoDeserializer::<Wrong>::into_deserializer(self.text))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    /// Lists are written with commas.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        let parts = self.text.split(',').map(|part| Value { text: part.trim_ascii(), ..self });
        let parts = parts.filter(|part| !part.text.is_empty());
        visitor.visit_seq(serde::de::value::SeqDeserializer::new(parts))
    }

    numbers! {
        deserialize_i8 visit_i8, deserialize_i16 visit_i16, deserialize_i32 visit_i32,
        deserialize_i64 visit_i64, deserialize_u8 visit_u8, deserialize_u16 visit_u16,
        deserialize_u32 visit_u32, deserialize_u64 visit_u64, deserialize_f32 visit_f32,
        deserialize_f64 visit_f64,
    }

    forward_to_deserialize_any! {
        char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::parse;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Text,
        Json,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Settings {
        kinds: Vec<Kind>,
        ratio: f64,
        on: bool,
        letter: char,
    }

    #[test]
    fn values_become_what_the_fields_are() {
        let text =
            "kinds = text, json\nratio = 1\nratio = 0.5\n# on = false\non = true\nletter = x";
        let expected =
            Settings { kinds: vec![Kind::Text, Kind::Json], ratio: 0.5, on: true, letter: 'x' };
        assert_eq!(parse::<Settings>(text).expect("parses"), expected);
        let why = |text: &str| parse::<Settings>(text).expect_err("wrong").to_string();
        assert_eq!(why("on = 1"), "on = 1 is not true or false");
        assert_eq!(why("on"), "line `on` is not `name = value`");
        assert!(why("kinds = tex").starts_with("unknown variant `tex`"), "{}", why("kinds = tex"));
    }
}
