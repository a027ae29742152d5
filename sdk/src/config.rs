//! A binding's configuration: lines `name = value`, or one JSON object.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;

use crate::lines;
use crate::tape::{self, Node, Wrong};
use crate::{Result, refuse};

#[derive(Debug)]
pub(crate) struct Config {
    binding: String,
    text: Text,
}

/// Parsed only when it is asked for.
#[derive(Debug)]
enum Text {
    Lines(String),
    Json(String),
    NotUtf8,
}

impl Config {
    pub(crate) fn of(binding: &str, configuration: &[u8]) -> Self {
        let text = match std::str::from_utf8(configuration) {
            Err(_) => Text::NotUtf8,
            Ok(text) if text.trim_ascii_start().starts_with('{') => Text::Json(text.to_owned()),
            Ok(text) => Text::Lines(text.to_owned()),
        };
        Self { binding: binding.to_owned(), text }
    }

    pub(crate) fn setting<T: FromStr>(&self, name: &str) -> Option<T> {
        let value = match &self.text {
            Text::NotUtf8 => self.wrong("it is not UTF-8"),
            Text::Lines(text) => lines::setting(text, name).map(str::to_owned),
            Text::Json(text) => field(text, name).unwrap_or_else(|error| self.wrong(error)),
        }?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(_) => {
                self.wrong(format_args!("{name} = {value} is not a {}", std::any::type_name::<T>()))
            }
        }
    }

    pub(crate) fn whole<T: DeserializeOwned>(&self) -> Result<T> {
        let parsed = match &self.text {
            Text::NotUtf8 => Err("it is not UTF-8".to_owned()),
            Text::Lines(text) => lines::parse(text).map_err(|error| error.to_string()),
            Text::Json(text) => tape::from_json(text.as_bytes()).map_err(|error| error.to_string()),
        };
        parsed.or_else(|why| refuse(format_args!("configuration of {}: {why}", self.binding)))
    }

    fn wrong(&self, why: impl Display) -> ! {
        panic!("configuration of {}: {why}", self.binding)
    }
}

/// The text of one field of an object; of a string, what it stands for.
fn field(object: &str, name: &str) -> Result<Option<String>, Wrong> {
    let nodes = tape::parse(object.as_bytes())?;
    let found = tape::field(&nodes, name).map(|at| (at, &nodes[at]));
    Ok(match found {
        None | Some((_, Node::Null)) => None,
        Some((_, Node::Text(text))) => Some(text.to_string()),
        Some((at, _)) => {
            Some(String::from_utf8_lossy(tape::literal(object.as_bytes(), at)).into_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::Config;

    #[test]
    fn settings_are_lines_of_which_the_last_counts() {
        let lines = b"# limit = 1\n\nlimit = 2\n limit=3 \nname = a = b\n";
        let config = Config::of("b", lines);
        assert_eq!(config.setting("limit"), Some(3));
        assert_eq!(config.setting("name"), Some("a = b".to_owned()));
        assert_eq!(config.setting::<u32>("other"), None);
    }

    #[test]
    fn settings_are_fields_of_an_object() {
        let config =
            Config::of("b", br#" {"limit": 3, "name": "\u0061", "on": true, "off": null}"#);
        assert_eq!(config.setting("limit"), Some(3));
        assert_eq!(config.setting("name"), Some("a".to_owned()));
        assert_eq!(config.setting::<u8>("absent"), None);
        assert_eq!(config.setting("on"), Some(true));
        assert_eq!(config.setting::<bool>("off"), None);
    }

    #[test]
    #[should_panic(expected = "configuration of b: limit = many is not a u32")]
    fn a_mistyped_setting_is_not_an_absent_one() {
        Config::of("b", b"limit = many").setting::<u32>("limit");
    }

    #[test]
    #[should_panic(expected = "configuration of b: EOF while parsing")]
    fn half_an_object_is_not_an_empty_one() {
        Config::of("b", b"{").setting::<u32>("limit");
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    struct Settings {
        max_keys: u64,
        name: Option<String>,
    }

    #[test]
    fn the_whole_is_a_type_of_the_plugins() {
        let expected = Settings { max_keys: 3, name: Some("12".to_owned()) };
        let lines = Config::of("b", b"max-keys = 3\nname = 12");
        assert_eq!(lines.whole(), Ok(expected));
        let json = Config::of("b", br#"{"max-keys": 3}"#);
        assert_eq!(json.whole(), Ok(Settings { max_keys: 3, name: None }));
        let why = |text: &[u8]| Config::of("b", text).whole::<Settings>().expect_err("wrong");
        assert_eq!(why(b"").to_string(), "configuration of b: missing field `max-keys`");
        let typo = why(b"max-keys = 3\nnam = x").to_string();
        assert!(typo.starts_with("configuration of b: unknown field `nam`"), "{typo}");
        assert_eq!(
            why(b"max-keys = many").to_string(),
            "configuration of b: max-keys: many is not a number that fits"
        );
    }
}
