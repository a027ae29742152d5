//! Everything but the items, as rows of the store's system space. A row holds the effect that
//! makes its content, in the effects' own encoding; only the position has a form of its own.

use bytes::{Buf, BufMut, Bytes};

use super::LoadError;
use super::State;
use crate::effect::{ChainId, Effect, decode_effects, encode_effect};
use crate::types::LeaseId;

/// A row to write, or to remove where there is no value.
pub type Row = (Bytes, Option<Bytes>);

/// Rows in the order in which they are written.
pub type Rows = Vec<Row>;

/// Rows of the machine begin with this; the system space holds others too.
pub(super) const SPACE: &[u8] = b"machine/";
const LEASE: &[u8] = b"lease/";
pub(super) const POSITION: &[u8] = b"machine/position";
const POSITION_FORMAT: u8 = 1;
const POSITION_BYTES: usize = 1 + 8 + 8 + 8 + ChainId::ENCODED_BYTES + 4 + 8;

/// Where the state stands: what is not made by a row of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub revision: i64,
    pub compacted: i64,
    pub digest: u64,
    pub chain: ChainId,
    pub feature_level: u32,
    pub bindings_revision: u64,
}

/// The rows that must be written with every batch, once, after all others.
pub fn position_rows(state: &State) -> Rows {
    let position = Position {
        revision: state.revision,
        compacted: state.compacted,
        digest: state.digest,
        chain: state.chain,
        feature_level: state.feature_level,
        bindings_revision: state.bindings_revision,
    };
    vec![(Bytes::from_static(POSITION), Some(position.encode()))]
}

impl Position {
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(POSITION_BYTES);
        out.put_u8(POSITION_FORMAT);
        out.put_i64_le(self.revision);
        out.put_i64_le(self.compacted);
        out.put_u64_le(self.digest);
        out.put_slice(&self.chain.to_bytes());
        out.put_u32_le(self.feature_level);
        out.put_u64_le(self.bindings_revision);
        out.into()
    }

    /// `None` when the bytes are not a position this program knows.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        if bytes.len() != POSITION_BYTES || bytes.get_u8() != POSITION_FORMAT {
            return None;
        }
        let (revision, compacted) = (bytes.get_i64_le(), bytes.get_i64_le());
        let digest = bytes.get_u64_le();
        let chain = ChainId::from_bytes(&bytes[..ChainId::ENCODED_BYTES])?;
        bytes.advance(ChainId::ENCODED_BYTES);
        let (feature_level, bindings_revision) = (bytes.get_u32_le(), bytes.get_u64_le());
        Some(Self { revision, compacted, digest, chain, feature_level, bindings_revision })
    }
}

/// A row with what it makes.
pub struct SystemRow {
    pub key: Bytes,
    pub value: Bytes,
    pub effects: Vec<Effect>,
}

/// Of a position row, what means something outside its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub revision: i64,
    pub compacted: i64,
    pub feature_level: u32,
    pub bindings_revision: u64,
}

/// The machine's rows among those of the system space, and where they stand.
pub fn system_rows(rows: &[(Bytes, Bytes)]) -> Result<(Place, Vec<SystemRow>), LoadError> {
    let State { revision, compacted, feature_level, bindings_revision, .. } = State::default();
    let mut place = Place { revision, compacted, feature_level, bindings_revision };
    let mut found = Vec::new();
    for (key, value) in rows {
        if &key[..] == POSITION {
            let Position { revision, compacted, feature_level, bindings_revision, .. } =
                Position::decode(value).ok_or(LoadError::Position)?;
            place = Place { revision, compacted, feature_level, bindings_revision };
        } else if key.starts_with(SPACE) {
            let effects = decode_effects(value)?;
            found.push(SystemRow { key: key.clone(), value: value.clone(), effects });
        }
    }
    Ok((place, found))
}

