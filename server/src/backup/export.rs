//! From a store snapshot to a file. Records are read once and written as they come; what is in
//! memory is the rows, which are few beside them.

use std::collections::{BTreeMap, HashSet};
use std::io::{Seek, Write};

use bytes::Bytes;
use prost::Message;

use super::schema::{
    ALARM, AUTH, AUTH_ROLES, AUTH_USERS, CLUSTER, ConfState, KEY, LEASE, Lease, MEMBERS,
    MEMBERS_REMOVED, META, Member, OWN, STORAGE_VERSION, auth, meta,
};
use super::{Error, own, revision_key};
use crate::auth::Auth;
use crate::bbolt::{BucketWriter, Writer};
use crate::effect::{Alarm, AlarmKind, Effect};
use crate::machine::{Place, SystemRow, system_rows};
use crate::storage::{Body, Snapshot};
use crate::types::{Item, LeaseId, Revision};
use portunus_proto::etcdserverpb::{AlarmMember, AlarmType};

/// Where in whose log the data stands.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub index: u64,
    pub term: u64,
    pub members: Vec<OriginMember>,
}

/// A member of the cluster that the data comes from.
#[derive(Clone, Debug, Default)]
pub struct OriginMember {
    pub id: u64,
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub is_learner: bool,
}

/// Writes the store's content to `out`, which should buffer. `leftovers` are records that
/// compaction has passed and the store still has. Returns `out` and the size of the file in bytes.
pub fn export<W: Write + Seek>(
    snapshot: &Snapshot,
    origin: &Origin,
    leftovers: &HashSet<Revision>,
    out: W,
) -> Result<(W, u64), Error> {
    let mut file = Writer::new(out)?;
    let (place, rows) = system_rows(&snapshot.rows()?).map_err(|e| Error::Rows(e.to_string()))?;
    let mut own = file.bucket(OWN);
    write_records(snapshot, leftovers, &mut file, &mut own)?;
    file.put(&mut own, own::FORM_KEY, &[own::FORM])?;
    let levels = own::levels_value(place.feature_level, place.bindings_revision);
    file.put(&mut own, own::LEVELS_KEY, &levels)?;
    let system = System::of(rows);
    for (row, value) in &system.own {
        file.put(&mut own, &own::row_key(row), value)?;
    }
    file.close(own)?;
    write_small(&mut file, LEASE, system.leases)?;
    write_small(&mut file, ALARM, system.alarms)?;
    write_small(&mut file, META, meta_entries(&place, origin)?)?;
    write_small(&mut file, MEMBERS, member_entries(origin)?)?;
    write_small(&mut file, AUTH, auth_entries(system.enabled, system.auth_revision))?;
    write_small(&mut file, AUTH_USERS, system.users)?;
    write_small(&mut file, AUTH_ROLES, system.roles)?;
    // etcd decides its cluster's version anew and knows nobody removed: it is a new cluster.
    for empty in [CLUSTER, MEMBERS_REMOVED] {
        write_small(&mut file, empty, BTreeMap::new())?;
    }
    Ok(file.finish()?)
}

fn write_records<W: Write + Seek>(
    snapshot: &Snapshot,
    leftovers: &HashSet<Revision>,
    file: &mut Writer<W>,
    own: &mut BucketWriter,
) -> Result<(), Error> {
    let mut keys = file.bucket(KEY);
    for record in snapshot.records() {
        let (at, record) = record?;
        if leftovers.contains(&at) {
            continue;
        }
        let (is_delete, value) = match record.body {
            Body::Put(item) => (false, item.encoded_bytes()),
            Body::Delete { key } => (true, tombstone(&key)),
        };
        let (name, len) = revision_key::encode(at, is_delete);
        file.put(&mut keys, &name[..len], &value)?;
        if let Some(author) = &record.author {
            let author = own::author_value(&value, author);
            file.put(own, &own::author_key(at), &author)?;
        }
    }
    Ok(file.close(keys)?)
}

/// Goes on with a hash over what the bucket `key` has for one record.
pub fn hashed_record(hash: u32, at: Revision, body: &Body) -> u32 {
    let (name, len) = revision_key::encode(at, matches!(body, Body::Delete { .. }));
    let hash = crc32c::crc32c_append(hash, &name[..len]);
    match body {
        Body::Put(item) => crc32c::crc32c_append(hash, item.encoded()),
        Body::Delete { key } => crc32c::crc32c_append(hash, &tombstone(key)),
    }
}

/// A delete's value: the key alone.
fn tombstone(key: &[u8]) -> Bytes {
    Item::new(key, &[], 0, Revision::default(), 0, LeaseId::NONE).encoded_bytes()
}

