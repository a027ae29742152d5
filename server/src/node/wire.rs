//! Questions and answers on their way between members, in the forwarding stream. Members of one
//! cluster run programs that know each other's forms (see the feature level); an unknown tag is an
//! error, never skipped.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::portunus::record::v1 as record;
use prost::Message;

use super::answer::{Bounce, Delivery, Executed};
use super::ask::{Ask, KeepAlive, Said, TimeToLive};
use super::error::Failure;
use super::member_rules::{MemberAsk, MemberRefusal};
use super::wire_auth;
use super::wire_refusal::{decode_refusal, encode_refusal};
use crate::decide::{Reply, Request};
use crate::effect::{self, Effect};
use crate::types::LeaseId;

/// A peer's bytes are not what this program knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a forwarded message cannot be read: {0}")]
pub struct WireError(pub String);

impl From<prost::DecodeError> for WireError {
    fn from(error: prost::DecodeError) -> Self {
        Self(error.to_string())
    }
}

/// What came back from the leader.
pub enum Delivered {
    Executed(Executed),
    NotExecuted(Failure),
    Unknown(Failure),
}

mod ask_tag {
    pub const LOCAL: u8 = 0;
    pub const PUT: u8 = 1;
    pub const DELETE_RANGE: u8 = 2;
    pub const TXN: u8 = 3;
    pub const COMPACT: u8 = 4;
    pub const LEASE_GRANT: u8 = 5;
    pub const LEASE_REVOKE: u8 = 6;
    pub const ALARM: u8 = 7;
    pub const EFFECTS: u8 = 8;
    pub const KEEP_ALIVE: u8 = 9;
    pub const TIME_TO_LIVE: u8 = 10;
    pub const LEASE_EXPIRE: u8 = 11;
    pub const DEPLOY: u8 = 12;
    pub const UNDEPLOY: u8 = 13;
    pub const ROLLBACK: u8 = 14;
    pub const SET_MODE: u8 = 15;
    pub const CALL: u8 = 16;
    pub const ADVANCE: u8 = 17;
    pub const SET_TRIGGER: u8 = 18;
    pub const LOCK: u8 = 19;
    pub const QUEUE: u8 = 20;
    pub const AUTH: u8 = 21;
    pub const MEMBER_ADD: u8 = 22;
    pub const MEMBER_REMOVE: u8 = 23;
    pub const MEMBER_UPDATE: u8 = 24;
    pub const MEMBER_PROMOTE: u8 = 25;
    // 32 is in front of a question on somebody's behalf, see `wire_auth`.
}

pub fn encode_ask(ask: &Ask) -> Bytes {
    let mut out = BytesMut::new();
    match ask {
        Ask::Decide(request) => encode_request(request, &mut out),
        // Asked and answered on the leader only; a member that got it would say that it does not
        // know the question.
        Ask::Handle(_) => out.put_u8(ask_tag::LOCAL),
        Ask::Member(ask) => encode_member_ask(ask, &mut out),
        Ask::KeepAlive(id) => {
            out.put_u8(ask_tag::KEEP_ALIVE);
            out.put_i64(id.0);
        }
        Ask::TimeToLive { id, keys } => {
            out.put_u8(ask_tag::TIME_TO_LIVE);
            out.put_i64(id.0);
            out.put_u8(u8::from(*keys));
        }
    }
    out.freeze()
}

fn encode_member_ask(ask: &MemberAsk, out: &mut BytesMut) {
    match ask.clone() {
        MemberAsk::Add { peer_urls, learner } => {
            put(out, ask_tag::MEMBER_ADD, &pb::MemberAddRequest { peer_urls, is_learner: learner });
        }
        MemberAsk::Remove(id) => {
            put(out, ask_tag::MEMBER_REMOVE, &pb::MemberRemoveRequest { id });
        }
        MemberAsk::Update { id, peer_urls } => {
            put(out, ask_tag::MEMBER_UPDATE, &pb::MemberUpdateRequest { id, peer_urls });
        }
        MemberAsk::Promote(id) => {
            put(out, ask_tag::MEMBER_PROMOTE, &pb::MemberPromoteRequest { id });
        }
    }
}

