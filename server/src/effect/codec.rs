//! The versioned encoding of an entry. A member that meets an effect it does not know must stop,
//! so an unknown tag is an error here and never skipped.
//!
//! Layout: version byte, own chain id, predecessor's, digest, then effects. Each effect is a tag
//! byte and its fields; numbers are varints, strings and bytes are length-prefixed. What plugins
//! are is a length-prefixed message of `portunus.record.v1`, which can grow.

use bytes::{Buf, Bytes};
use portunus_proto::authpb;
use portunus_proto::portunus::record::v1 as pb;
use prost::Message;
use prost::encoding::{decode_varint, encode_varint};
use triomphe::Arc;

use super::{Alarm, AlarmKind, Attributes, Author, ChainId, Component, Effect, Entry};
use crate::types::{Item, LeaseId, MemberId, Revision};

/// The first byte of every encoded entry.
pub const FORMAT: u8 = 1;

/// The bytes are not an entry this program knows. Fatal for the member that reads them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("entry format {0} is newer than this program knows ({FORMAT}): upgrade the member")]
    Format(u8),
    #[error("effect {0} is newer than this program knows: upgrade the member")]
    UnknownEffect(u8),
    #[error("entry is damaged: {0}")]
    Damaged(&'static str),
}

mod tag {
    pub const PUT: u8 = 1;
    pub const DELETE: u8 = 2;
    pub const LEASE_GRANT: u8 = 3;
    pub const LEASE_REVOKE: u8 = 4;
    pub const LEASE_CHECKPOINT: u8 = 5;
    pub const COMPACT: u8 = 6;
    pub const ALARM_RAISE: u8 = 7;
    pub const ALARM_CLEAR: u8 = 8;
    pub const COMPONENT_STORE: u8 = 9;
    pub const COMPONENT_DROP: u8 = 10;
    // 11 to 13 stood for bindings and authors of before generations.
    pub const REQUEST: u8 = 14;
    pub const FEATURE_LEVEL: u8 = 15;
    pub const PUBLISH: u8 = 16;
    pub const PLUGIN_PUT: u8 = 17;
    pub const PLUGIN_REMOVE: u8 = 18;
    pub const TRIGGER_SET: u8 = 19;
    pub const TRIGGER_DROP: u8 = 20;
    pub const BY: u8 = 21;
    pub const AUTH_SET: u8 = 22;
    pub const AUTH_USER_PUT: u8 = 23;
    pub const AUTH_USER_DROP: u8 = 24;
    pub const AUTH_ROLE_PUT: u8 = 25;
    pub const AUTH_ROLE_DROP: u8 = 26;
    pub const TOKEN_PUT: u8 = 27;
    pub const TOKEN_DROP: u8 = 28;
}

