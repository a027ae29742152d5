//! Looks for members whose data differs from the others', as etcd does: when a member starts, from
//! time to time, and after compactions. The digest that every log entry carries stops a member
//! whose live keys differ at once; these checks cover what no entry touches, older revisions and
//! the disk under them.
//!
//! A member that is found to differ has the CORRUPT alarm raised for it, and until somebody clears
//! it the cluster serves no keys.

use std::collections::BTreeMap;
use std::time::Duration;

use portunus_proto::etcdserverpb::{AlarmRequest, AlarmType, alarm_request::AlarmAction};

use super::error::Error;
use super::handle::Node;
use super::hash::HashKv;
use super::peer_hash::PeerHash;
use crate::decide::Request;
use crate::effect::{Alarm, AlarmKind};
use crate::types::MemberId;

/// Stands for a difference of which nobody can say who has it, as in etcd.
const NOBODY: MemberId = MemberId(0);

/// This member's data is not the others'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} found data inconsistency with peers")]
pub struct Inconsistent(pub MemberId);

impl Node {
    /// Compares this member's data with that of every peer that answers, before it serves.
    pub async fn check_before_serving(&self) -> Result<(), Inconsistent> {
        let me = self.shared.identity.member;
        let Ok(own) = self.hash_kv(0).await else { return Ok(()) };
        let peers = self.peer_hashes(own.hash_revision).await;
        let differs = peers.iter().filter(|peer| differs(&own, &peer.hash)).count();
        if differs > 0 {
            return Err(Inconsistent(me));
        }
        tracing::info!(peers = peers.len(), "initial corruption checking passed; no corruption");
        Ok(())
    }

    /// One comparison of all members' data with the leader's.
    async fn check_members(&self) -> Result<(), Error> {
        let own = self.hash_kv(0).await?;
        let peers = self.peer_hashes(own.hash_revision).await;
        self.linearizable().await?;
        let (again, head) = (self.hash_kv(own.hash_revision).await, self.header().revision);
        let me = self.shared.identity.member;
        match again {
            Ok(again) if differs(&own, &again) => self.raise(me, "its own data changes").await,
            _ => {}
        }
        for peer in &peers {
            if let Some(why) = self.wrong(&own, peer, head).await {
                self.raise(peer.member, why).await;
            }
        }
        let count = peers.len();
        tracing::info!("number-of-peers-checked" = count, "finished peer corruption check");
        Ok(())
    }

    /// What is wrong with a peer that was asked between two looks at the leader's revision.
    async fn wrong(&self, own: &HashKv, peer: &PeerHash, head: i64) -> Option<&'static str> {
        if peer.head > head {
            return Some("its revision is ahead of the leader's");
        }
        if !differs(own, &peer.hash) {
            return None;
        }
        // Asked once more: it may have been receiving a snapshot.
        let again = self.peer_hash(peer.member, own.hash_revision).await?;
        let own = self.hash_kv(own.hash_revision).await.ok()?;
        differs(&own, &again.hash).then_some("its data differs from the leader's")
    }

    /// Compares what all members hold of the last compaction. Returns its revision when there was
    /// one and every member could be compared.
    async fn check_compaction(&self, checked: i64) -> Option<i64> {
        let compacted = self.shared.applied.with(|version| version.state.compacted);
        if compacted <= checked.max(0) {
            return None;
        }
        let own = self.hash_kv(compacted).await.ok()?;
        let peers = self.peer_hashes(compacted).await;
        let same = peers.iter().filter(|p| p.hash.compact_revision == own.compact_revision);
        let mut groups: BTreeMap<u32, Vec<MemberId>> = BTreeMap::new();
        groups.entry(own.hash).or_default().push(self.shared.identity.member);
        for peer in same {
            groups.entry(peer.hash.hash).or_default().push(peer.member);
        }
        let members = self.shared.group().membership().peers.len();
        if groups.len() > 1 {
            for member in minority(&groups, members) {
                self.raise(member, "its data at a compaction differs from the others'").await;
            }
        }
        tracing::info!("number-of-hashes-checked" = 1, "finished compaction hash check");
        let compared: usize = groups.values().map(Vec::len).sum();
        (compared == members).then_some(compacted)
    }

    async fn raise(&self, member: MemberId, why: &'static str) {
        let alarm = Alarm { member, kind: AlarmKind::Corrupt };
        if self.alarms().contains(&alarm) {
            return;
        }
        tracing::error!(%member, why, "data corruption found, raising the alarm");
        let request = AlarmRequest {
            action: AlarmAction::Activate.into(),
            member_id: member.0,
            alarm: AlarmType::Corrupt.into(),
        };
        if let Err(error) = self.write(Request::Alarm(request)).await {
            tracing::error!(%error, %member, "the alarm could not be raised");
        }
    }
}

/// Compares all members' data from time to time, while this member leads.
pub async fn watch_members(node: Node, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if node.shared.reign().is_none() {
            continue;
        }
        if let Err(error) = node.check_members().await {
            tracing::warn!(%error, "the members' data was not compared");
        }
    }
}

/// Compares what compactions have left, while this member leads.
pub async fn watch_compactions(node: Node, every: Duration) {
    let mut checked = 0;
    loop {
        tokio::time::sleep(every).await;
        if node.shared.reign().is_some() {
            checked = node.check_compaction(checked).await.unwrap_or(checked);
        }
    }
}

/// True when two hashes of the same revisions are not the same.
fn differs(one: &HashKv, other: &HashKv) -> bool {
    one.hash != other.hash
        && one.hash_revision == other.hash_revision
        && one.compact_revision == other.compact_revision
}

/// Whom a majority disagrees with; nobody by name where there is none.
fn minority(groups: &BTreeMap<u32, Vec<MemberId>>, members: usize) -> Vec<MemberId> {
    let Some(largest) = groups.values().max_by_key(|group| group.len()) else { return vec![] };
    if largest.len() * 2 <= members {
        return vec![NOBODY];
    }
    groups.values().filter(|group| *group != largest).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{HashKv, MemberId, NOBODY, differs, minority};

    #[test]
    fn only_hashes_of_the_same_revisions_tell() {
        let one = HashKv { hash: 1, compact_revision: 5, hash_revision: 9 };
        assert!(differs(&one, &HashKv { hash: 2, ..one }));
        assert!(!differs(&one, &one));
        assert!(!differs(&one, &HashKv { hash: 2, compact_revision: 6, ..one }));
        assert!(!differs(&one, &HashKv { hash: 2, hash_revision: 8, ..one }));
    }

    #[test]
    fn a_majority_says_who_is_wrong() {
        let groups = |all: &[&[u64]]| -> BTreeMap<u32, Vec<MemberId>> {
            let ids = |group: &&[u64]| group.iter().copied().map(MemberId).collect();
            (0..).zip(all.iter().map(ids)).collect()
        };
        let named = |all: &[&[u64]], members| minority(&groups(all), members);
        assert_eq!(named(&[&[1, 2], &[3]], 3), [MemberId(3)]);
        assert_eq!(named(&[&[3], &[1, 2, 4], &[5]], 5), [MemberId(3), MemberId(5)]);
        assert_eq!(named(&[&[1], &[2]], 2), [NOBODY]);
        assert_eq!(named(&[&[1, 2], &[3]], 5), [NOBODY], "two of five are no majority");
    }
}
