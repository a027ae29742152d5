//! A set of ASCII characters, written as single ones and ranges: `a-z0-9/_-`.

use std::str::FromStr;

/// Which bytes are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charset([bool; 128]);

/// The text is not a set: something is not ASCII, or a range runs backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACharset;

impl Charset {
    /// The first byte that is not in the set.
    pub fn first_outside(&self, bytes: &[u8]) -> Option<u8> {
        let inside = |byte: &u8| self.0.get(usize::from(*byte)).copied().unwrap_or(false);
        bytes.iter().copied().find(|byte| !inside(byte))
    }
}

impl FromStr for Charset {
    type Err = NotACharset;

    /// A `-` between two characters is a range; first or last it is itself.
    fn from_str(text: &str) -> Result<Self, NotACharset> {
        let mut set = [false; 128];
        let mut rest = text.as_bytes();
        while let [first, tail @ ..] = rest {
            let (last, after) = match tail {
                [b'-', last, after @ ..] => (last, after),
                _ => (first, tail),
            };
            let range = set.get_mut(usize::from(*first)..=usize::from(*last));
            match range {
                Some(range) if first <= last => range.fill(true),
                _ => return Err(NotACharset),
            }
            rest = after;
        }
        Ok(Self(set))
    }
}

#[cfg(test)]
mod tests {
    use super::{Charset, NotACharset};

    #[test]
    fn ranges_and_single_characters_are_told_apart() {
        let set: Charset = "a-c/_-".parse().expect("a set");
        assert_eq!(set.first_outside(b"abc/_-"), None);
        assert_eq!(set.first_outside(b"abcd"), Some(b'd'));
        assert_eq!(set.first_outside(b"a\xff"), Some(0xff));
        assert_eq!("-a".parse::<Charset>().map(|set| set.first_outside(b"-a")), Ok(None));
    }

    #[test]
    fn what_is_no_set_is_told() {
        assert_eq!("z-a".parse::<Charset>(), Err(NotACharset));
        assert_eq!("a-\u{e9}".parse::<Charset>(), Err(NotACharset));
    }
}