/// The row of a lease as it is in `state` now.
pub(super) fn lease(state: &State, id: LeaseId) -> Row {
    let value = state.lease(id).map(|lease| {
        let grant = Effect::LeaseGrant { id, ttl: lease.ttl };
        let checkpoint = Effect::LeaseCheckpoint { id, remaining: lease.remaining };
        let both = [grant, checkpoint];
        encoded(if lease.remaining == 0 { &both[..1] } else { &both })
    });
    (key(&[LEASE, &id.0.to_be_bytes()]), value)
}

/// The lease that a row is about, if it is about one.
pub fn lease_of_row(key: &[u8]) -> Option<LeaseId> {
    let id = key.strip_prefix(SPACE)?.strip_prefix(LEASE)?;
    id.try_into().ok().map(i64::from_be_bytes).map(LeaseId)
}

/// The row that an effect on alarms, plugins, triggers or components makes or removes.
pub(super) fn registered(effect: &Effect) -> Row {
    let value = || Some(encoded(std::slice::from_ref(effect)));
    match effect {
        Effect::AlarmRaise(alarm) => (alarm_key(alarm), value()),
        Effect::AlarmClear(alarm) => (alarm_key(alarm), None),
        Effect::ComponentStore(component) => (key(&[b"component/", &component.digest]), value()),
        Effect::ComponentDrop { digest } => (key(&[b"component/", digest]), None),
        Effect::PluginPut(record) => (plugin_key(&record.current.name), value()),
        Effect::PluginRemove { name } => (plugin_key(name), None),
        Effect::TriggerSet(state) => (trigger_key(&state.binding), value()),
        Effect::TriggerDrop { binding } => (trigger_key(binding), None),
        Effect::Publish(own) => (key(&[b"member/", &own.member.0.to_be_bytes()]), value()),
        Effect::AuthSet { .. } => (key(&[b"auth/set"]), value()),
        Effect::AuthUserPut(user) => (key(&[b"auth/user/", &user.name]), value()),
        Effect::AuthUserDrop { name } => (key(&[b"auth/user/", name.as_bytes()]), None),
        Effect::AuthRolePut(role) => (key(&[b"auth/role/", &role.name]), value()),
        Effect::AuthRoleDrop { name } => (key(&[b"auth/role/", name.as_bytes()]), None),
        Effect::TokenPut { digest, .. } => (key(&[b"auth/token/", digest]), value()),
        Effect::TokenDrop { digest } => (key(&[b"auth/token/", digest]), None),
        other => unreachable!("not a registry effect: {other:?}"),
    }
}

fn alarm_key(alarm: &crate::effect::Alarm) -> Bytes {
    key(&[b"alarm/", &alarm.member.0.to_be_bytes(), b"/", &[alarm.kind as u8]])
}

fn plugin_key(name: &str) -> Bytes {
    key(&[b"plugin/", name.as_bytes()])
}

fn trigger_key(binding: &str) -> Bytes {
    key(&[b"trigger/", binding.as_bytes()])
}

fn key(parts: &[&[u8]]) -> Bytes {
    let mut key = SPACE.to_vec();
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key.into()
}

fn encoded(effects: &[Effect]) -> Bytes {
    let mut out = Vec::new();
    effects.iter().for_each(|effect| encode_effect(effect, &mut out));
    out.into()
}

#[cfg(test)]
mod tests {
    use super::{ChainId, Position};

    #[test]
    fn a_position_reads_back_and_a_damaged_one_does_not() {
        let chain = ChainId { term: 1, epoch: 2, seq: 3, hash: 4 };
        let position = Position {
            revision: i64::MAX,
            compacted: 7,
            digest: u64::MAX - 1,
            chain,
            feature_level: 9,
            bindings_revision: 11,
        };
        let bytes = position.encode();
        assert_eq!(Position::decode(&bytes), Some(position));
        assert_eq!(Position::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Position::decode(&[&[9], &bytes[1..]].concat()), None);
    }
}