/// The machine's rows by the bucket that they go to.
struct System {
    leases: Entries,
    alarms: Entries,
    enabled: bool,
    auth_revision: u64,
    users: Entries,
    roles: Entries,
    own: BTreeMap<Bytes, Bytes>,
}

impl System {
    fn new() -> Self {
        let Auth { enabled, revision: auth_revision, .. } = Auth::default();
        let (leases, alarms, users, roles, own) = Default::default();
        Self { leases, alarms, enabled, auth_revision, users, roles, own }
    }

    fn of(rows: Vec<SystemRow>) -> Self {
        let mut system = Self::new();
        for SystemRow { key, value, effects } in rows {
            match effects.first() {
                Some(Effect::LeaseGrant { .. }) => system.lease(&effects),
                Some(Effect::AlarmRaise(alarm)) => {
                    system.alarms.insert(alarm_message(*alarm).encode_to_vec(), Vec::new());
                }
                Some(Effect::AuthSet { enabled, revision }) => {
                    (system.enabled, system.auth_revision) = (*enabled, *revision);
                }
                Some(Effect::AuthUserPut(user)) => {
                    system.users.insert(user.name.to_vec(), user.encode_to_vec());
                }
                Some(Effect::AuthRolePut(role)) => {
                    system.roles.insert(role.name.to_vec(), role.encode_to_vec());
                }
                // Of the members that are: a restored cluster has others. Tokens are of clients
                // that are: whoever holds the file should not get in by what it holds.
                Some(Effect::Publish(_) | Effect::TokenPut { .. }) | None => {}
                Some(_) => drop(system.own.insert(key, value)),
            }
        }
        system
    }

    fn lease(&mut self, effects: &[Effect]) {
        let mut lease = Lease::default();
        for effect in effects {
            match effect {
                Effect::LeaseGrant { id, ttl } => (lease.id, lease.ttl) = (id.0, *ttl),
                Effect::LeaseCheckpoint { remaining, .. } => lease.remaining_ttl = *remaining,
                _ => {}
            }
        }
        self.leases.insert(lease.id.to_be_bytes().into(), lease.encode_to_vec());
    }
}

fn alarm_message(alarm: Alarm) -> AlarmMember {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => AlarmType::Nospace,
        AlarmKind::Corrupt => AlarmType::Corrupt,
    };
    AlarmMember { member_id: alarm.member.0, alarm: kind.into() }
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

fn auth_entries(enabled: bool, revision: u64) -> Entries {
    [
        (auth::ENABLED.into(), vec![u8::from(enabled)]),
        (auth::REVISION.into(), revision.to_be_bytes().into()),
    ]
    .into()
}

fn meta_entries(place: &Place, origin: &Origin) -> Result<Entries, Error> {
    let ids = |learners: bool| {
        let members = origin.members.iter().filter(move |member| member.is_learner == learners);
        members.map(|member| member.id).collect()
    };
    let state = ConfState { voters: ids(false), learners: ids(true), auto_leave: false };
    let mut entries: Entries = [
        (meta::CONF_STATE.into(), json(&state)?),
        (meta::CONSISTENT_INDEX.into(), origin.index.to_be_bytes().into()),
        (meta::TERM.into(), origin.term.to_be_bytes().into()),
        (meta::STORAGE_VERSION.into(), STORAGE_VERSION.into()),
    ]
    .into();
    if place.compacted > 0 {
        let (mark, len) = revision_key::encode(Revision::new(place.compacted, 0), false);
        entries.insert(meta::SCHEDULED_COMPACT.into(), mark[..len].into());
        entries.insert(meta::FINISHED_COMPACT.into(), mark[..len].into());
    }
    Ok(entries)
}

fn member_entries(origin: &Origin) -> Result<Entries, Error> {
    let entries = origin.members.iter().map(|member| {
        let OriginMember { id, name, peer_urls, client_urls, is_learner } = member;
        let value = Member { id: *id, peer_urls, is_learner: *is_learner, name, client_urls };
        Ok((format!("{id:x}").into_bytes(), json(&value)?))
    });
    entries.collect()
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|error| Error::Rows(error.to_string()))
}

fn write_small<W: Write + Seek>(
    file: &mut Writer<W>,
    name: &str,
    entries: Entries,
) -> Result<(), Error> {
    let mut bucket = file.bucket(name);
    for (key, value) in entries {
        file.put(&mut bucket, &key, &value)?;
    }
    Ok(file.close(bucket)?)
}
