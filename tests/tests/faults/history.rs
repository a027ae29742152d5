//! The store's history: every change of every key, from the first revision on.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, EventType, WatchOptions};

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub revision: i64,
    pub key: String,
    /// `None` when it was deleted.
    pub value: Option<Vec<u8>>,
    /// Revision at which the key that stands there now was created; 0 after a delete.
    pub created: i64,
}

/// In order of revisions, and within one in the order in which the changes were made.
pub type History = Vec<Change>;

/// Reads the whole history up to now through a watch.
pub async fn read(client: &mut Client) -> Result<History> {
    let end = client.put("~end", "", None).await?;
    let end = end.header().context("a header")?.revision();
    let options = WatchOptions::new().with_all_keys().with_start_revision(1);
    let mut stream = client.watch("\0", Some(options)).await?;
    let mut history: History = Vec::new();
    loop {
        let answer = stream.message().await?.context("the watch goes on")?;
        ensure!(!answer.canceled(), "the watch is cancelled: {}", answer.cancel_reason());
        for event in answer.events() {
            let kv = event.kv().context("an event has a key")?;
            let deleted = event.event_type() == EventType::Delete;
            let change = Change {
                revision: kv.mod_revision(),
                key: kv.key_str()?.to_owned(),
                value: (!deleted).then(|| kv.value().to_vec()),
                created: if deleted { 0 } else { kv.create_revision() },
            };
            ensure!(history.last().is_none_or(|last| last.revision <= change.revision));
            history.push(change);
        }
        if history.last().is_some_and(|change| change.revision >= end) {
            return Ok(history);
        }
    }
}

/// The line of a lock, as it was at each revision.
pub struct Line {
    /// First of the line from this revision on, as its key's create revision.
    holders: BTreeMap<i64, Option<i64>>,
    /// The most keys that were there at one time.
    pub longest: usize,
}

impl Line {
    /// Of the keys that begin with `prefix`: those of the line, or those of holders alone.
    pub fn of(history: &[Change], prefix: &str) -> Self {
        let (mut line, mut holders, mut longest) = (BTreeMap::new(), BTreeMap::new(), 0);
        for change in history.iter().filter(|change| change.key.starts_with(prefix)) {
            match change.value {
                Some(_) => line.insert(change.key.clone(), change.created),
                None => line.remove(&change.key),
            };
            longest = longest.max(line.len());
            holders.insert(change.revision, line.values().min().copied());
        }
        Self { holders, longest }
    }

    /// Who held it once everything up to `revision` had happened.
    pub fn holder_at(&self, revision: i64) -> Option<i64> {
        self.holders.range(..=revision).next_back().and_then(|(_, holder)| *holder)
    }
}
