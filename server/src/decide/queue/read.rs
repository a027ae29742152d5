//! Looking at a queue without changing it.

use portunus_proto::portunus::v1::{
    QueueExplainResponse, QueueItem, QueuePeekRequest, QueueReadiness, QueueShelf,
    QueueStatsResponse,
};

use super::evaluate::{allowance, number};
use super::keys::Queue;
use super::{config, tidy};
use crate::decide::writer::Writer;
use crate::decide::{Draft, Refusal};
use crate::machine::State;
use crate::types::{Item, KeyRange};
use bytes::Bytes;

/// Items of one look.
const PEEKED_MAX: u32 = 1000;

/// The first items of a shelf, in order.
pub fn peek(state: &State, request: &QueuePeekRequest) -> Result<Vec<QueueItem>, Refusal> {
    let queue = Queue::named(&request.queue)?;
    let range = match request.shelf() {
        QueueShelf::Ready => queue.ready(),
        QueueShelf::Delayed => queue.delayed(),
        QueueShelf::Taken => queue.taken(),
        QueueShelf::Dead => queue.dead(),
    };
    let max = request.max.clamp(1, PEEKED_MAX) as usize;
    let keys = state.items().range(&range).take(max).map(Item::key).map(Bytes::copy_from_slice);
    let keys: Vec<Bytes> = keys.collect();
    let (mut state, mut draft) = (state.clone(), Draft::default());
    let mut writer = Writer::new(&mut state, &mut draft);
    Ok(keys.iter().filter_map(|key| tidy::read(&mut writer, key)).collect())
}

/// Whether producers wait for room in the queue although they did not ask to.
pub fn blocks(state: &State, name: &[u8]) -> bool {
    let text = state.get(&Queue::known(name).config());
    text.and_then(|item| config::parse(item.value()).ok()).is_some_and(|config| config.blocks)
}

/// How many items are where, in O(log n).
pub fn stats(state: &State, name: &[u8]) -> Result<QueueStatsResponse, Refusal> {
    let queue = Queue::named(name)?;
    let count = |range: &KeyRange| state.items().count(range) as u64;
    let returning = tidy::returning(state, queue) as u64;
    let enqueued = state.get(&queue.seq()).and_then(|item| std::str::from_utf8(item.value()).ok());
    Ok(QueueStatsResponse {
        header: None,
        ready: count(&queue.ready()),
        delayed: count(&queue.delayed()),
        taken: count(&queue.taken()) - returning,
        returning,
        dead: count(&queue.dead()),
        enqueued: enqueued.and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

/// The state in which all that is due at `now_ms` is back in the queue.
pub fn tidied(state: &State, name: &[u8], now_ms: u64) -> Result<State, Refusal> {
    Queue::named(name)?;
    let (mut state, mut draft) = (state.clone(), Draft::default());
    tidy::tidy(&mut Writer::new(&mut state, &mut draft), name, now_ms, usize::MAX);
    Ok(state)
}

/// Whether a dequeue of the tidied queue would be served at `now_ms`, and if not, for what it would
/// wait. `said` is what the plugin of its condition says, if it names one.
pub fn explain(
    state: &State,
    name: &[u8],
    said: Option<&QueueReadiness>,
    now_ms: u64,
) -> Result<QueueExplainResponse, Refusal> {
    let queue = Queue::named(name)?;
    let (mut state, mut draft) = (state.clone(), Draft::default());
    let mut writer = Writer::new(&mut state, &mut draft);
    let allowed = allowance(&mut writer, queue, said, now_ms)?;
    let is_empty = writer.head.items().count(&queue.ready()) == 0;
    let mut waits_for = allowed.verdict.waits_for;
    if is_empty {
        waits_for.push(
            match (number(&mut writer, &queue.seq()), tidy::next_due(writer.head, queue)) {
                (None, _) => "there is no such queue yet".to_owned(),
                (_, Some(due)) => format!("a delayed item, due at unix {}", due / 1000),
                (_, None) => "an item".to_owned(),
            },
        );
    }
    let serves = allowed.items != Some(0) && !is_empty;
    Ok(QueueExplainResponse { header: None, serves, waits_for })
}
