//! Ranges of keys as they are written on the command line.

use portunus_proto::portunus::v1::KeyRange;

use crate::types::{KeyRange as Range, RangeEnd};

/// `=KEY` is one key, `FROM..TO` the keys from the one to below the other, `FROM..` everything
/// from a key on; anything else is a prefix.
pub fn parse(text: &str) -> KeyRange {
    if let Some(key) = text.strip_prefix('=') {
        return KeyRange { key: key.to_owned().into(), range_end: Default::default() };
    }
    match text.split_once("..") {
        Some((from, "")) => KeyRange { key: start(from), range_end: (&b"\0"[..]).into() },
        Some((from, to)) => KeyRange { key: start(from), range_end: to.to_owned().into() },
        None => under(text),
    }
}

/// The first key there can be is the byte zero.
fn start(from: &str) -> bytes::Bytes {
    if from.is_empty() { (&b"\0"[..]).into() } else { from.to_owned().into() }
}

/// All keys that begin with `prefix`.
pub fn under(prefix: &str) -> KeyRange {
    let Range { start, end } = Range::prefix(prefix.to_owned());
    let range_end = match end {
        RangeEnd::Before(end) => end,
        RangeEnd::Single | RangeEnd::Unbounded => (&b"\0"[..]).into(),
    };
    KeyRange { key: self::start(std::str::from_utf8(&start).unwrap_or(prefix)), range_end }
}

/// As it is read by [`parse`].
pub fn show(range: &KeyRange) -> String {
    let [from, to] = [&range.key, &range.range_end].map(|key| key.escape_ascii().to_string());
    match &range.range_end[..] {
        [] => format!("={from}"),
        [0] => format!("{from}.."),
        _ => format!("{from}..{to}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, show, under};

    #[test]
    fn ranges_are_one_key_an_interval_or_a_prefix() {
        let shown = |text| show(&parse(text));
        assert_eq!(shown("=k"), "=k");
        assert_eq!(shown("a..b"), "a..b");
        assert_eq!(shown("a.."), "a..");
        assert_eq!(shown("users/"), "users/..users0");
        assert_eq!(shown(".."), "\\x00..");
        assert_eq!(show(&under("")), "\\x00..", "every key");
    }
}
