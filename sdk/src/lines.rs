//! Lines `name = value`, read as a map whose values are what the reader takes them for.

use std::borrow::Cow;

use serde::de::DeserializeOwned;

use crate::tape::{self, Node, Wrong};

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
        return Err(Wrong::new(format!("line `{line}` is not `name = value`")));
    }
    let mut last: Vec<(&str, &str)> = Vec::new();
    for (name, value) in pairs(text) {
        last.retain(|(earlier, _)| *earlier != name);
        last.push((name, value));
    }
    let mut nodes = vec![Node::Object(last.len())];
    for (name, value) in last {
        nodes.extend([Node::Text(Cow::Borrowed(name)), Node::Word(value)]);
    }
    tape::read(&nodes)
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
        assert_eq!(why("on = 1"), "on: 1 is not true or false");
        assert_eq!(why("on"), "line `on` is not `name = value`");
        assert!(
            why("kinds = tex").starts_with("kinds[0]: unknown variant `tex`"),
            "{}",
            why("kinds = tex")
        );
    }
}
