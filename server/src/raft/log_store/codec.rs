//! Entries, votes and memberships as bytes in the log. A proposal's bytes are kept as they are,
//! so that memory and log share them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use bytes::{Buf, BufMut, Bytes};
use openraft::EntryPayload;
use openraft::entry::RaftEntry;
use prost::encoding::{decode_varint, encode_varint};

use crate::raft::types::{self, Entry, LogId, Peer, Proposal, RaftMembership, Vote};
use crate::wal;

/// First byte of an encoded membership and vote.
const FORMAT: u8 = 1;

/// What a log entry holds, as the log's tag.
mod tag {
    pub const BLANK: u8 = 0;
    pub const PROPOSAL: u8 = 1;
    pub const MEMBERSHIP: u8 = 2;
}

pub fn position(log_id: LogId) -> wal::Position {
    wal::Position { term: log_id.leader_id.term, index: log_id.index }
}

pub fn log_id(position: wal::Position) -> LogId {
    types::log_id(position.term, position.index)
}

pub fn encode_entry(entry: Entry) -> wal::Entry {
    let wal::Position { term, index } = position(entry.log_id());
    let (tag, payload) = match entry.payload {
        EntryPayload::Blank => (tag::BLANK, Bytes::new()),
        EntryPayload::Normal(Proposal(bytes)) => (tag::PROPOSAL, bytes),
        EntryPayload::Membership(membership) => (tag::MEMBERSHIP, encode_membership(&membership)),
    };
    wal::Entry { term, index, tag, payload }
}

pub fn decode_entry(entry: wal::Entry) -> io::Result<Entry> {
    let log_id = log_id(entry.position());
    let payload = match entry.tag {
        tag::BLANK => EntryPayload::Blank,
        tag::PROPOSAL => EntryPayload::Normal(Proposal(entry.payload)),
        tag::MEMBERSHIP => {
            let membership = decode_membership(entry.payload);
            EntryPayload::Membership(membership.ok_or_else(|| unknown("membership"))?)
        }
        _ => return Err(unknown("kind of entry")),
    };
    Ok(Entry { log_id, payload })
}

pub fn encode_vote(vote: &Vote) -> Bytes {
    let mut out = Vec::with_capacity(18);
    out.put_u8(FORMAT);
    out.put_u64_le(vote.leader_id.term);
    out.put_u64_le(vote.leader_id.voted_for);
    out.put_u8(u8::from(vote.committed));
    out.into()
}

pub fn decode_vote(mut bytes: Bytes) -> io::Result<Vote> {
    if bytes.len() != 18 || bytes.get_u8() != FORMAT {
        return Err(unknown("vote"));
    }
    let (term, node) = (bytes.get_u64_le(), bytes.get_u64_le());
    let committed = bytes.get_u8() == 1;
    Ok(if committed { Vote::new_committed(term, node) } else { Vote::new(term, node) })
}

fn encode_membership(membership: &RaftMembership) -> Bytes {
    let mut out = vec![FORMAT];
    let configs = membership.get_joint_config();
    encode_varint(configs.len() as u64, &mut out);
    for config in configs {
        encode_varint(config.len() as u64, &mut out);
        config.iter().for_each(|id| out.put_u64_le(*id));
    }
    encode_varint(membership.nodes().count() as u64, &mut out);
    for (id, peer) in membership.nodes() {
        out.put_u64_le(*id);
        put_strings(&mut out, std::slice::from_ref(&peer.name));
        put_strings(&mut out, &peer.peer_urls);
        put_strings(&mut out, &peer.client_urls);
    }
    let joining: Vec<_> = membership.nodes().filter(|(_, peer)| peer.joining).collect();
    encode_varint(joining.len() as u64, &mut out);
    joining.iter().for_each(|(id, _)| out.put_u64_le(**id));
    out.into()
}

