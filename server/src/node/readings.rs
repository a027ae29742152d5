//! A member's figures for whoever scrapes them: read from where they are kept, at that moment.

use std::sync::atomic::Ordering;

use super::handle::Node;
use crate::effect::Alarm;
use crate::metrics::Readings;
use crate::types::MemberId;

impl Node {
    /// Reads everything that is not counted on the way; see [`super::metrics`] for the rest.
    pub fn readings(&self) -> Readings {
        let readings = Readings::default();
        self.read_raft(&readings);
        self.read_peers(&readings);
        self.read_store(&readings);
        self.read_watches(&readings);
        readings
    }

    /// The alarms that are raised, as applied here.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.shared
            .applied
            .with(|version| version.state.registry().alarms.iter().cloned().collect::<Vec<Alarm>>())
    }

    fn read_raft(&self, to: &Readings) {
        let shared = &self.shared;
        let raft = shared.group().status();
        let me = shared.identity.member;
        let flag = |on: bool| f64::from(u8::from(on));
        let committed = raft.committed.map_or(0, |at| at.index) as f64;
        let learner = self.is_learner();
        to.gauge(
            "etcd_server_has_leader",
            "Whether or not a leader exists. 1 is existence, 0 is not.",
            flag(raft.leader.is_some()),
        );
        to.gauge(
            "etcd_server_is_leader",
            "Whether or not this member is a leader. 1 if is, 0 otherwise.",
            flag(raft.leader == Some(me.0)),
        );
        to.gauge(
            "etcd_server_is_learner",
            "Whether or not this member is a learner. 1 if is, 0 otherwise.",
            flag(learner),
        );
        to.gauge(
            "etcd_server_proposals_committed_total",
            "Index of the last entry that this member knows to be committed.",
            committed,
        );
        to.gauge(
            "etcd_server_proposals_applied_total",
            "Index of the last entry that this member has applied.",
            shared.applied_index() as f64,
        );
        to.gauge(
            "portunus_raft_term",
            "The raft term that answers of this member carry.",
            shared.term.load(Ordering::Relaxed) as f64,
        );
        let id = format!("{:x}", me.0);
        to.labelled_gauge(
            "etcd_server_id",
            "Server or member ID in hexadecimal format. 1 for 'server_id' label with current ID.",
            &[("server_id", &id)],
            1.0,
        );
    }

    fn read_peers(&self, to: &Readings) {
        let group = self.shared.group();
        let me = self.shared.identity.member;
        let local = format!("{:x}", me.0);
        for peer in group.membership().peers.keys().filter(|peer| **peer != me.0) {
            let remote = format!("{peer:x}");
            let labels = [("Local", local.as_str()), ("Remote", remote.as_str())];
            let known = "The current number of known peers.";
            to.labelled_gauge("etcd_network_known_peers", known, &labels, 1.0);
            let active = f64::from(u8::from(group.answers(MemberId(*peer))));
            let help = "The current number of peers that answer.";
            to.labelled_gauge("etcd_network_active_peers", help, &labels, active);
        }
    }

    fn read_store(&self, to: &Readings) {
        let shared = &self.shared;
        let version = shared.applied.load();
        let state = &version.state;
        let live = shared.store.live_bytes() as f64 + shared.store.pending_bytes() as f64;
        to.gauge(
            "etcd_mvcc_db_total_size_in_bytes",
            "Bytes of all revisions and rows stored; this is what the quota counts.",
            live,
        );
        to.gauge(
            "etcd_mvcc_db_total_size_in_use_in_bytes",
            "Bytes of all revisions and rows stored; the store keeps no space that it does not use.",
            live,
        );
        to.gauge(
            "portunus_disk_store_files_bytes",
            "Bytes that the files of the store take, with what is not merged away yet.",
            shared.store.disk_bytes() as f64,
        );
        to.gauge(
            "portunus_disk_store_pending_bytes",
            "Bytes of what is applied and not yet written behind the log.",
            shared.store.pending_bytes() as f64,
        );
        to.gauge(
            "etcd_disk_wal_write_bytes_total",
            "Total number of bytes written to the write-ahead log.",
            shared.wal.written_bytes() as f64,
        );
        to.gauge(
            "etcd_server_quota_backend_bytes",
            "Current backend storage quota size in bytes; 0 when there is none.",
            shared.options.quota_bytes.unwrap_or(0) as f64,
        );
        to.gauge(
            "etcd_debugging_mvcc_keys_total",
            "Total number of keys.",
            state.items().len() as f64,
        );
        to.gauge(
            "etcd_debugging_mvcc_current_revision",
            "The current revision of the store.",
            state.revision as f64,
        );
        to.gauge(
            "etcd_debugging_mvcc_compact_revision",
            "The revision of the last compaction.",
            state.compacted as f64,
        );
        to.gauge(
            "etcd_debugging_auth_revision",
            "The revision of users, roles and permissions.",
            state.auth().revision as f64,
        );
    }

    fn read_watches(&self, to: &Readings) {
        let stats = self.shared.hub.stats();
        to.gauge(
            "etcd_debugging_mvcc_watch_stream_total",
            "Total number of watch streams.",
            stats.streams as f64,
        );
        to.gauge(
            "etcd_debugging_mvcc_watcher_total",
            "Total number of watchers.",
            stats.watchers as f64,
        );
        to.gauge(
            "etcd_debugging_mvcc_slow_watcher_total",
            "Total number of watchers that are catching up.",
            stats.slow_watchers as f64,
        );
        to.counter(
            "etcd_debugging_mvcc_events_total",
            "Total number of events handed to watchers by this member.",
            stats.events,
        );
    }
}