/// Appends one effect to `out`. The effects of an entry, one after the other, are what the chain's
/// hash runs over.
pub fn encode_effect(effect: &Effect, out: &mut Vec<u8>) {
    match effect {
        Effect::Put(item) => {
            out.push(tag::PUT);
            encode_varint(u64::from(item.modified().sub), out);
            put_bytes(out, item.encoded());
        }
        Effect::Delete { key, at } => {
            out.push(tag::DELETE);
            put_int(out, at.main);
            encode_varint(u64::from(at.sub), out);
            put_bytes(out, key);
        }
        Effect::LeaseGrant { id, ttl } => ints(out, tag::LEASE_GRANT, &[id.0, *ttl]),
        Effect::LeaseRevoke { id } => ints(out, tag::LEASE_REVOKE, &[id.0]),
        Effect::LeaseCheckpoint { id, remaining } => {
            ints(out, tag::LEASE_CHECKPOINT, &[id.0, *remaining]);
        }
        Effect::Compact { revision } => ints(out, tag::COMPACT, &[*revision]),
        Effect::AlarmRaise(alarm) => put_alarm(out, tag::ALARM_RAISE, alarm),
        Effect::AlarmClear(alarm) => put_alarm(out, tag::ALARM_CLEAR, alarm),
        Effect::ComponentStore(Component { digest, bytes }) => {
            fields(out, tag::COMPONENT_STORE, &[digest, bytes]);
        }
        Effect::ComponentDrop { digest } => fields(out, tag::COMPONENT_DROP, &[digest]),
        Effect::PluginPut(record) => message(out, tag::PLUGIN_PUT, &pb::PluginRecord::from(record)),
        Effect::PluginRemove { name } => fields(out, tag::PLUGIN_REMOVE, &[name.as_bytes()]),
        Effect::TriggerSet(state) => message(out, tag::TRIGGER_SET, &pb::TriggerState::from(state)),
        Effect::TriggerDrop { binding } => fields(out, tag::TRIGGER_DROP, &[binding.as_bytes()]),
        Effect::By { main, author } => {
            ints(out, tag::BY, &[*main, author.encoded_len() as i64]);
            author.encode(out);
        }
        Effect::Request { id } => fields(out, tag::REQUEST, &[id]),
        Effect::FeatureLevel(level) => ints(out, tag::FEATURE_LEVEL, &[i64::from(*level)]),
        auth @ (Effect::AuthSet { .. }
        | Effect::AuthUserPut(_)
        | Effect::AuthUserDrop { .. }
        | Effect::AuthRolePut(_)
        | Effect::AuthRoleDrop { .. }
        | Effect::TokenPut { .. }
        | Effect::TokenDrop { .. }) => encode_auth(auth, out),
        Effect::Publish(own) => {
            let numbers = [i64::from(own.feature_level), own.client_urls.len() as i64];
            ints(out, tag::PUBLISH, &[own.member.0 as i64, numbers[0], numbers[1]]);
            put_bytes(out, own.name.as_bytes());
            own.client_urls.iter().for_each(|url| put_bytes(out, url.as_bytes()));
        }
    }
}

fn encode_auth(effect: &Effect, out: &mut Vec<u8>) {
    match effect {
        Effect::AuthSet { enabled, revision } => {
            ints(out, tag::AUTH_SET, &[i64::from(*enabled), *revision as i64]);
        }
        Effect::AuthUserPut(user) => message(out, tag::AUTH_USER_PUT, user),
        Effect::AuthUserDrop { name } => fields(out, tag::AUTH_USER_DROP, &[name.as_bytes()]),
        Effect::AuthRolePut(role) => message(out, tag::AUTH_ROLE_PUT, role),
        Effect::AuthRoleDrop { name } => fields(out, tag::AUTH_ROLE_DROP, &[name.as_bytes()]),
        Effect::TokenPut { digest, user, until_ms } => {
            fields(out, tag::TOKEN_PUT, &[digest, user.as_bytes()]);
            put_int(out, *until_ms as i64);
        }
        Effect::TokenDrop { digest } => fields(out, tag::TOKEN_DROP, &[digest]),
        _ => {}
    }
}

/// The entry as the log carries it, around effects already encoded by [`encode_effect`].
pub fn encode_around(id: ChainId, prev: ChainId, digest: u64, effects: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(effects.len() + 2 * ChainId::ENCODED_BYTES + 9);
    out.push(FORMAT);
    out.extend_from_slice(&id.to_bytes());
    out.extend_from_slice(&prev.to_bytes());
    out.extend_from_slice(&digest.to_le_bytes());
    out.extend_from_slice(effects);
    out.into()
}

/// The entry as the log carries it.
pub fn encode(entry: &Entry) -> Bytes {
    let mut effects = Vec::new();
    for effect in &entry.effects {
        encode_effect(effect, &mut effects);
    }
    encode_around(entry.id, entry.prev, entry.digest, &effects)
}

/// The id of an encoded entry, without reading the rest of it.
pub fn peek_id(bytes: &[u8]) -> Option<ChainId> {
    match bytes.split_first()? {
        (&FORMAT, rest) => ChainId::from_bytes(rest.get(..ChainId::ENCODED_BYTES)?),
        _ => None,
    }
}