fn decode_member_ask(tag: u8, bytes: Bytes) -> Result<MemberAsk, WireError> {
    Ok(match tag {
        ask_tag::MEMBER_ADD => {
            let pb::MemberAddRequest { peer_urls, is_learner } = Message::decode(bytes)?;
            MemberAsk::Add { peer_urls, learner: is_learner }
        }
        ask_tag::MEMBER_REMOVE => MemberAsk::Remove(pb::MemberRemoveRequest::decode(bytes)?.id),
        ask_tag::MEMBER_UPDATE => {
            let pb::MemberUpdateRequest { id, peer_urls } = Message::decode(bytes)?;
            MemberAsk::Update { id, peer_urls }
        }
        _ => MemberAsk::Promote(pb::MemberPromoteRequest::decode(bytes)?.id),
    })
}

fn encode_request(request: &Request, out: &mut BytesMut) {
    match request {
        Request::Put(message) => put(out, ask_tag::PUT, message),
        Request::DeleteRange(message) => put(out, ask_tag::DELETE_RANGE, message),
        Request::Txn(message) => put(out, ask_tag::TXN, message),
        Request::Compact(message) => put(out, ask_tag::COMPACT, message),
        Request::LeaseGrant(message) => put(out, ask_tag::LEASE_GRANT, message),
        Request::LeaseRevoke(message) => put(out, ask_tag::LEASE_REVOKE, message),
        Request::Alarm(message) => put(out, ask_tag::ALARM, message),
        // The rest ask for one effect each, and effects have an encoding.
        Request::LeaseCheckpoint { id, remaining } => {
            put_effect(out, &Effect::LeaseCheckpoint { id: *id, remaining: *remaining });
        }
        Request::LeaseExpire(ids) => {
            out.put_u8(ask_tag::LEASE_EXPIRE);
            ids.iter().for_each(|id| out.put_i64(id.0));
        }
        Request::Deploy(ask) => put(out, ask_tag::DEPLOY, &record::Deploy::from(ask)),
        Request::Undeploy(ask) => put(out, ask_tag::UNDEPLOY, &record::Undeploy::from(ask)),
        Request::Rollback(ask) => put(out, ask_tag::ROLLBACK, &record::Rollback::from(ask)),
        Request::SetMode(ask) => put(out, ask_tag::SET_MODE, &record::SetMode::from(ask)),
        Request::Call(ask) => put(out, ask_tag::CALL, &record::RecipeCall::from(ask)),
        Request::Advance(ask) => put(out, ask_tag::ADVANCE, &record::Advance::from(ask)),
        Request::SetTrigger(ask) => put(out, ask_tag::SET_TRIGGER, &record::SetTrigger::from(ask)),
        Request::Lock(ask) => put(out, ask_tag::LOCK, ask),
        Request::Queue(ask) => put(out, ask_tag::QUEUE, ask),
        Request::Auth(ask) => {
            out.put_u8(ask_tag::AUTH);
            wire_auth::encode_ask(ask, out);
        }
        Request::Publish(own) => put_effect(out, &Effect::Publish(own.clone())),
        Request::RaiseFeatureLevel(level) => put_effect(out, &Effect::FeatureLevel(*level)),
    }
}

