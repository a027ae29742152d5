//! What a member does on its own account, in the background: forgets what compaction has passed,
//! purges the log behind the store, watches the disk, and, while it leads, compacts by itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use portunus_proto::etcdserverpb::CompactionRequest;

use super::handle::Node;
use super::metrics;
use super::policies::start_compiler;
use super::shared::Shared;
use super::space::SPACE_INTERVAL;
use crate::clock::Tick;
use crate::decide::Request;

/// Facts forgotten at a time: the history is locked that long.
const PRUNE_PORTION: usize = 2048;
/// How often the log is looked at for purging.
const PURGE_INTERVAL: Duration = Duration::from_secs(1);
/// How often the revision is noted for compaction by time, at most.
const SAMPLE_INTERVAL_MAX: Duration = Duration::from_secs(3600);
/// How often compaction by revision looks, as etcd.
const REVISION_INTERVAL: Duration = Duration::from_secs(300);

/// Compaction by the server itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Keep what is younger.
    Periodic(Duration),
    /// Keep this many revisions.
    Revisions(i64),
}

/// Follows the compaction mark: pruned facts go from memory, their records from the store.
pub async fn forget(shared: Arc<Shared>) {
    let mut applied = shared.applied.watch();
    let mut done = 0;
    loop {
        let compacted = shared.applied.with(|version| version.state.compacted);
        if compacted > done {
            let started = shared.clock.now();
            shared.hub.compact(compacted);
            let history = shared.history.load_full();
            loop {
                let held = shared.clock.now();
                let forgotten = history.prune(compacted, PRUNE_PORTION);
                let held = shared.clock.now().since(held);
                metrics::COMPACTION_PAUSE_MILLIS.observe(held.as_secs_f64() * 1e3);
                if forgotten.is_empty() {
                    break;
                }
                shared.forget_behind(forgotten);
                tokio::task::yield_now().await;
            }
            done = compacted;
            let took = shared.clock.now().since(started);
            metrics::COMPACTION_MILLIS.observe(took.as_secs_f64() * 1e3);
            shared.forgotten.send_replace(done);
            tracing::info!(revision = done, "finished scheduled compaction");
        }
        if applied.changed().await.is_err() {
            return;
        }
    }
}

/// Has the plugins of new bindings compiled before a call asks for them.
pub async fn follow_bindings(shared: Arc<Shared>) {
    let compiler = start_compiler(&shared);
    let mut applied = shared.applied.watch();
    let mut followed = 0;
    loop {
        let version = shared.applied.load();
        if version.state.bindings_revision != followed {
            followed = version.state.bindings_revision;
            if compiler.send(version).is_err() {
                return;
            }
        }
        if applied.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps the term that answers carry, and counts the leaders that come.
pub async fn follow_term(shared: Arc<Shared>) {
    let mut leadership = shared.group().leadership();
    let mut known = None;
    loop {
        let now = leadership.borrow_and_update().clone();
        shared.term.store(now.term, Ordering::Relaxed);
        if now.leader.is_some() && now.leader != known {
            metrics::LEADER_CHANGES.inc();
        }
        known = now.leader;
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

/// Purges the log behind the checkpoint before the store's last, keeping `keep` entries for
/// members that lag.
pub async fn purge(shared: Arc<Shared>, keep: u64) {
    let mut ticks = tokio::time::interval(PURGE_INTERVAL);
    let (mut purged, mut told) = (0, 0);
    loop {
        ticks.tick().await;
        // It may have happened some time after it was asked for.
        let gone = shared.group().status().purged.map_or(0, |at| at.index);
        if gone > told {
            told = gone;
            tracing::debug!(up_to = gone, "purged the log");
        }
        let up_to = shared.store.durable_index().min(shared.applied_index().saturating_sub(keep));
        if up_to > purged {
            match shared.group().purge(up_to).await {
                Ok(()) => purged = up_to,
                Err(error) => tracing::warn!(%error, "the log was not purged"),
            }
        }
    }
}

/// Asks the disk how much room there is.
pub async fn watch_space(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(SPACE_INTERVAL);
    loop {
        ticks.tick().await;
        let space = shared.space.clone();
        if tokio::task::spawn_blocking(move || space.look()).await.is_err() {
            return;
        }
    }
}

/// Compacts while this member leads.
pub async fn compact(node: Node, mode: AutoCompaction) {
    let interval = match mode {
        AutoCompaction::Periodic(period) => (period / 10).min(SAMPLE_INTERVAL_MAX),
        AutoCompaction::Revisions(_) => REVISION_INTERVAL,
    };
    let mut samples = Samples::default();
    loop {
        tokio::time::sleep(interval).await;
        let shared = &node.shared;
        let (now, compacted) =
            shared.applied.with(|version| (version.state.revision, version.state.compacted));
        let target = match mode {
            AutoCompaction::Periodic(period) => samples.older(shared.clock.now(), now, period),
            AutoCompaction::Revisions(keep) => Some(now - keep),
        };
        let Some(revision) = target.filter(|revision| *revision > compacted) else { continue };
        if shared.reign().is_none() {
            continue;
        }
        let request = CompactionRequest { revision, physical: false };
        match node.write(Request::Compact(request)).await {
            Ok(_) => tracing::info!(revision, "compacted by itself"),
            Err(error) => tracing::warn!(revision, %error, "auto-compaction failed"),
        }
    }
}

/// Which revision the store was at, and when.
#[derive(Default)]
struct Samples(VecDeque<(Tick, i64)>);

impl Samples {
    /// Notes the revision and returns the newest one that is at least `age` old.
    fn older(&mut self, now: Tick, revision: i64, age: Duration) -> Option<i64> {
        self.0.push_back((now, revision));
        let mut found = None;
        while let Some((at, sampled)) = self.0.front().copied() {
            if now.since(at) < age {
                break;
            }
            found = Some(sampled);
            self.0.pop_front();
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Samples;
    use crate::clock::Tick;

    #[test]
    fn the_revision_of_a_period_ago_is_found() {
        let at = |seconds| Tick::from_start(Duration::from_secs(seconds));
        let mut samples = Samples::default();
        let hour = Duration::from_secs(3600);
        assert_eq!(samples.older(at(0), 10, hour), None);
        assert_eq!(samples.older(at(1800), 20, hour), None);
        assert_eq!(samples.older(at(3600), 30, hour), Some(10));
        assert_eq!(samples.older(at(3700), 40, hour), None, "the last one was an hour old at 3600");
        assert_eq!(samples.older(at(9000), 50, hour), Some(40));
    }
}
