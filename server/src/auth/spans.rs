//! Sets of keys as merged intervals: sorted, apart from each other, so that one binary search tells
//! what holds a key.

use bytes::Bytes;

use crate::types::{KeyRange, RangeEnd};

/// Keys from `start` up to `end`, or without an upper bound.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    start: Bytes,
    end: Option<Bytes>,
}

/// The union of ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

/// How far up from a key everything is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach<'a> {
    Below(&'a [u8]),
    Everything,
}

impl Spans {
    pub fn of(ranges: impl IntoIterator<Item = KeyRange>) -> Self {
        let mut spans: Vec<Span> = ranges.into_iter().filter_map(span).collect();
        spans.sort_by(|a, b| a.start.cmp(&b.start));
        let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| span.start <= *end) => {
                    last.end = match (last.end.take(), span.end) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        _ => None,
                    };
                }
                _ => merged.push(span),
            }
        }
        Self(merged)
    }

    fn reach(&self, from: &[u8]) -> Option<Reach<'_>> {
        let at = self.0.partition_point(|span| &span.start[..] <= from);
        match &self.0[at.checked_sub(1)?].end {
            None => Some(Reach::Everything),
            Some(end) => (from < &end[..]).then_some(Reach::Below(end)),
        }
    }
}

/// True when the sets together hold every key of the range. Of a range that holds no key, its start
/// must be held: nobody learns anything about keys that are not theirs.
pub fn cover<'a>(sets: impl Iterator<Item = &'a Spans> + Clone, range: &KeyRange) -> bool {
    let mut from = &range.start[..];
    loop {
        let reach = sets.clone().filter_map(|set| set.reach(from)).max();
        match (reach, &range.end) {
            (None, _) => return false,
            (Some(Reach::Everything), _) | (Some(_), RangeEnd::Single) => return true,
            (Some(Reach::Below(end)), RangeEnd::Before(wanted)) if &wanted[..] <= end => {
                return true;
            }
            (Some(Reach::Below(end)), _) => from = end,
        }
    }
}

fn span(range: KeyRange) -> Option<Span> {
    if range.is_empty() {
        return None;
    }
    let KeyRange { start, end } = range;
    let end = match end {
        RangeEnd::Single => Some([&start[..], b"\0"].concat().into()),
        RangeEnd::Before(end) => Some(end),
        RangeEnd::Unbounded => None,
    };
    Some(Span { start, end })
}
