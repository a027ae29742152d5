//! A range in chunks: the revision is that of the state it began on, and a chunk grows or shrinks
//! so that it comes near the size wanted.

use pb::range_request::{SortOrder, SortTarget};
use portunus_proto::etcdserverpb as pb;

use super::range::{answer, arrange, check_range, check_revision};
use crate::decide::{Past, Refusal};
use crate::machine::State;

/// Keys in the first chunk, as etcd.
const FIRST_KEYS: i64 = 10;

/// A range in the making.
pub struct RangeStream {
    /// The rest of the range, at the revision it began at.
    rest: pb::RangeRequest,
    /// As it came, when each chunk is to be sorted by something other than the key.
    target: Option<pb::RangeRequest>,
    /// Keys still wanted; none when there is no limit.
    wanted: Option<i64>,
    target_bytes: usize,
    keys: i64,
    /// What the whole range held, known from the first chunk on.
    count: Option<i64>,
    done: bool,
}

/// A part of the answer. Header, `more` and `count` are set in the last one only.
pub type Chunk = pb::RangeResponse;

impl RangeStream {
    /// Begins a stream whose chunks are to be of about `target_bytes`.
    pub fn new(
        state: &State,
        request: &pb::RangeRequest,
        target_bytes: usize,
    ) -> Result<Self, Refusal> {
        check_range(request)?;
        let by_key = request.sort_target() == SortTarget::Key;
        let default_order = match request.sort_order() {
            // As etcd: each chunk is then sorted by itself, whatever the target.
            SortOrder::None => true,
            SortOrder::Ascend => by_key,
            SortOrder::Descend => false,
        };
        if !default_order {
            return Err(Refusal::StreamSorted);
        }
        if super::range::has_filters(request) {
            return Err(Refusal::StreamFiltered);
        }
        let mut rest = request.clone();
        let target = (!by_key).then(|| request.clone());
        if target.is_some() {
            // The target may be the value, and chunks follow one another by key.
            (rest.sort_target, rest.keys_only) = (SortTarget::Key.into(), false);
        }
        if rest.revision > 0 {
            check_revision(state, &rest)?;
        } else {
            rest.revision = state.revision;
        }
        let wanted = (request.limit > 0).then_some(request.limit);
        Ok(Self { rest, target, wanted, target_bytes, keys: FIRST_KEYS, count: None, done: false })
    }

    /// The next chunk; `None` after the last. `state` may be newer than at the beginning.
    pub fn next(
        &mut self,
        state: &State,
        past: Option<&dyn Past>,
    ) -> Result<Option<Chunk>, Refusal> {
        if self.done {
            return Ok(None);
        }
        check_revision(state, &self.rest)?;
        self.rest.limit = self.wanted.map_or(self.keys, |wanted| wanted.min(self.keys));
        let mut chunk = answer(state, past, &self.rest, None)?;
        let count = *self.count.get_or_insert(chunk.count);
        let got = chunk.kvs.len() as i64;
        let enough = self.wanted.is_some_and(|wanted| got >= wanted);
        self.wanted = self.wanted.map(|wanted| wanted - got);
        self.done = !chunk.more || enough || self.rest.count_only;
        if self.done {
            chunk.count = count;
        } else {
            (chunk.header, chunk.more, chunk.count) = (None, false, 0);
            self.go_on_behind(&chunk)?;
        }
        if let Some(target) = &self.target {
            chunk.kvs = arrange(target, chunk.kvs)?;
        }
        Ok(Some(chunk))
    }

    fn go_on_behind(&mut self, chunk: &Chunk) -> Result<(), Refusal> {
        let Some(last) = chunk.kvs.last() else { return Ok(()) };
        let item = crate::types::Item::from_encoded(last, 0)
            .map_err(|error| Refusal::Unreadable(error.to_string()))?;
        // The least key behind the last one.
        self.rest.key = [item.key(), &[0]].concat().into();
        let bytes: usize = chunk.kvs.iter().map(|kv| kv.len()).sum::<usize>().max(1);
        let fitting = chunk.kvs.len().saturating_mul(self.target_bytes) / bytes;
        // No more than double at a time: the next values may be larger.
        self.keys = (fitting as i64).clamp(1, 2 * self.keys);
        Ok(())
    }
}