/// Reads an entry back and checks that its hash is that of its effects.
pub fn decode(bytes: &Bytes) -> Result<Entry, CodecError> {
    let mut input = bytes.clone();
    let format = byte(&mut input)?;
    if format != FORMAT {
        return Err(CodecError::Format(format));
    }
    let id = chain_id(&mut input)?;
    let prev = chain_id(&mut input)?;
    let digest = take(&mut input, 8)?.get_u64_le();
    if prev.next(id.term, id.epoch, &input) != id {
        return Err(CodecError::Damaged("the chain's hash is not that of the effects"));
    }
    let effects = decode_effects(&input)?;
    Ok(Entry { id, prev, digest, effects })
}

/// Reads back effects that [`encode_effect`] has written one after the other.
pub fn decode_effects(bytes: &Bytes) -> Result<Vec<Effect>, CodecError> {
    let mut input = bytes.clone();
    let mut effects = Vec::new();
    while input.has_remaining() {
        effects.push(decode_effect(&mut input)?);
    }
    Ok(effects)
}

fn decode_effect(input: &mut Bytes) -> Result<Effect, CodecError> {
    Ok(match byte(input)? {
        tag::PUT => {
            let sub = sub(input)?;
            let encoded = take_bytes(input)?;
            let item = Item::from_encoded(&encoded, sub);
            Effect::Put(item.map_err(|_| CodecError::Damaged("a put's item"))?)
        }
        tag::DELETE => {
            let main = int(input)?;
            let at = Revision::new(main, sub(input)?);
            Effect::Delete { key: take_bytes(input)?, at }
        }
        tag::LEASE_GRANT => Effect::LeaseGrant { id: LeaseId(int(input)?), ttl: int(input)? },
        tag::LEASE_REVOKE => Effect::LeaseRevoke { id: LeaseId(int(input)?) },
        tag::LEASE_CHECKPOINT => {
            Effect::LeaseCheckpoint { id: LeaseId(int(input)?), remaining: int(input)? }
        }
        tag::COMPACT => Effect::Compact { revision: int(input)? },
        tag::ALARM_RAISE => Effect::AlarmRaise(alarm(input)?),
        tag::ALARM_CLEAR => Effect::AlarmClear(alarm(input)?),
        tag::COMPONENT_STORE => Effect::ComponentStore(Component {
            digest: take_bytes(input)?,
            bytes: take_bytes(input)?,
        }),
        tag::COMPONENT_DROP => Effect::ComponentDrop { digest: take_bytes(input)? },
        tag::PLUGIN_PUT => {
            Effect::PluginPut(read::<pb::PluginRecord>(input, "a plugin")?.try_into()?)
        }
        tag::PLUGIN_REMOVE => Effect::PluginRemove { name: string(input)? },
        tag::TRIGGER_SET => {
            Effect::TriggerSet(read::<pb::TriggerState>(input, "a trigger's state")?.into())
        }
        tag::TRIGGER_DROP => Effect::TriggerDrop { binding: string(input)? },
        tag::BY => {
            let main = int(input)?;
            Effect::By { main, author: Arc::new(Author::decode(&take_bytes(input)?)?) }
        }
        tag::REQUEST => Effect::Request { id: take_bytes(input)? },
        tag::FEATURE_LEVEL => Effect::FeatureLevel(level(input)?),
        tag::PUBLISH => {
            let member = MemberId(int(input)? as u64);
            let (feature_level, urls) = (level(input)?, int(input)?);
            let name = string(input)?;
            let client_urls = (0..urls).map(|_| string(input)).collect::<Result<_, _>>()?;
            Effect::Publish(Attributes { member, name, client_urls, feature_level })
        }
        tag::AUTH_SET => {
            Effect::AuthSet { enabled: int(input)? != 0, revision: int(input)? as u64 }
        }
        tag::AUTH_USER_PUT => Effect::AuthUserPut(read::<authpb::User>(input, "a user")?),
        tag::AUTH_USER_DROP => Effect::AuthUserDrop { name: string(input)? },
        tag::AUTH_ROLE_PUT => Effect::AuthRolePut(read::<authpb::Role>(input, "a role")?),
        tag::AUTH_ROLE_DROP => Effect::AuthRoleDrop { name: string(input)? },
        tag::TOKEN_PUT => {
            let (digest, user) = (take_bytes(input)?, string(input)?);
            Effect::TokenPut { digest, user, until_ms: int(input)? as u64 }
        }
        tag::TOKEN_DROP => Effect::TokenDrop { digest: take_bytes(input)? },
        unknown => return Err(CodecError::UnknownEffect(unknown)),
    })
}