fn decode_membership(mut input: Bytes) -> Option<RaftMembership> {
    if take(&mut input, 1)?[0] != FORMAT {
        return None;
    }
    let mut configs = Vec::new();
    for _ in 0..number(&mut input)? {
        let ids = (0..number(&mut input)?).map(|_| id(&mut input));
        configs.push(ids.collect::<Option<BTreeSet<u64>>>()?);
    }
    let mut nodes = BTreeMap::new();
    for _ in 0..number(&mut input)? {
        let id = id(&mut input)?;
        let name = strings(&mut input)?.pop()?;
        let (peer_urls, client_urls) = (strings(&mut input)?, strings(&mut input)?);
        nodes.insert(id, Peer { name, peer_urls, client_urls, joining: false });
    }
    for _ in 0..number(&mut input)? {
        nodes.get_mut(&id(&mut input)?)?.joining = true;
    }
    let membership = RaftMembership::new(configs, nodes).ok()?;
    input.is_empty().then_some(membership)
}

fn put_strings(out: &mut Vec<u8>, strings: &[String]) {
    encode_varint(strings.len() as u64, out);
    for string in strings {
        encode_varint(string.len() as u64, out);
        out.extend_from_slice(string.as_bytes());
    }
}

fn strings(input: &mut Bytes) -> Option<Vec<String>> {
    (0..number(input)?).map(|_| string(input)).collect()
}

fn string(input: &mut Bytes) -> Option<String> {
    let bytes = number(input)?;
    String::from_utf8(take(input, usize::try_from(bytes).ok()?)?.into()).ok()
}

fn number(input: &mut Bytes) -> Option<u64> {
    decode_varint(input).ok()
}

fn id(input: &mut Bytes) -> Option<u64> {
    Some(take(input, 8)?.get_u64_le())
}

fn take(input: &mut Bytes, bytes: usize) -> Option<Bytes> {
    (input.len() >= bytes).then(|| input.split_to(bytes))
}

/// The bytes passed the log's checksums, so a program that knows more must have written them.
fn unknown(what: &str) -> io::Error {
    let text = format!("the log holds a {what} this program does not know: upgrade the member");
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str) -> Peer {
        Peer {
            name: name.into(),
            peer_urls: vec![format!("http://{name}:2380"), format!("http://{name}:2382")],
            client_urls: vec![],
            joining: name == "learner",
        }
    }

    fn membership() -> RaftMembership {
        let nodes = BTreeMap::from([(1, peer("one")), (2, peer("")), (u64::MAX, peer("learner"))]);
        RaftMembership::new(vec![[1].into(), [1, 2].into()], nodes).unwrap()
    }

    #[test]
    fn every_kind_of_entry_comes_back() {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::new())),
            EntryPayload::Normal(Proposal(Bytes::from_static(b"effects"))),
            EntryPayload::Membership(membership()),
            EntryPayload::Membership(RaftMembership::default()),
        ];
        for payload in payloads {
            let entry = Entry { log_id: types::log_id(3, 9), payload };
            assert_eq!(decode_entry(encode_entry(entry.clone())).unwrap(), entry);
        }
    }

    #[test]
    fn a_proposal_is_not_copied() {
        let bytes = Bytes::from(vec![1; 100]);
        let payload = EntryPayload::Normal(Proposal(bytes.clone()));
        let encoded = encode_entry(Entry { log_id: types::log_id(1, 0), payload });
        assert_eq!(encoded.payload.as_ptr(), bytes.as_ptr());
        let EntryPayload::Normal(Proposal(back)) = decode_entry(encoded).unwrap().payload else {
            panic!("another kind")
        };
        assert_eq!(back.as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn votes_come_back() {
        for vote in [Vote::new(7, 0), Vote::new_committed(u64::MAX, 3)] {
            assert_eq!(decode_vote(encode_vote(&vote)).unwrap(), vote);
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let whole = encode_membership(&membership());
        for cut in 0..whole.len() {
            assert!(decode_membership(whole.slice(..cut)).is_none(), "cut at {cut}");
        }
        let newer = wal::Entry { term: 1, index: 1, tag: 9, payload: Bytes::new() };
        assert!(decode_entry(newer).unwrap_err().to_string().contains("upgrade"));
        assert!(decode_vote(Bytes::from_static(b"?")).is_err());
    }
}