pub fn decode_ask(mut bytes: Bytes) -> Result<Ask, WireError> {
    let request = match byte(&mut bytes)? {
        ask_tag::PUT => Request::Put(Message::decode(bytes)?),
        ask_tag::DELETE_RANGE => Request::DeleteRange(Message::decode(bytes)?),
        ask_tag::TXN => Request::Txn(Message::decode(bytes)?),
        ask_tag::COMPACT => Request::Compact(Message::decode(bytes)?),
        ask_tag::LEASE_GRANT => Request::LeaseGrant(Message::decode(bytes)?),
        ask_tag::LEASE_REVOKE => Request::LeaseRevoke(Message::decode(bytes)?),
        ask_tag::ALARM => Request::Alarm(Message::decode(bytes)?),
        ask_tag::LEASE_EXPIRE => Request::LeaseExpire(lease_ids(bytes)?),
        ask_tag::DEPLOY => Request::Deploy(record::Deploy::decode(bytes)?.try_into()?),
        ask_tag::UNDEPLOY => Request::Undeploy(record::Undeploy::decode(bytes)?.into()),
        ask_tag::ROLLBACK => Request::Rollback(record::Rollback::decode(bytes)?.into()),
        ask_tag::SET_MODE => Request::SetMode(record::SetMode::decode(bytes)?.try_into()?),
        ask_tag::CALL => Request::Call(record::RecipeCall::decode(bytes)?.into()),
        ask_tag::ADVANCE => Request::Advance(record::Advance::decode(bytes)?.into()),
        ask_tag::SET_TRIGGER => Request::SetTrigger(record::SetTrigger::decode(bytes)?.try_into()?),
        ask_tag::LOCK => Request::Lock(Message::decode(bytes)?),
        ask_tag::QUEUE => Request::Queue(Message::decode(bytes)?),
        ask_tag::AUTH => Request::Auth(wire_auth::decode_ask(bytes)?),
        ask_tag::EFFECTS => request_of(effect::decode_effects(&bytes))?,
        tag @ ask_tag::MEMBER_ADD..=ask_tag::MEMBER_PROMOTE => {
            return Ok(Ask::Member(decode_member_ask(tag, bytes)?));
        }
        ask_tag::KEEP_ALIVE => return Ok(Ask::KeepAlive(LeaseId(int(&mut bytes)?))),
        ask_tag::TIME_TO_LIVE => {
            let id = LeaseId(int(&mut bytes)?);
            return Ok(Ask::TimeToLive { id, keys: byte(&mut bytes)? != 0 });
        }
        other => return Err(WireError(format!("question {other} is not known"))),
    };
    Ok(Ask::Decide(request))
}

fn request_of(effects: Result<Vec<Effect>, effect::CodecError>) -> Result<Request, WireError> {
    let mut effects = effects?;
    Ok(match (effects.pop(), effects.is_empty()) {
        (Some(Effect::LeaseCheckpoint { id, remaining }), true) => {
            Request::LeaseCheckpoint { id, remaining }
        }
        (Some(Effect::Publish(own)), true) => Request::Publish(own),
        (Some(Effect::FeatureLevel(level)), true) => Request::RaiseFeatureLevel(level),
        (other, _) => return Err(WireError(format!("no question asks for {other:?}"))),
    })
}

mod reply_tag {
    pub const LOCAL: u8 = 0;
    pub const PUT: u8 = 1;
    pub const DELETE_RANGE: u8 = 2;
    pub const TXN: u8 = 3;
    pub const COMPACT: u8 = 4;
    pub const LEASE_GRANT: u8 = 5;
    pub const LEASE_REVOKE: u8 = 6;
    pub const ALARM: u8 = 7;
    pub const DONE: u8 = 8;
    pub const KEEP_ALIVE: u8 = 9;
    pub const TIME_TO_LIVE: u8 = 10;
    pub const EXPIRED: u8 = 11;
    pub const CALLED: u8 = 12;
    pub const LOCK: u8 = 13;
    pub const QUEUE: u8 = 14;
    pub const MEMBER: u8 = 15;
    pub const REFUSED: u8 = 64;
    pub const NOT_EXECUTED: u8 = 65;
    pub const UNKNOWN: u8 = 66;
}

