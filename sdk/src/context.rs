//! Reading a binding's configuration.

use std::str::FromStr;

use crate::Context;

impl Context {
    /// The value of the setting `name`, if the binding's configuration has it.
    ///
    /// The configuration is text of lines `name = value`; empty lines and lines that begin with
    /// `#` do not count, and the last of several lines with one name does.
    ///
    /// # Panics
    /// When the value is not a `T`, so that a mistyped setting refuses writes and says why
    /// instead of being taken for an absent one. Likewise when the configuration is not UTF-8.
    pub fn config<T: FromStr>(&self, name: &str) -> Option<T> {
        let text = std::str::from_utf8(&self.configuration)
            .unwrap_or_else(|_| panic!("configuration of {} is not UTF-8", self.binding));
        let value = setting(text, name)?;
        match value.parse() {
            Ok(parsed) => Some(parsed),
            Err(_) => panic!(
                "configuration of {}: {name} = {value} is not a {}",
                self.binding,
                std::any::type_name::<T>()
            ),
        }
    }
}

fn setting<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split_once('='))
        .filter(|(found, _)| found.trim() == name)
        .map(|(_, value)| value.trim())
        .next_back()
}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn settings_are_lines_of_which_the_last_counts() {
        let mut cx = testing::context("b", "p/");
        cx.configuration = b"# limit = 1\n\nlimit = 2\n limit=3 \nname = a = b\n".to_vec();
        assert_eq!(cx.config("limit"), Some(3));
        assert_eq!(cx.config("name"), Some("a = b".to_owned()));
        assert_eq!(cx.config::<u32>("other"), None);
    }

    #[test]
    #[should_panic(expected = "configuration of b: limit = many is not a u32")]
    fn a_mistyped_setting_is_not_an_absent_one() {
        let mut cx = testing::context("b", "p/");
        cx.configuration = b"limit = many".to_vec();
        cx.config::<u32>("limit");
    }
}
