//! A watcher as clients have it: it goes on from the revision after the last one it saw, whatever
//! becomes of its connection, and keeps what it saw.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use etcd_client::{EventType, WatchOptions};
use parking_lot::Mutex;
use portunus_tests::eventually;
use tokio::task::JoinHandle;

use crate::load::impatient;

/// Between two attempts to watch a member that is away.
const PAUSE: Duration = Duration::from_millis(50);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub key: String,
    pub revision: i64,
    pub deleted: bool,
}

/// What a watcher has seen so far.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub events: Vec<Event>,
    /// The first revision not seen.
    pub next: i64,
    /// Streams begun.
    pub streams: usize,
    /// It was cancelled because its revision was compacted, which goes up to here.
    pub compacted: Option<i64>,
}

/// Watches a prefix at one member until dropped.
pub struct Watcher {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Watcher {
    pub fn start(url: &str, prefix: &str, from: i64) -> Self {
        let seen = Arc::new(Mutex::new(Seen { next: from, ..Seen::default() }));
        let (url, prefix, kept) = (url.to_owned(), prefix.to_owned(), seen.clone());
        let task = tokio::spawn(async move {
            while kept.lock().compacted.is_none() {
                // A broken stream is what it is made for.
                let _ = follow(&url, &prefix, &kept).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self { seen, task }
    }

    /// Waits until everything up to `revision` was seen; it must be one of an event watched for.
    pub async fn reaches(&self, revision: i64) -> Seen {
        eventually("a watcher's next event", || async {
            let seen = self.seen.lock();
            ensure!(seen.next > revision, "at {} of {revision}", seen.next);
            Ok(seen.clone())
        })
        .await
    }

    /// Waits until it is cancelled as compacted.
    pub async fn is_compacted(&self) -> i64 {
        eventually("a watcher that is cancelled", || async {
            let seen = self.seen.lock();
            seen.compacted.ok_or_else(|| format!("it goes on at {}", seen.next))
        })
        .await
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(url: &str, prefix: &str, seen: &Mutex<Seen>) -> Result<()> {
    let from = seen.lock().next;
    let options = WatchOptions::new().with_prefix().with_start_revision(from);
    let mut client = impatient(url).await?;
    let mut stream = client.watch(prefix, Some(options)).await?;
    seen.lock().streams += 1;
    while let Some(response) = stream.message().await? {
        let mut seen = seen.lock();
        if response.compact_revision() > 0 {
            seen.compacted = Some(response.compact_revision());
        }
        ensure!(!response.canceled(), "cancelled: {}", response.cancel_reason());
        for event in response.events() {
            let Some(kv) = event.kv() else { continue };
            let (key, revision) = (kv.key_str()?.to_owned(), kv.mod_revision());
            let deleted = event.event_type() == EventType::Delete;
            seen.events.push(Event { key, revision, deleted });
            seen.next = revision + 1;
        }
    }
    Ok(())
}
