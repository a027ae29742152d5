//! The hash of another member's keys, asked over the forwarding stream. It is the member's own
//! word and no decision, so it neither passes a sequencer nor waits for one.
//!
//! A question is a tag and the revision; an answer is empty where there is none, or the hash, the
//! compaction mark, the hashed revision and the newest one. All numbers are big-endian.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::handle::Node;
use super::hash::HashKv;
use crate::types::MemberId;

/// Beyond all tags of [`super::wire`].
const QUESTION: u8 = 0xf0;
const QUESTION_BYTES: usize = 1 + 8;
const ANSWER_BYTES: usize = 4 + 3 * 8;
/// A hash reads everything that a member holds: gigabytes take minutes on a slow disk.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a member says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerHash {
    pub member: MemberId,
    pub hash: HashKv,
    /// Its newest revision.
    pub head: i64,
}

impl Node {
    /// The hash of each other member at `revision`, from those that have it and answer.
    pub(super) async fn peer_hashes(&self, revision: i64) -> Vec<PeerHash> {
        let me = self.shared.identity.member.0;
        let members = self.shared.group().membership().peers;
        let asked = members.keys().filter(|id| **id != me);
        let asked = asked.map(|id| self.peer_hash(MemberId(*id), revision));
        futures::future::join_all(asked).await.into_iter().flatten().collect()
    }

    pub(super) async fn peer_hash(&self, member: MemberId, revision: i64) -> Option<PeerHash> {
        let mut question = BytesMut::with_capacity(QUESTION_BYTES);
        question.put_u8(QUESTION);
        question.put_i64(revision);
        let asked = self.shared.group().forward(member.0, question.freeze());
        let answer = tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()?;
        read(member, answer)
    }

    /// Answers such a question.
    pub(super) async fn tell_hash(&self, revision: i64) -> Bytes {
        let mut answer = BytesMut::with_capacity(ANSWER_BYTES);
        if let Ok(hash) = self.hash_kv(revision).await {
            answer.put_u32(hash.hash);
            answer.put_i64(hash.compact_revision);
            answer.put_i64(hash.hash_revision);
            answer.put_i64(self.shared.applied.with(|version| version.state.revision));
        }
        answer.freeze()
    }
}

/// The revision that is asked for; `None` when it is another question.
pub fn asked_revision(mut question: &[u8]) -> Option<i64> {
    let ours = question.len() == QUESTION_BYTES && question.get_u8() == QUESTION;
    ours.then(|| question.get_i64())
}

fn read(member: MemberId, mut answer: Bytes) -> Option<PeerHash> {
    if answer.len() != ANSWER_BYTES {
        return None;
    }
    let (hash, compact_revision) = (answer.get_u32(), answer.get_i64());
    let hash = HashKv { hash, compact_revision, hash_revision: answer.get_i64() };
    Some(PeerHash { member, hash, head: answer.get_i64() })
}
