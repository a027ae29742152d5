//! Who wrote a key: the author that the store's record of a revision holds.

use bytes::Bytes;

use super::error::{Error, Failure};
use super::handle::Node;
use super::shared::Shared;
use crate::decide::Refusal;
use crate::effect::Author;
use crate::storage::{Body, Record};
use crate::types::Revision;

/// The change that left a key as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Of the change.
    pub revision: i64,
    /// It deleted the key.
    pub deleted: bool,
    /// The plugin that made it; `None` for a client.
    pub author: Option<Author>,
}

impl Node {
    /// Who left `key` as it was at `revision`, 0 for now. `None` when the key did not exist and
    /// nothing is known of a delete.
    pub async fn blame(&self, key: Bytes, revision: i64) -> Result<Option<Blame>, Error> {
        self.linearizable().await?;
        let shared = self.shared.clone();
        let read = tokio::task::spawn_blocking(move || shared.blame(&key, revision));
        read.await.unwrap_or(Err(Failure::Unreadable.into()))
    }
}

impl Shared {
    fn blame(&self, key: &[u8], revision: i64) -> Result<Option<Blame>, Error> {
        // Looked up before the live item: what is superseded in between is in the history then.
        let history = self.history.load();
        let version = self.applied.load();
        let (now, compacted) = (version.state.revision, version.state.compacted);
        let revision = if revision == 0 { now } else { revision };
        if revision > now {
            return Err(Refusal::FutureRevision.into());
        }
        if revision < compacted {
            return Err(Refusal::Compacted.into());
        }
        let live = version.state.get(key).map(|item| item.modified());
        let live = live.filter(|at| at.main <= revision);
        let Some(at) = live.max(history.last_change(key, revision)) else { return Ok(None) };
        match self.store.record(at) {
            Ok(Some(record)) => Ok(Some(blame(at, record))),
            // Compaction has passed the delete of a key, or came in between.
            Ok(None) => match live {
                Some(_) if at.main >= compacted => Err(unreadable(at, "it is missing")),
                _ => Ok(None),
            },
            Err(error) => Err(unreadable(at, &error.to_string())),
        }
    }
}

fn blame(at: Revision, record: Record) -> Blame {
    let deleted = matches!(record.body, Body::Delete { .. });
    let author = record.author.map(|author| Author::clone(&author));
    Blame { revision: at.main, deleted, author }
}

fn unreadable(at: Revision, why: &str) -> Error {
    tracing::error!(revision = at.main, why, "an older revision cannot be read");
    Failure::Unreadable.into()
}
