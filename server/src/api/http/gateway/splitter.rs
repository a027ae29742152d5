//! Cuts a stream of JSON objects, one after the other, into its objects, looking at each byte once
//! however the stream is cut. Whether an object is one is for the parser to say.

/// Why a stream cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rubbish {
    #[error("a message must be a json object, not begin with {:?}", char::from(*.0))]
    NotAnObject(u8),
    #[error("a message is longer than {0} bytes")]
    TooLong(usize),
    #[error("unexpected EOF")]
    CutOff,
}

/// The place in a stream of objects.
#[derive(Debug)]
pub struct Splitter {
    held: Vec<u8>,
    scanned: usize,
    depth: usize,
    in_string: bool,
    escaped: bool,
    bytes_max: usize,
}

impl Splitter {
    /// For objects of at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        let (held, scanned, depth) = (Vec::new(), 0, 0);
        Self { held, scanned, depth, in_string: false, escaped: false, bytes_max }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole object, if there is one.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, Rubbish> {
        while let Some(byte) = self.held.get(self.scanned).copied() {
            if self.depth == 0 && self.scanned == 0 && byte.is_ascii_whitespace() {
                let blank = self.held.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
                self.held.drain(..blank);
                continue;
            }
            if self.depth == 0 && byte != b'{' {
                return Err(Rubbish::NotAnObject(byte));
            }
            self.scanned += 1;
            self.pass(byte);
            if self.depth == 0 {
                let rest = self.held.split_off(self.scanned);
                self.scanned = 0;
                return Ok(Some(std::mem::replace(&mut self.held, rest)));
            }
            if self.scanned > self.bytes_max {
                return Err(Rubbish::TooLong(self.bytes_max));
            }
        }
        Ok(None)
    }

    /// The stream has ended.
    pub fn end(&self) -> Result<(), Rubbish> {
        let blank = self.held.iter().all(u8::is_ascii_whitespace);
        if blank { Ok(()) } else { Err(Rubbish::CutOff) }
    }

    fn pass(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Rubbish, Splitter};

    const STREAM: &str = r#" {"a":"}{\"\\"} {"b":[{"c":1}]}
{}{"d":"x"} "#;

    fn split(pieces: impl Iterator<Item = Vec<u8>>) -> Result<Vec<String>, Rubbish> {
        let (mut splitter, mut found) = (Splitter::new(1000), Vec::new());
        for piece in pieces {
            splitter.feed(&piece);
            while let Some(object) = splitter.next()? {
                found.push(String::from_utf8_lossy(&object).into_owned());
            }
        }
        splitter.end()?;
        Ok(found)
    }

    #[test]
    fn objects_come_out_whole_however_the_stream_is_cut() {
        let expected = [r#"{"a":"}{\"\\"}"#, r#"{"b":[{"c":1}]}"#, "{}", r#"{"d":"x"}"#];
        for size in 1..=STREAM.len() {
            let pieces = STREAM.as_bytes().chunks(size).map(<[u8]>::to_vec);
            assert_eq!(split(pieces).expect("objects"), expected, "in pieces of {size}");
        }
    }

    #[test]
    fn rubbish_and_length_are_named() {
        let one = |text: &str| split(std::iter::once(text.as_bytes().to_vec()));
        assert_eq!(one("{} 7"), Err(Rubbish::NotAnObject(b'7')));
        assert_eq!(one("{\"a\":"), Err(Rubbish::CutOff));
        assert_eq!(
            one(&format!("{{\"a\":\"{}\"}}", "x".repeat(1000))),
            Err(Rubbish::TooLong(1000))
        );
        assert_eq!(
            Rubbish::NotAnObject(b'7').to_string(),
            "a message must be a json object, not begin with '7'"
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let _ = split(pieces.into_iter());
        }

        #[test]
        fn brackets_and_quotes_do_not_either(text in r#"[{}\[\]"\\ a:,]{0,40}"#) {
            let whole = split(std::iter::once(text.clone().into_bytes()));
            let cut = split(text.bytes().map(|byte| vec![byte]));
            prop_assert_eq!(whole, cut);
        }
    }
}