pub fn encode_delivery(delivery: &Delivery) -> Bytes {
    let mut out = BytesMut::new();
    match delivery {
        Ok(Executed { result, index }) => {
            match result {
                Ok(said) => encode_said(said, *index, &mut out),
                Err(refusal) => {
                    out.put_u8(reply_tag::REFUSED);
                    out.put_u64(*index);
                    encode_refusal(refusal, &mut out);
                }
            };
        }
        Err(Bounce::NotExecuted(_, failure)) => {
            out.put_u8(reply_tag::NOT_EXECUTED);
            out.put_u8(failure.code());
        }
        Err(Bounce::Unknown(failure)) => {
            out.put_u8(reply_tag::UNKNOWN);
            out.put_u8(failure.code());
        }
    }
    out.freeze()
}

fn encode_said(said: &Said, index: u64, out: &mut BytesMut) {
    fn head(out: &mut BytesMut, tag: u8, index: u64) -> &mut BytesMut {
        out.put_u8(tag);
        out.put_u64(index);
        out
    }
    match said {
        Said::Reply(Reply::Put(message)) => append(head(out, reply_tag::PUT, index), message),
        Said::Reply(Reply::DeleteRange(message)) => {
            append(head(out, reply_tag::DELETE_RANGE, index), message);
        }
        Said::Reply(Reply::Txn(message)) => append(head(out, reply_tag::TXN, index), message),
        Said::Reply(Reply::Compact(message)) => {
            append(head(out, reply_tag::COMPACT, index), message)
        }
        Said::Reply(Reply::LeaseGrant(message)) => {
            append(head(out, reply_tag::LEASE_GRANT, index), message)
        }
        Said::Reply(Reply::LeaseRevoke(message)) => {
            append(head(out, reply_tag::LEASE_REVOKE, index), message);
        }
        Said::Reply(Reply::Alarm(message)) => append(head(out, reply_tag::ALARM, index), message),
        Said::Reply(Reply::Done { revision }) => {
            head(out, reply_tag::DONE, index).put_i64(*revision)
        }
        Said::Reply(Reply::Called { revision, payload }) => {
            let called = record::Called { revision: *revision, payload: payload.clone() };
            append(head(out, reply_tag::CALLED, index), &called);
        }
        Said::Reply(Reply::Lock(said)) => append(head(out, reply_tag::LOCK, index), said),
        Said::Reply(Reply::Queue(said)) => append(head(out, reply_tag::QUEUE, index), said),
        Said::Reply(Reply::LeaseExpire(ids)) => {
            let out = head(out, reply_tag::EXPIRED, index);
            ids.iter().for_each(|id| out.put_i64(id.0));
        }
        Said::Handled(_) => drop(head(out, reply_tag::LOCAL, index)),
        Said::Member(said) => {
            let out = head(out, reply_tag::MEMBER, index);
            out.put_u8(said.err().map_or(0, MemberRefusal::code));
            out.put_u64(said.unwrap_or(0));
        }
        Said::KeepAlive(KeepAlive { ttl, revision }) => {
            let out = head(out, reply_tag::KEEP_ALIVE, index);
            out.put_i64(*ttl);
            out.put_i64(*revision);
        }
        Said::TimeToLive(TimeToLive { ttl, granted_ttl, keys }) => {
            // etcd's message for the same says all of it.
            let message = pb::LeaseTimeToLiveResponse {
                ttl: *ttl,
                granted_ttl: *granted_ttl,
                keys: keys.clone(),
                ..Default::default()
            };
            append(head(out, reply_tag::TIME_TO_LIVE, index), &message);
        }
    }
}

pub fn decode_delivery(mut bytes: Bytes) -> Result<Delivered, WireError> {
    let tag = byte(&mut bytes)?;
    match tag {
        reply_tag::NOT_EXECUTED => return Ok(Delivered::NotExecuted(failure(&mut bytes)?)),
        reply_tag::UNKNOWN => return Ok(Delivered::Unknown(failure(&mut bytes)?)),
        _ => {}
    }
    let index = int(&mut bytes)? as u64;
    let result = match tag {
        reply_tag::REFUSED => Err(decode_refusal(bytes)?),
        _ => Ok(decode_said(tag, bytes)?),
    };
    Ok(Delivered::Executed(Executed { result, index }))
}