fn ints(out: &mut Vec<u8>, tag: u8, values: &[i64]) {
    out.push(tag);
    values.iter().for_each(|value| put_int(out, *value));
}

fn fields(out: &mut Vec<u8>, tag: u8, values: &[&[u8]]) {
    out.push(tag);
    values.iter().for_each(|value| put_bytes(out, value));
}

fn message(out: &mut Vec<u8>, tag: u8, message: &impl Message) {
    fields(out, tag, &[&message.encode_to_vec()]);
}

fn read<M: Message + Default>(input: &mut Bytes, what: &'static str) -> Result<M, CodecError> {
    M::decode(take_bytes(input)?).map_err(|_| CodecError::Damaged(what))
}

fn put_int(out: &mut Vec<u8>, value: i64) {
    encode_varint(value as u64, out);
}

pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_alarm(out: &mut Vec<u8>, tag: u8, alarm: &Alarm) {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
    };
    ints(out, tag, &[alarm.member.0 as i64, kind]);
}

fn take(input: &mut Bytes, len: usize) -> Result<Bytes, CodecError> {
    if input.len() < len {
        return Err(CodecError::Damaged("it ends early"));
    }
    Ok(input.split_to(len))
}

pub(super) fn byte(input: &mut Bytes) -> Result<u8, CodecError> {
    Ok(take(input, 1)?[0])
}

pub(super) fn int(input: &mut Bytes) -> Result<i64, CodecError> {
    decode_varint(input).map(|value| value as i64).map_err(|_| CodecError::Damaged("a number"))
}

fn level(input: &mut Bytes) -> Result<u32, CodecError> {
    u32::try_from(int(input)?).map_err(|_| CodecError::Damaged("a feature level"))
}

fn sub(input: &mut Bytes) -> Result<u32, CodecError> {
    u32::try_from(int(input)?).map_err(|_| CodecError::Damaged("a sub-revision"))
}

pub(super) fn take_bytes(input: &mut Bytes) -> Result<Bytes, CodecError> {
    let len = usize::try_from(int(input)?).map_err(|_| CodecError::Damaged("a length"))?;
    take(input, len)
}

pub(super) fn string(input: &mut Bytes) -> Result<String, CodecError> {
    let bytes = take_bytes(input)?;
    String::from_utf8(bytes.into()).map_err(|_| CodecError::Damaged("a name that is not UTF-8"))
}

fn chain_id(input: &mut Bytes) -> Result<ChainId, CodecError> {
    let bytes = take(input, ChainId::ENCODED_BYTES)?;
    ChainId::from_bytes(&bytes).ok_or(CodecError::Damaged("a chain id"))
}

fn alarm(input: &mut Bytes) -> Result<Alarm, CodecError> {
    let member = MemberId(int(input)? as u64);
    let kind = match int(input)? {
        1 => AlarmKind::NoSpace,
        2 => AlarmKind::Corrupt,
        _ => return Err(CodecError::Damaged("an alarm's kind")),
    };
    Ok(Alarm { member, kind })
}

#[cfg(test)]
#[path = "codec_test.rs"]
mod tests;
