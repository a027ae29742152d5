//! Following keys through the watch hub.

use bytes::Bytes;
use portunus_proto::mvccpb::event::EventType;
use portunus_proto::mvccpb::{Event, KeyValue};
use prost::Message;

use crate::node::{Failure, Node};
use crate::watch::{Create, WatchStream};

/// What a followed key came to.
pub(super) enum Seen {
    /// Put, with the revision that the answer tells.
    Put {
        kv: KeyValue,
        revision: i64,
    },
    Deleted,
}

impl Node {
    /// Returns once one of the keys may have been deleted at `from` or later. The state tells
    /// whether it was.
    pub(in crate::node) async fn until_deleted(
        &self,
        keys: &[Bytes],
        from: i64,
    ) -> Result<(), Failure> {
        let mut watch = self.watch_hub().open();
        for key in keys {
            watch.create(Create {
                key: key.clone(),
                start_revision: from,
                no_put: true,
                ..Create::default()
            });
        }
        loop {
            let answer = watch.next().await.map_err(|_| Failure::Stopped)?;
            if !answer.events.is_empty() || answer.canceled {
                return Ok(());
            }
        }
    }
}

/// A watch as a sequence of events. Ends with `None` when what it asks for is compacted.
pub(super) struct Following {
    watch: WatchStream,
    ready: std::vec::IntoIter<Bytes>,
    revision: i64,
}

impl Following {
    pub fn new(node: &Node, key: Bytes, range_end: Bytes, from: i64) -> Self {
        let mut watch = node.watch_hub().open();
        watch.create(Create { key, range_end, start_revision: from, ..Create::default() });
        Self { watch, ready: Vec::new().into_iter(), revision: 0 }
    }

    pub async fn next(&mut self) -> Result<Option<Seen>, Failure> {
        loop {
            if let Some(event) = self.ready.next() {
                return Ok(seen(event, self.revision));
            }
            let answer = self.watch.next().await.map_err(|_| Failure::Stopped)?;
            if answer.canceled {
                return Ok(None);
            }
            self.revision = answer.revision;
            self.ready = answer.events.into_iter();
        }
    }
}

fn seen(event: Bytes, revision: i64) -> Option<Seen> {
    let event = Event::decode(event).ok()?;
    if event.r#type() == EventType::Delete {
        return Some(Seen::Deleted);
    }
    let kv = KeyValue::decode(event.kv).ok()?;
    Some(Seen::Put { kv, revision })
}

/// The first of a range's encoded key-values.
pub(super) fn first(kvs: &[Bytes]) -> Option<KeyValue> {
    kvs.first().and_then(|kv| KeyValue::decode(kv.clone()).ok())
}
