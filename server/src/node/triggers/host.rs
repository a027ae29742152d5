//! What a trigger's runner needs of the node: the trigger's state and its events as they are
//! applied here, the lane, and ways to move the cursor without the plugin or to stop it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::backlog::Stretch;
use crate::clock::Tick;
use crate::decide::{Advance, Request, SetTrigger};
use crate::effect::{BindingId, TriggerState};
use crate::machine::{Change, What};
use crate::node::Node;
use crate::node::plugin::{Handled, TriggerBatch};
use crate::types::{Item, KeyRange, Revision};
use crate::watch::{self, Committed, Event, HistoryError};

/// Revisions read at a time from memory: some 10 ns each under the publisher's lock.
const RECENT_REVISIONS: usize = 256;
/// Bytes of one read of the history.
const HISTORY_BYTES: usize = 1024 * 1024;

/// Everything outside a runner. Its futures may be dropped at any point.
pub trait Host: Send + Sync + 'static {
    /// The trigger as it is applied here; `None` when its binding is gone.
    fn state(&self) -> Option<TriggerState>;

    /// Returns when something was applied, after the call, that may have changed [`Host::state`].
    fn changed(&self) -> BoxFuture<'_, ()>;

    /// The events of the trigger's prefix from this revision on.
    fn read(&self, from: i64) -> BoxFuture<'_, Result<Stretch, String>>;

    /// Has the plugin handle a batch.
    fn handle(&self, batch: TriggerBatch) -> BoxFuture<'static, Handled>;

    /// Moves the cursor over revisions without events. Nothing is lost when it does not succeed.
    fn advance(&self, advance: Advance) -> BoxFuture<'_, ()>;

    /// Stops the trigger. True when that was decided.
    fn pause(&self, pause: SetTrigger) -> BoxFuture<'_, bool>;

    fn now(&self) -> Tick;

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// How long at least lies between two looks at the state while a trigger waits.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// The node on behalf of one trigger.
pub struct NodeHost {
    pub node: Node,
    pub binding: BindingId,
    pub prefix: Bytes,
}

impl Host for NodeHost {
    fn state(&self) -> Option<TriggerState> {
        self.node.shared.applied.with(|version| version.state.trigger(&self.binding).cloned())
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        let mut applied = self.node.shared.applied.watch();
        Box::pin(async move {
            tokio::time::sleep(LOOK_INTERVAL).await;
            // It ends when the member does, and the runner with it.
            let _ = applied.changed().await;
        })
    }

    fn read(&self, from: i64) -> BoxFuture<'_, Result<Stretch, String>> {
        Box::pin(async move {
            let hub = &self.node.shared.hub;
            let range = KeyRange::prefix(self.prefix.clone());
            if let Some((revisions, up_to)) = hub.recent(from, RECENT_REVISIONS) {
                let whole = up_to >= hub.applied();
                let revisions = revisions.iter().filter_map(|committed| {
                    let events = changes(committed, &range, |event| Ok(event.prev().cloned()));
                    events.transpose()
                });
                let revisions: Result<_, HistoryError> = revisions.collect();
                let revisions = revisions.map_err(|error| error.to_string())?;
                return Ok(Stretch { revisions, up_to, missed: None, whole });
            }
            let _turn = hub.turn_to_scan().await;
            let (history, to) = (hub.history(), hub.applied());
            let read = tokio::task::spawn_blocking(move || scan(&*history, from, to, range));
            read.await.unwrap_or_else(|_| Err("the read was given up".to_owned()))
        })
    }

    fn handle(&self, batch: TriggerBatch) -> BoxFuture<'static, Handled> {
        let node = self.node.clone();
        Box::pin(async move { node.handle_events(batch).await })
    }

    fn advance(&self, advance: Advance) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.node.decide(Request::Advance(advance)).await {
                tracing::debug!(binding = self.binding, %error, "an idle trigger stays behind");
            }
        })
    }

    fn pause(&self, pause: SetTrigger) -> BoxFuture<'_, bool> {
        Box::pin(async move { self.node.decide(Request::SetTrigger(pause)).await.is_ok() })
    }

    fn now(&self) -> Tick {
        self.node.shared.clock.now()
    }

    fn sleep(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// Reads from the store. Where compaction has passed `from`, it begins behind the gap.
fn scan(
    history: &dyn watch::History,
    from: i64,
    to: i64,
    range: KeyRange,
) -> Result<Stretch, String> {
    let (mut from, mut missed) = (from, None);
    loop {
        match stretch(history, from, to, &range) {
            Ok(stretch) => return Ok(Stretch { missed, ..stretch }),
            Err(HistoryError::Compacted(compacted)) if compacted > from => {
                let first = missed
                    .as_ref()
                    .map_or(from, |gap: &std::ops::RangeInclusive<i64>| *gap.start());
                missed = Some(first..=compacted - 1);
                from = compacted;
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

fn stretch(
    history: &dyn watch::History,
    from: i64,
    to: i64,
    range: &KeyRange,
) -> Result<Stretch, HistoryError> {
    let chunk = history.scan(from, to, std::slice::from_ref(range), HISTORY_BYTES)?;
    let mut revisions = VecDeque::with_capacity(chunk.revisions.len());
    for committed in &chunk.revisions {
        let before = |event: &Event| history.before(event.key(), committed.revision());
        revisions.extend(changes(committed, range, before)?);
    }
    Ok(Stretch { revisions, up_to: chunk.next - 1, missed: None, whole: chunk.next > to })
}

/// The events of one revision in `range`; `None` when there are none.
fn changes(
    committed: &Committed,
    range: &KeyRange,
    prev: impl Fn(&Event) -> Result<Option<Item>, HistoryError>,
) -> Result<Option<(i64, Vec<Change>)>, HistoryError> {
    let mut events = Vec::new();
    for (event, sub) in committed.events().iter().zip(0..) {
        if !range.contains(event.key()) {
            continue;
        }
        let what = match event.change() {
            watch::Change::Put(item) => What::Put(item.clone()),
            watch::Change::Delete { key } => What::Delete { key: key.clone() },
        };
        let at = Revision::new(committed.revision(), sub);
        let author = event.author().cloned();
        events.push(Change { at, what, prev: prev(event)?, author });
    }
    Ok((!events.is_empty()).then(|| (committed.revision(), events)))
}

/// A host for a trigger of a running node.
pub fn of(node: &Node, binding: BindingId, prefix: Bytes) -> Arc<NodeHost> {
    Arc::new(NodeHost { node: node.clone(), binding, prefix })
}
