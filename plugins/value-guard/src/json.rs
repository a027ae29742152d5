//! Checks that bytes are one JSON value (RFC 8259) without building it: the guard only needs to
//! know, and pays for neither a tree nor a dependency.

use std::fmt;

/// Arrays and objects within each other: more would use up a plugin's stack.
const DEPTH_MAX: usize = 64;

/// Where the bytes stop being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotJson {
    at: usize,
}

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value is not JSON at byte {}", self.at)
    }
}

/// Accepts exactly one value, with white space around it.
pub fn check(bytes: &[u8]) -> Result<(), NotJson> {
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(NotJson { at: error.valid_up_to() });
    }
    let mut scan = Scan { bytes, at: 0 };
    scan.value(DEPTH_MAX)?;
    if scan.peek().is_none() { Ok(()) } else { Err(scan.wrong()) }
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Scan<'_> {
    fn wrong(&self) -> NotJson {
        NotJson { at: self.at }
    }

    /// The next byte that is not white space.
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), NotJson> {
        match self.peek() {
            Some(b'{') if depth > 0 => self.list(b'}', |scan| {
                scan.peek();
                scan.string()?;
                scan.expect(b':')?;
                scan.value(depth - 1)
            }),
            Some(b'[') if depth > 0 => self.list(b']', |scan| scan.value(depth - 1)),
            Some(b'"') => self.string(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.wrong()),
        }
    }

    fn list(
        &mut self,
        end: u8,
        mut element: impl FnMut(&mut Self) -> Result<(), NotJson>,
    ) -> Result<(), NotJson> {
        self.at += 1;
        if self.peek() == Some(end) {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self)?;
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                return self.expect(end);
            }
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), NotJson> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.wrong());
        }
        self.at += word.len();
        Ok(())
    }

    fn string(&mut self) -> Result<(), NotJson> {
        self.exactly(|byte| byte == b'"')?;
        loop {
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(self.wrong()),
            }
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        if self.bytes.get(self.at) == Some(&b'u') {
            self.at += 1;
            for _ in 0..4 {
                self.exactly(|byte| byte.is_ascii_hexdigit())?;
            }
            return Ok(());
        }
        self.exactly(|byte| br#""\/bfnrt"#.contains(&byte))
    }

    fn number(&mut self) -> Result<(), NotJson> {
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotJson> {
        self.exactly(|byte| byte.is_ascii_digit())?;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        Ok(())
    }

    /// One byte of a kind, with no white space before it.
    fn exactly(&mut self, is: impl Fn(u8) -> bool) -> Result<(), NotJson> {
        if !self.bytes.get(self.at).is_some_and(|byte| is(*byte)) {
            return Err(self.wrong());
        }
        self.at += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{DEPTH_MAX, NotJson, check};

    #[test]
    fn json_is_accepted() {
        for text in [
            "null",
            " true ",
            "false",
            "0",
            "-0",
            "12.5e-3",
            "1E+9",
            r#""""#,
            r#""a\"\\\u00e9\n""#,
            "[]",
            "[ 1 , [2] ]",
            "{}",
            r#"{ "a" : 1, "b" : { "c" : [null] } }"#,
            "\"\u{e9}\"",
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn other_text_is_refused_where_it_goes_wrong() {
        for (text, at) in [
            ("", 0),
            ("  ", 2),
            ("nul", 0),
            ("1 2", 2),
            ("01", 1),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("[1,]", 3),
            ("[1", 2),
            ("{", 1),
            ("{1:2}", 1),
            (r#"{"a"}"#, 4),
            (r#"{"a":1,}"#, 7),
            (r#""a"#, 2),
            ("\"\n\"", 1),
            (r#""\x""#, 2),
            (r#""\u12g4""#, 5),
            ("'a'", 0),
        ] {
            assert_eq!(check(text.as_bytes()), Err(NotJson { at }), "{text}");
        }
        assert_eq!(check(b"\"\xff\""), Err(NotJson { at: 1 }));
    }

    #[test]
    fn nesting_has_a_bound() {
        let nested = |depth| ["[".repeat(depth), "]".repeat(depth)].concat();
        assert_eq!(check(nested(DEPTH_MAX).as_bytes()), Ok(()));
        assert_eq!(check(nested(DEPTH_MAX + 1).as_bytes()), Err(NotJson { at: DEPTH_MAX }));
    }
}
