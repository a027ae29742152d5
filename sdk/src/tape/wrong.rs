//! What is wrong with a value, and where in it.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

/// A message, and the way to the part that it is about: `changes[0].key`.
#[derive(Debug)]
pub(crate) struct Wrong(Box<Parts>);

#[derive(Debug)]
struct Parts {
    path: String,
    text: String,
}

impl Wrong {
    pub(crate) fn new(text: String) -> Self {
        Self(Box::new(Parts { path: String::new(), text }))
    }

    /// In the field of this name.
    pub(super) fn in_field(self, name: &str) -> Self {
        self.within(name.to_owned())
    }

    /// In the item of this number.
    pub(super) fn in_item(self, index: usize) -> Self {
        self.within(format!("[{index}]"))
    }

    fn within(mut self, mut path: String) -> Self {
        let inner = &self.0.path;
        if !inner.is_empty() && !inner.starts_with('[') {
            path.push('.');
        }
        path.push_str(inner);
        self.0.path = path;
        self
    }

    fn mismatch(what: &str, found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        // serde writes the found with all its escapes, which is more code than the rest of this.
        let found = match found {
            Unexpected::Bool(value) => format!("boolean `{value}`"),
            Unexpected::Unsigned(number) => format!("integer `{number}`"),
            Unexpected::Signed(number) => format!("integer `{number}`"),
            Unexpected::Float(_) => "floating point number".to_owned(),
            Unexpected::Str(text) => format!("string \"{text}\""),
            Unexpected::Unit => "null".to_owned(),
            Unexpected::Seq => "sequence".to_owned(),
            Unexpected::Map => "map".to_owned(),
            Unexpected::Other(what) => what.to_owned(),
            _ => "something else".to_owned(),
        };
        Self::new(format!("invalid {what}: {found}, expected {expected}"))
    }
}

impl de::Error for Wrong {
    fn custom<T: Display>(text: T) -> Self {
        Self::new(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch("type", found, expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch("value", found, expected)
    }
}

impl Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { path, text } = &*self.0;
        if !path.is_empty() {
            out.write_str(path)?;
            out.write_str(": ")?;
        }
        out.write_str(text)
    }
}

impl std::error::Error for Wrong {}
