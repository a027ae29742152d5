//! The keys in the messages of etcd's KV, Lease, Lock and Election services.

use portunus_proto::etcdserverpb::request_op::Request;
use portunus_proto::etcdserverpb::response_op::Response;
use portunus_proto::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, LeaseTimeToLiveResponse, PutRequest, PutResponse,
    RangeRequest, RangeResponse, RangeStreamResponse, TxnRequest, TxnResponse,
};
use portunus_proto::v3electionpb::{
    CampaignRequest, CampaignResponse, LeaderKey, LeaderRequest, LeaderResponse, ProclaimRequest,
    ResignRequest,
};
use portunus_proto::v3lockpb::{LockRequest, LockResponse, UnlockRequest};
use prost::Message;
use tonic::Status;

use super::space::Namespace;
use super::table::{Enter, Leave};

impl Enter for RangeRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        space.enter_key(&mut self.key)?;
        space.enter_end(&mut self.range_end);
        Ok(())
    }
}

impl Enter for PutRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        space.enter_key(&mut self.key)
    }
}

impl Enter for DeleteRangeRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        space.enter_key(&mut self.key)?;
        space.enter_end(&mut self.range_end);
        Ok(())
    }
}

impl Enter for TxnRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        for compare in &mut self.compare {
            space.enter_key(&mut compare.key)?;
            space.enter_end(&mut compare.range_end);
        }
        for step in self.success.iter_mut().chain(&mut self.failure) {
            match &mut step.request {
                Some(Request::RequestRange(range)) => range.enter(space)?,
                Some(Request::RequestPut(put)) => put.enter(space)?,
                Some(Request::RequestDeleteRange(delete)) => delete.enter(space)?,
                Some(Request::RequestTxn(txn)) => txn.enter(space)?,
                None => {}
            }
        }
        Ok(())
    }
}

impl Leave for RangeResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.kvs.iter_mut().try_for_each(|kv| space.leave_kv(kv))
    }
}

impl Leave for RangeStreamResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.range_response.as_mut().map_or(Ok(()), |part| part.leave(space))
    }
}

impl Leave for PutResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        space.leave_kv(&mut self.prev_kv)
    }
}

impl Leave for DeleteRangeResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.prev_kvs.iter_mut().try_for_each(|kv| space.leave_kv(kv))
    }
}

impl Leave for TxnResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.responses.iter_mut().try_for_each(|step| match &mut step.response {
            Some(Response::ResponseRange(range)) => range.leave(space),
            Some(Response::ResponsePut(put)) => put.leave(space),
            Some(Response::ResponseDeleteRange(delete)) => delete.leave(space),
            Some(Response::ResponseTxn(txn)) => txn.leave(space),
            None => Ok(()),
        })
    }
}

impl Leave for LeaseTimeToLiveResponse {
    /// A lease may hold keys of others, too.
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.keys.retain(|key| space.holds(key));
        self.keys.iter_mut().try_for_each(|key| space.leave_any(key))
    }
}

impl Enter for LockRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.name = space.enter(&self.name);
        Ok(())
    }
}

impl Leave for LockResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        space.leave_any(&mut self.key)
    }
}

impl Enter for UnlockRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        space.enter_key(&mut self.key)
    }
}

impl Enter for CampaignRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.name = space.enter(&self.name);
        Ok(())
    }
}

impl Leave for CampaignResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        let Some(leader) = &mut self.leader else { return Ok(()) };
        space.leave_any(&mut leader.name)?;
        space.leave_any(&mut leader.key)
    }
}

impl Enter for LeaderRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        self.name = space.enter(&self.name);
        Ok(())
    }
}

impl Leave for LeaderResponse {
    fn leave(&mut self, space: &Namespace) -> Result<(), Status> {
        self.kv.as_mut().map_or(Ok(()), |kv| space.leave_any(&mut kv.key))
    }
}

/// A place that was given out by Campaign.
fn enter_leader(leader: &mut Option<LeaderKey>, space: &Namespace) {
    if let Some(leader) = leader {
        leader.name = space.enter(&leader.name);
        leader.key = space.enter(&leader.key);
    }
}

impl Enter for ResignRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        enter_leader(&mut self.leader, space);
        Ok(())
    }
}

impl Enter for ProclaimRequest {
    fn enter(&mut self, space: &Namespace) -> Result<(), Status> {
        enter_leader(&mut self.leader, space);
        Ok(())
    }
}

/// Reads a message, changes it, and writes it again.
pub fn through<M: Message + Default>(
    message: bytes::Bytes,
    change: impl FnOnce(&mut M) -> Result<(), Status>,
) -> Result<bytes::Bytes, Status> {
    let mut message = M::decode(message).map_err(super::space::unreadable)?;
    change(&mut message)?;
    Ok(message.encode_to_vec().into())
}

#[cfg(test)]
mod tests {
    use portunus_proto::etcdserverpb::{Compare, RequestOp};

    use super::*;

    #[test]
    fn every_key_of_a_nested_transaction_goes_under_the_prefix() {
        let space = Namespace::new("p/").expect("a prefix");
        let step = |request| RequestOp { request: Some(request) };
        let put = |key: &'static str| {
            step(Request::RequestPut(PutRequest { key: key.into(), ..Default::default() }))
        };
        let txn = |key: &'static str, end: &'static str, success, failure| TxnRequest {
            compare: vec![Compare { key: key.into(), range_end: end.into(), ..Default::default() }],
            success,
            failure,
        };
        let inner = |key, end, put| step(Request::RequestTxn(txn(key, end, vec![put], vec![])));
        let mut asked = txn("a", "", vec![put("b")], vec![inner("c", "\0", put("d"))]);
        asked.enter(&space).expect("no key is empty");
        let expected = txn("p/a", "", vec![put("p/b")], vec![inner("p/c", "p0", put("p/d"))]);
        assert_eq!(asked, expected);
        let mut empty = txn("a", "", vec![put("")], vec![]);
        empty.enter(&space).expect_err("an empty key");
    }

    #[test]
    fn keys_of_others_under_a_lease_are_not_told() {
        let space = Namespace::new("p/").expect("a prefix");
        let keys = |keys: &[&'static str]| keys.iter().map(|key| (*key).into()).collect();
        let mut answer =
            LeaseTimeToLiveResponse { keys: keys(&["p/a", "q/b", "p"]), ..Default::default() };
        answer.leave(&space).expect("under it");
        assert_eq!(answer.keys, ["a"]);
    }
}