fn decode_said(tag: u8, mut bytes: Bytes) -> Result<Said, WireError> {
    Ok(Said::Reply(match tag {
        reply_tag::PUT => Reply::Put(Message::decode(bytes)?),
        reply_tag::DELETE_RANGE => Reply::DeleteRange(Message::decode(bytes)?),
        reply_tag::TXN => Reply::Txn(Message::decode(bytes)?),
        reply_tag::COMPACT => Reply::Compact(Message::decode(bytes)?),
        reply_tag::LEASE_GRANT => Reply::LeaseGrant(Message::decode(bytes)?),
        reply_tag::LEASE_REVOKE => Reply::LeaseRevoke(Message::decode(bytes)?),
        reply_tag::ALARM => Reply::Alarm(Message::decode(bytes)?),
        reply_tag::DONE => Reply::Done { revision: int(&mut bytes)? },
        reply_tag::CALLED => {
            let record::Called { revision, payload } = Message::decode(bytes)?;
            Reply::Called { revision, payload }
        }
        reply_tag::LOCK => Reply::Lock(Message::decode(bytes)?),
        reply_tag::QUEUE => Reply::Queue(Message::decode(bytes)?),
        reply_tag::EXPIRED => Reply::LeaseExpire(lease_ids(bytes)?),
        reply_tag::MEMBER => {
            let (code, id) = (byte(&mut bytes)?, int(&mut bytes)? as u64);
            let unknown = || WireError(format!("refusal {code} of a member is not known"));
            return Ok(Said::Member(match code {
                0 => Ok(id),
                code => Err(MemberRefusal::from_code(code).ok_or_else(unknown)?),
            }));
        }
        reply_tag::KEEP_ALIVE => {
            let (ttl, revision) = (int(&mut bytes)?, int(&mut bytes)?);
            return Ok(Said::KeepAlive(KeepAlive { ttl, revision }));
        }
        reply_tag::TIME_TO_LIVE => {
            let left = pb::LeaseTimeToLiveResponse::decode(bytes)?;
            let (ttl, granted_ttl, keys) = (left.ttl, left.granted_ttl, left.keys);
            return Ok(Said::TimeToLive(TimeToLive { ttl, granted_ttl, keys }));
        }
        other => return Err(WireError(format!("answer {other} is not known"))),
    }))
}

fn put(out: &mut BytesMut, tag: u8, message: &impl Message) {
    out.put_u8(tag);
    append(out, message);
}

fn append(out: &mut BytesMut, message: &impl Message) {
    out.reserve(message.encoded_len());
    message.encode_raw(out);
}

fn put_effect(out: &mut BytesMut, effect: &Effect) {
    let mut bytes = Vec::new();
    effect::encode_effect(effect, &mut bytes);
    out.put_u8(ask_tag::EFFECTS);
    out.put_slice(&bytes);
}

fn byte(bytes: &mut Bytes) -> Result<u8, WireError> {
    bytes.try_get_u8().map_err(|_| WireError("it ends early".into()))
}

fn int(bytes: &mut Bytes) -> Result<i64, WireError> {
    bytes.try_get_i64().map_err(|_| WireError("it ends early".into()))
}

fn lease_ids(mut bytes: Bytes) -> Result<Vec<LeaseId>, WireError> {
    let mut ids = Vec::new();
    while bytes.has_remaining() {
        ids.push(LeaseId(int(&mut bytes)?));
    }
    Ok(ids)
}

fn failure(bytes: &mut Bytes) -> Result<Failure, WireError> {
    let code = byte(bytes)?;
    Failure::from_code(code).ok_or_else(|| WireError(format!("failure {code} is not known")))
}

#[cfg(test)]
#[path = "wire_test.rs"]
mod tests;
