//! Between openraft's messages and those of the peer protocol. What comes from the wire is checked
//! here: a missing part is named.

use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use portunus_proto::portunus::peer::v1 as wire;

use crate::raft::types::{
    Entry, EntryPayload, LogId, Peer, Proposal, RaftMembership, RaftSnapshotMeta, StoredMembership,
    TypeConfig, Vote, log_id,
};

/// A message that does not say what it must.
#[derive(Debug, thiserror::Error)]
#[error("the peer's message lacks its {0}")]
pub struct Incomplete(pub &'static str);

impl From<Incomplete> for tonic::Status {
    fn from(incomplete: Incomplete) -> Self {
        Self::invalid_argument(incomplete.to_string())
    }
}

pub fn vote_to_wire(vote: Vote) -> wire::Vote {
    let Vote { leader_id, committed } = vote;
    wire::Vote { term: leader_id.term, member: leader_id.voted_for, committed }
}

pub fn vote_from_wire(vote: Option<wire::Vote>) -> Result<Vote, Incomplete> {
    let wire::Vote { term, member, committed } = vote.ok_or(Incomplete("vote"))?;
    Ok(match committed {
        true => Vote::new_committed(term, member),
        false => Vote::new(term, member),
    })
}

pub fn log_id_to_wire(id: LogId) -> wire::LogId {
    wire::LogId { term: id.leader_id.term, index: id.index }
}

pub fn log_id_from_wire(id: wire::LogId) -> LogId {
    log_id(id.term, id.index)
}

pub fn vote_request_to_wire(request: VoteRequest<TypeConfig>) -> wire::VoteRequest {
    wire::VoteRequest {
        vote: Some(vote_to_wire(request.vote)),
        last: request.last_log_id.map(log_id_to_wire),
        transfer: request.leadership_transfer,
    }
}

pub fn vote_request_from_wire(
    request: wire::VoteRequest,
) -> Result<VoteRequest<TypeConfig>, Incomplete> {
    let last = request.last.map(log_id_from_wire);
    let mut vote = VoteRequest::new(vote_from_wire(request.vote)?, last);
    vote.leadership_transfer = request.transfer;
    Ok(vote)
}

pub fn vote_response_to_wire(response: VoteResponse<TypeConfig>) -> wire::VoteResponse {
    wire::VoteResponse {
        vote: Some(vote_to_wire(response.vote)),
        last: response.last_log_id.map(log_id_to_wire),
        granted: response.vote_granted,
    }
}

pub fn vote_response_from_wire(
    response: wire::VoteResponse,
) -> Result<VoteResponse<TypeConfig>, Incomplete> {
    let last = response.last.map(log_id_from_wire);
    Ok(VoteResponse::new(vote_from_wire(response.vote)?, last, response.granted))
}

pub fn append_to_wire(request: AppendEntriesRequest<TypeConfig>) -> wire::AppendRequest {
    wire::AppendRequest {
        vote: Some(vote_to_wire(request.vote)),
        prev: request.prev_log_id.map(log_id_to_wire),
        commit: request.leader_commit.map(log_id_to_wire),
        entries: request.entries.into_iter().map(entry_to_wire).collect(),
    }
}

pub fn append_from_wire(
    request: wire::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, Incomplete> {
    Ok(AppendEntriesRequest {
        vote: vote_from_wire(request.vote)?,
        prev_log_id: request.prev.map(log_id_from_wire),
        leader_commit: request.commit.map(log_id_from_wire),
        entries: request.entries.into_iter().map(entry_from_wire).collect::<Result<_, _>>()?,
    })
}

fn entry_to_wire(entry: Entry) -> wire::Entry {
    use wire::entry::Payload;
    let payload = match entry.payload {
        EntryPayload::Blank => None,
        EntryPayload::Normal(Proposal(bytes)) => Some(Payload::Effects(bytes)),
        EntryPayload::Membership(membership) => {
            Some(Payload::Membership(membership_to_wire(&StoredMembership::new(None, &membership))))
        }
    };
    wire::Entry { log_id: Some(log_id_to_wire(entry.log_id)), payload }
}

fn entry_from_wire(entry: wire::Entry) -> Result<Entry, Incomplete> {
    use wire::entry::Payload;
    let log_id = log_id_from_wire(entry.log_id.ok_or(Incomplete("entry's log id"))?);
    let payload = match entry.payload {
        None => EntryPayload::Blank,
        Some(Payload::Effects(bytes)) => EntryPayload::Normal(Proposal(bytes)),
        Some(Payload::Membership(membership)) => {
            EntryPayload::Membership(raft_membership_from_wire(membership)?)
        }
    };
    Ok(Entry { log_id, payload })
}

pub fn member_to_wire(id: u64, peer: &Peer) -> wire::Member {
    let Peer { name, peer_urls, client_urls, joining } = peer.clone();
    wire::Member { id, name, peer_urls, client_urls, joining }
}

pub fn member_from_wire(member: wire::Member) -> (u64, Peer) {
    let wire::Member { id, name, peer_urls, client_urls, joining } = member;
    (id, Peer { name, peer_urls, client_urls, joining })
}

pub fn membership_to_wire(stored: &StoredMembership) -> wire::Membership {
    let voters = stored.voters.iter();
    let members = stored.peers.iter().map(|(id, peer)| member_to_wire(*id, peer));
    wire::Membership {
        log_id: stored.log_id.map(log_id_to_wire),
        voters: voters
            .map(|set| wire::VoterSet { members: set.iter().copied().collect() })
            .collect(),
        members: members.collect(),
    }
}

pub fn membership_from_wire(membership: wire::Membership) -> Result<StoredMembership, Incomplete> {
    let log_id = membership.log_id.map(log_id_from_wire);
    Ok(StoredMembership::new(log_id, &raft_membership_from_wire(membership)?))
}

fn raft_membership_from_wire(membership: wire::Membership) -> Result<RaftMembership, Incomplete> {
    let voters = membership.voters.into_iter().map(|set| set.members.into_iter().collect());
    let peers = membership.members.into_iter().map(member_from_wire);
    let peers: std::collections::BTreeMap<u64, Peer> = peers.collect();
    RaftMembership::new(voters.collect(), peers).map_err(|_| Incomplete("voters' addresses"))
}

pub fn append_result_to_wire(result: StreamAppendResult<TypeConfig>) -> wire::AppendResponse {
    use wire::append_response::{Matched, Result as Wire};
    let result = match result {
        Ok(last) => Wire::Matched(Matched { last: last.map(log_id_to_wire) }),
        Err(StreamAppendError::Conflict(at)) => Wire::Conflict(log_id_to_wire(at)),
        Err(StreamAppendError::HigherVote(vote)) => Wire::HigherVote(vote_to_wire(vote)),
    };
    wire::AppendResponse { result: Some(result) }
}

pub fn append_result_from_wire(
    response: wire::AppendResponse,
) -> Result<StreamAppendResult<TypeConfig>, Incomplete> {
    use wire::append_response::Result as Wire;
    Ok(match response.result.ok_or(Incomplete("result"))? {
        Wire::Matched(matched) => Ok(matched.last.map(log_id_from_wire)),
        Wire::Conflict(at) => Err(StreamAppendError::Conflict(log_id_from_wire(at))),
        Wire::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote_from_wire(Some(vote))?)),
    })
}

