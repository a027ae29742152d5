//! The parser of conditions: by recursive descent, each error with the byte it is at.

use super::calendar::When;
use super::condition::Condition;
use super::config::Mistake;

/// How deep `all` and `any` may nest.
const DEPTH_MAX: usize = 16;

pub struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// A plugin was named already.
    plugin: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Word {
    at: usize,
    text: String,
    quoted: bool,
}

type Parsed<T> = Result<T, Mistake>;

impl<'a> Parser<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, at: 0, plugin: false }
    }

    pub fn condition(&mut self, depth: usize) -> Parsed<Condition> {
        if depth > DEPTH_MAX {
            return Err(Mistake::new(self.at, "it is nested too deep"));
        }
        self.spaces();
        let at = self.at;
        let name_len = self.rest().find(|c: char| !c.is_ascii_alphabetic());
        let name = &self.rest()[..name_len.unwrap_or(self.rest().len())];
        self.at += name.len();
        match name {
            "all" => Ok(Condition::All(self.list(depth)?)),
            "any" => Ok(Condition::Any(self.list(depth)?)),
            "size" => self.size(),
            "after" => self.after(),
            "key" => self.key(),
            "time" => self.time(),
            "plugin" => self.plugin(),
            "" => Err(Mistake::new(at, "a condition is missing")),
            other => {
                let known = "size, after, key, time, plugin, all, any";
                Err(Mistake::new(at, format!("{other} is not a condition ({known})")))
            }
        }
    }

    /// Nothing but spaces is left.
    pub fn end(&mut self) -> Parsed<()> {
        self.spaces();
        match self.rest() {
            "" => Ok(()),
            _ => {
                Err(Mistake::new(self.at, "more follows; join conditions with all(..) or any(..)"))
            }
        }
    }

    fn list(&mut self, depth: usize) -> Parsed<Vec<Condition>> {
        self.expect('(')?;
        let mut parts = vec![self.condition(depth + 1)?];
        loop {
            self.spaces();
            match self.rest().chars().next() {
                Some(',') => {
                    self.at += 1;
                    parts.push(self.condition(depth + 1)?);
                }
                Some(')') => {
                    self.at += 1;
                    return Ok(parts);
                }
                _ => {
                    return Err(Mistake::new(
                        self.at,
                        "a comma or a closing parenthesis is missing",
                    ));
                }
            }
        }
    }

    fn size(&mut self) -> Parsed<Condition> {
        self.spaces();
        let Some(rest) = self.rest().strip_prefix(">=") else {
            return Err(Mistake::new(self.at, "size is compared as size>=N"));
        };
        self.at = self.text.len() - rest.len();
        let word = self.word("a number")?;
        let number = word.text.parse().ok().filter(|number| *number > 0);
        number
            .map(Condition::Size)
            .ok_or_else(|| Mistake::new(word.at, "size>= takes a number above 0"))
    }

    fn after(&mut self) -> Parsed<Condition> {
        let mut names = vec![self.word("the name of a key or queue")?.text];
        while let Some(word) = self.maybe_word()? {
            names.push(word.text);
        }
        Ok(Condition::After(names))
    }

    fn key(&mut self) -> Parsed<Condition> {
        let word = self.word("the name of a key")?;
        // `key K=V` without spaces is one word.
        if !word.quoted
            && let Some((key, value)) = word.text.split_once('=')
        {
            let value = match value {
                "" => self.word("a value")?.text,
                value => value.to_owned(),
            };
            return match key {
                "" => Err(Mistake::new(word.at, "the name of a key is missing")),
                key => Ok(Condition::Key { key: key.to_owned(), value: Some(value) }),
            };
        }
        let mark = self.at;
        let value = match self.maybe_word()? {
            Some(next) if next.text == "=" && !next.quoted => Some(self.word("a value")?.text),
            Some(next) if next.text.starts_with('=') && !next.quoted => {
                Some(next.text[1..].to_owned())
            }
            Some(next) => return Err(Mistake::new(next.at, "a key is followed by = and a value")),
            None => {
                self.at = mark;
                None
            }
        };
        Ok(Condition::Key { key: word.text, value })
    }

    fn time(&mut self) -> Parsed<Condition> {
        let mut words = Vec::new();
        self.spaces();
        let at = self.at;
        while let Some(word) = self.maybe_cron_word()? {
            words.push((word.at, word.text));
        }
        if words.is_empty() {
            return Err(Mistake::new(at, "a window or a cron expression is missing"));
        }
        When::parse(&words).map(Condition::Time)
    }

    fn plugin(&mut self) -> Parsed<Condition> {
        let word = self.word("the name of a plugin")?;
        if std::mem::replace(&mut self.plugin, true) {
            return Err(Mistake::new(word.at, "one plugin is asked at most"));
        }
        Ok(Condition::Plugin(word.text))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn spaces(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn expect(&mut self, wanted: char) -> Parsed<()> {
        self.spaces();
        if !self.rest().starts_with(wanted) {
            return Err(Mistake::new(self.at, format!("{wanted} is missing")));
        }
        self.at += wanted.len_utf8();
        Ok(())
    }

    fn word(&mut self, what: &str) -> Parsed<Word> {
        self.spaces();
        let at = self.at;
        self.maybe_word()?.ok_or_else(|| Mistake::new(at, format!("{what} is missing")))
    }

    /// A field of a cron expression may hold commas, which otherwise end a word; it does when a
    /// digit follows.
    fn maybe_cron_word(&mut self) -> Parsed<Option<Word>> {
        let Some(mut word) = self.maybe_word()? else { return Ok(None) };
        while let Some(more) = self.rest().strip_prefix(',')
            && more.starts_with(|c: char| c.is_ascii_digit())
        {
            self.at += 1;
            let Some(next) = self.maybe_word()? else { break };
            word.text = format!("{},{}", word.text, next.text);
        }
        Ok(Some(word))
    }

    fn maybe_word(&mut self) -> Parsed<Option<Word>> {
        self.spaces();
        let at = self.at;
        if let Some(quoted) = self.rest().strip_prefix('"') {
            let Some(len) = quoted.find('"') else {
                return Err(Mistake::new(at, "the closing quote is missing"));
            };
            self.at += len + 2;
            return Ok(Some(Word { at, text: quoted[..len].to_owned(), quoted: true }));
        }
        let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ',' | '"');
        let text = &self.rest()[..self.rest().find(ends).unwrap_or(self.rest().len())];
        self.at += text.len();
        Ok((!text.is_empty()).then(|| Word { at, text: text.to_owned(), quoted: false }))
    }
}
