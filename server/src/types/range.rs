//! A set of keys as etcd's API names it: one key, everything from a key on, or a half-open range.

use bytes::Bytes;

/// The end of a [`KeyRange`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RangeEnd {
    /// Only the start key itself.
    Single,
    /// All keys below this one.
    Before(Bytes),
    /// No upper bound.
    Unbounded,
}

/// Keys from `start` to `end`. May be empty (`Before` an end that is not above `start`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyRange {
    pub start: Bytes,
    pub end: RangeEnd,
}

impl KeyRange {
    pub fn single(key: impl Into<Bytes>) -> Self {
        Self { start: key.into(), end: RangeEnd::Single }
    }

    pub fn all() -> Self {
        Self { start: Bytes::new(), end: RangeEnd::Unbounded }
    }

    /// All keys that begin with `prefix`.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start: Bytes = prefix.into();
        let keep = start.iter().rposition(|byte| *byte != 0xff);
        let end = match keep {
            None => RangeEnd::Unbounded,
            Some(at) => {
                let mut end = start[..=at].to_vec();
                end[at] += 1;
                RangeEnd::Before(end.into())
            }
        };
        Self { start, end }
    }

    /// From a request's `key` and `range_end`: an empty end is the single key, the one byte zero
    /// is "from the key on".
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        let end = match &range_end[..] {
            [] => RangeEnd::Single,
            [0] => RangeEnd::Unbounded,
            _ => RangeEnd::Before(range_end),
        };
        Self { start: key, end }
    }

    pub fn is_single(&self) -> bool {
        self.end == RangeEnd::Single
    }

    pub fn contains(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key == self.start,
            RangeEnd::Before(end) => key >= &self.start[..] && key < &end[..],
            RangeEnd::Unbounded => key >= &self.start[..],
        }
    }

    /// True when no key can be in it.
    pub fn is_empty(&self) -> bool {
        matches!(&self.end, RangeEnd::Before(end) if end <= &self.start)
    }

    /// True when every key of `other` is in this one.
    pub fn covers(&self, other: &KeyRange) -> bool {
        if other.is_empty() {
            return true;
        }
        let ends_within = match (&self.end, &other.end) {
            (RangeEnd::Unbounded, _) => true,
            (_, RangeEnd::Single) => self.contains(&other.start),
            (RangeEnd::Before(end), RangeEnd::Before(other_end)) => other_end <= end,
            (RangeEnd::Single | RangeEnd::Before(_), _) => false,
        };
        ends_within && other.start >= self.start
    }

    /// True when some key can be in both.
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        if self.is_empty() || other.is_empty() {
            return false;
        }
        self.reaches(&other.start) && other.reaches(&self.start)
    }

    /// True when the range's upper bound lies above `key`.
    fn reaches(&self, key: &[u8]) -> bool {
        match &self.end {
            RangeEnd::Single => key <= &self.start[..],
            RangeEnd::Before(end) => key < &end[..],
            RangeEnd::Unbounded => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeyRange, RangeEnd};

    #[test]
    fn a_prefix_ends_before_its_successor() {
        assert_eq!(KeyRange::prefix("ab").end, RangeEnd::Before("ac".into()));
        assert_eq!(KeyRange::prefix(&b"a\xff\xff"[..]).end, RangeEnd::Before("b".into()));
        assert_eq!(KeyRange::prefix(&b"\xff"[..]).end, RangeEnd::Unbounded);
        assert_eq!(KeyRange::prefix("").end, RangeEnd::Unbounded);
    }

    #[test]
    fn overlap_is_symmetric_and_agrees_with_membership() {
        let ranges = [
            KeyRange::single("b"),
            KeyRange::single("c"),
            KeyRange::from_wire("a".into(), "c".into()),
            KeyRange::from_wire("b".into(), "b".into()),
            KeyRange::from_wire("b".into(), "\0".into()),
            KeyRange::from_wire("c".into(), "a".into()),
            KeyRange::all(),
        ];
        let keys = ["", "a", "a\0", "b", "b\0", "bb", "c", "d"];
        for x in &ranges {
            for y in &ranges {
                let shared =
                    keys.iter().any(|k| x.contains(k.as_bytes()) && y.contains(k.as_bytes()));
                assert_eq!(x.overlaps(y), y.overlaps(x), "{x:?} {y:?}");
                assert_eq!(x.overlaps(y), shared, "{x:?} {y:?}");
                if x.covers(y) {
                    let within = |k: &&&str| !y.contains(k.as_bytes()) || x.contains(k.as_bytes());
                    assert_eq!(keys.iter().filter(within).count(), keys.len(), "{x:?} {y:?}");
                }
            }
        }
    }
}