pub fn transfer_to_wire(
    request: &TransferLeaderRequest<TypeConfig>,
) -> wire::TransferLeaderRequest {
    wire::TransferLeaderRequest {
        from: Some(vote_to_wire(*request.from_leader())),
        to: *request.to_node_id(),
        last: request.last_log_id().copied().map(log_id_to_wire),
    }
}

pub fn transfer_from_wire(
    request: wire::TransferLeaderRequest,
) -> Result<TransferLeaderRequest<TypeConfig>, Incomplete> {
    let last = request.last.map(log_id_from_wire);
    Ok(TransferLeaderRequest::new(vote_from_wire(request.from)?, request.to, last))
}

pub fn transfer_result_to_wire(
    result: TransferLeaderResponse<TypeConfig>,
) -> wire::TransferLeaderResponse {
    use wire::transfer_leader_response::{NotFlushed, Refused};
    let refused = result.err().map(|error| match error {
        TransferLeaderError::VoteChanged { actual, .. } => {
            Refused::VoteChanged(vote_to_wire(actual))
        }
        TransferLeaderError::LogNotFlushed { actual, .. } => {
            Refused::NotFlushed(NotFlushed { last: actual.map(log_id_to_wire) })
        }
    });
    wire::TransferLeaderResponse { refused }
}

/// `asked` is what the response answers: a refusal repeats what was expected.
pub fn transfer_result_from_wire(
    asked: &TransferLeaderRequest<TypeConfig>,
    response: wire::TransferLeaderResponse,
) -> Result<TransferLeaderResponse<TypeConfig>, Incomplete> {
    use wire::transfer_leader_response::Refused;
    Ok(match response.refused {
        None => Ok(()),
        Some(Refused::VoteChanged(actual)) => Err(TransferLeaderError::VoteChanged {
            expected: *asked.from_leader(),
            actual: vote_from_wire(Some(actual))?,
        }),
        Some(Refused::NotFlushed(not)) => Err(TransferLeaderError::LogNotFlushed {
            expected: asked.last_log_id().copied(),
            actual: not.last.map(log_id_from_wire),
        }),
    })
}

/// Version of the snapshot frames this server writes and reads.
pub const SNAPSHOT_VERSION: u32 = 1;

pub fn snapshot_header(vote: Vote, meta: &RaftSnapshotMeta) -> wire::SnapshotHeader {
    wire::SnapshotHeader {
        version: SNAPSHOT_VERSION,
        vote: Some(vote_to_wire(vote)),
        last: meta.last_log_id.map(log_id_to_wire),
        membership: Some(membership_to_wire(&StoredMembership::from(&meta.last_membership))),
    }
}

pub fn snapshot_meta(header: wire::SnapshotHeader) -> Result<(Vote, RaftSnapshotMeta), Incomplete> {
    if header.version != SNAPSHOT_VERSION {
        return Err(Incomplete("snapshot version: update this member"));
    }
    let membership = membership_from_wire(header.membership.ok_or(Incomplete("membership"))?)?;
    let meta = RaftSnapshotMeta {
        last_log_id: header.last.map(log_id_from_wire),
        last_membership: (&membership).into(),
    };
    Ok((vote_from_wire(header.vote)?, meta))
}
