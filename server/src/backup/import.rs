//! From a file, ours or etcd's, to the contents of a store. Every revision since the compaction
//! keeps its number, and what no etcd writes is refused by name.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use super::own::{self, Authors, Own};
use super::schema::{
    ALARM, AUTH, AUTH_ROLES, AUTH_USERS, KEY, LEASE, Lease, META, OWN, auth, meta,
};
use super::{Error, revision_key};
use crate::bbolt::{Bucket, Database, Source};
use crate::effect::{Alarm, AlarmKind, Effect, TriggerState, decode_effects};
use crate::machine::{Change, Rows, State, position_rows};
use crate::storage::{Body, Installer, Record};
use crate::types::{Item, LeaseId, MemberId, Revision};
use portunus_proto::authpb::{Role, User};
use portunus_proto::etcdserverpb::{AlarmMember, AlarmType};

/// What an import changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Makes the revision this much higher and compacts everything up to it, so that clients
    /// notice the gap instead of seeing revisions again that meant something else before.
    pub bump_revision: Option<i64>,
}

/// What came in.
pub struct Imported {
    pub revision: i64,
    pub compacted: i64,
    pub keys: usize,
    pub leases: usize,
    /// The highest revision that has a record.
    pub head: Revision,
    /// Buckets with entries that have no meaning here, and were left out.
    pub ignored: Vec<String>,
}

/// Checks `file` as a whole, then feeds records and rows to `store`.
pub fn import<S: Source>(
    file: &Database<S>,
    options: Options,
    store: &mut Installer,
) -> Result<Imported, Error> {
    file.check()?;
    let mut buckets: BTreeMap<Bytes, Bucket> = file.buckets()?.into_iter().collect();
    let mut take = |name: &str| buckets.remove(name.as_bytes());
    let keys = take(KEY).ok_or(Error::NotEtcds)?;
    let own = take(OWN);
    let mut importing = Importing::default();
    if let Some(leases) = take(LEASE) {
        importing.leases(file, &leases)?;
    }
    if let Some(alarms) = take(ALARM) {
        importing.alarms(file, &alarms)?;
    }
    if let Some(settings) = take(AUTH) {
        importing.auth(file, &settings)?;
    }
    if let Some(users) = take(AUTH_USERS) {
        importing.users(file, &users)?;
    }
    if let Some(roles) = take(AUTH_ROLES) {
        importing.roles(file, &roles)?;
    }
    let compacted = match take(META) {
        Some(marks) => compaction(file, &marks)?,
        None => -1,
    };
    let head = importing.records(file, &keys, own.as_ref(), store)?;
    let own = own.map(|own| own::read(file, &own)).transpose()?.unwrap_or_default();
    importing.own(own)?;
    let ignored = ignored(file, buckets)?;
    let mut state = importing.state;
    state.compacted = compacted;
    if let Some(bump) = options.bump_revision {
        state.revision = state.revision.saturating_add(bump);
        state.compacted = state.revision;
    }
    for (key, value) in position_rows(&state).into_iter().chain(importing.rows) {
        if let Some(value) = value {
            store.row(&key, value);
        }
    }
    Ok(Imported {
        revision: state.revision,
        compacted: state.compacted,
        keys: state.items().len(),
        leases: state.leases().len(),
        head,
        ignored,
    })
}

/// Buckets that nothing here takes, apart from what belongs to the old cluster alone.
fn ignored<S: Source>(
    file: &Database<S>,
    buckets: BTreeMap<Bytes, Bucket>,
) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for (name, bucket) in buckets {
        let of_the_cluster = [&b"members"[..], b"members_removed", b"cluster"].contains(&&name[..]);
        if !of_the_cluster && file.entries(&bucket).next().transpose()?.is_some() {
            names.push(String::from_utf8_lossy(&name).into_owned());
        }
    }
    Ok(names)
}

#[derive(Default)]
struct Importing {
    state: State,
    rows: Rows,
    changes: Vec<Change>,
}

impl Importing {
    fn apply(&mut self, effect: &Effect) {
        self.state.apply(effect, &mut self.changes, &mut self.rows);
        self.changes.clear();
    }

    fn leases<S: Source>(&mut self, file: &Database<S>, bucket: &Bucket) -> Result<(), Error> {
        for entry in file.entries(bucket) {
            let (key, value) = entry?;
            let lease = Lease::decode(value).map_err(|e| Error::value(LEASE, &key, e))?;
            if key != lease.id.to_be_bytes()[..] {
                return Err(Error::value(LEASE, &key, format!("it is of lease {}", lease.id)));
            }
            let id = LeaseId(lease.id);
            self.apply(&Effect::LeaseGrant { id, ttl: lease.ttl });
            if lease.remaining_ttl > 0 {
                self.apply(&Effect::LeaseCheckpoint { id, remaining: lease.remaining_ttl });
            }
        }
        Ok(())
    }

    fn alarms<S: Source>(&mut self, file: &Database<S>, bucket: &Bucket) -> Result<(), Error> {
        for entry in file.entries(bucket) {
            let (key, _) = entry?;
            let alarm = AlarmMember::decode(key.clone()).map_err(|_| Error::key(ALARM, &key))?;
            let kind = match alarm.alarm() {
                AlarmType::Nospace => AlarmKind::NoSpace,
                AlarmType::Corrupt => AlarmKind::Corrupt,
                AlarmType::None => return Err(Error::key(ALARM, &key)),
            };
            self.apply(&Effect::AlarmRaise(Alarm { member: MemberId(alarm.member_id), kind }));
        }
        Ok(())
    }

    fn auth<S: Source>(&mut self, file: &Database<S>, bucket: &Bucket) -> Result<(), Error> {
        let (mut enabled, mut revision) = (false, self.state.auth().revision);
        for entry in file.entries(bucket) {
            let (key, value) = entry?;
            if key == auth::ENABLED {
                enabled = value[..] == [1];
            } else if key == auth::REVISION {
                let bytes = value[..].try_into();
                let bytes = bytes.map_err(|_| Error::value(AUTH, &key, "it is no number"))?;
                revision = u64::from_be_bytes(bytes);
            }
        }
        self.apply(&Effect::AuthSet { enabled, revision });
        Ok(())
    }

    fn users<S: Source>(&mut self, file: &Database<S>, bucket: &Bucket) -> Result<(), Error> {
        for entry in file.entries(bucket) {
            let (key, value) = entry?;
            let user = User::decode(value).map_err(|e| Error::value(AUTH_USERS, &key, e))?;
            if user.name != key || std::str::from_utf8(&key).is_err() {
                return Err(Error::value(AUTH_USERS, &key, "it is of another user"));
            }
            self.apply(&Effect::AuthUserPut(user));
        }
        Ok(())
    }

    fn roles<S: Source>(&mut self, file: &Database<S>, bucket: &Bucket) -> Result<(), Error> {
        for entry in file.entries(bucket) {
            let (key, value) = entry?;
            let role = Role::decode(value).map_err(|e| Error::value(AUTH_ROLES, &key, e))?;
            if role.name != key || std::str::from_utf8(&key).is_err() {
                return Err(Error::value(AUTH_ROLES, &key, "it is of another role"));
            }
            self.apply(&Effect::AuthRolePut(role));
        }
        Ok(())
    }

    fn records<S: Source>(
        &mut self,
        file: &Database<S>,
        bucket: &Bucket,
        own: Option<&Bucket>,
        store: &mut Installer,
    ) -> Result<Revision, Error> {
        let mut authors = Authors::new(file, own)?;
        let mut head = Revision::default();
        for entry in file.entries(bucket) {
            let (name, value) = entry?;
            let (at, is_delete) =
                revision_key::decode(&name).ok_or_else(|| Error::key(KEY, &name))?;
            if value.is_empty() && !is_delete {
                // What `etcdutl snapshot restore --bump-revision` writes: a number and no key.
                self.state.revision = self.state.revision.max(at.main);
                continue;
            }
            let body = body(&name, &value, at, is_delete)?;
            self.apply(&match &body {
                Body::Put(item) => Effect::Put(item.clone()),
                Body::Delete { key } => Effect::Delete { key: key.clone(), at },
            });
            let author = authors.take(at, &value)?;
            store.record(at, &Record { body, author })?;
            head = at;
        }
        Ok(head)
    }

    fn own(&mut self, own: Own) -> Result<(), Error> {
        for (row, value) in own.rows {
            let effects = decode_effects(&value);
            let effects = effects.map_err(|error| Error::value(OWN, &own::row_key(&row), error))?;
            for effect in effects {
                match effect {
                    // The bucket `lease` and the others are newer, should an etcd have had the file.
                    Effect::LeaseGrant { .. }
                    | Effect::LeaseCheckpoint { .. }
                    | Effect::AlarmRaise(_)
                    | Effect::AuthSet { .. }
                    | Effect::AuthUserPut(_)
                    | Effect::AuthRolePut(_)
                    | Effect::TokenPut { .. }
                    | Effect::Publish(_)
                    | Effect::Put(_)
                    | Effect::Delete { .. } => {}
                    Effect::TriggerSet(trigger) => {
                        let cursor = trigger.cursor.min(self.state.revision);
                        self.apply(&Effect::TriggerSet(TriggerState { cursor, ..trigger }));
                    }
                    other => self.apply(&other),
                }
            }
        }
        self.state.feature_level = own.feature_level;
        self.state.bindings_revision = self.state.bindings_revision.max(own.bindings_revision);
        Ok(())
    }
}

fn body(name: &[u8], value: &Bytes, at: Revision, is_delete: bool) -> Result<Body, Error> {
    let damaged = |why: &str| Error::value(KEY, name, why);
    let item = Item::from_encoded(value, at.sub).map_err(|error| damaged(&error.to_string()))?;
    if item.key().is_empty() {
        return Err(damaged("it has no key"));
    }
    if is_delete {
        return Ok(Body::Delete { key: Bytes::copy_from_slice(item.key()) });
    }
    if item.modified() != at {
        return Err(damaged(&format!("it is of revision {}", item.mod_revision())));
    }
    let plausible = (1..=at.main).contains(&item.create_revision()) && item.version() > 0;
    if plausible { Ok(Body::Put(item)) } else { Err(damaged("its revisions cannot be")) }
}

/// The revision up to which history may be gone: the last compaction that was accepted.
fn compaction<S: Source>(file: &Database<S>, marks: &Bucket) -> Result<i64, Error> {
    let mut compacted = -1;
    for entry in file.entries(marks) {
        let (key, value) = entry?;
        if key == meta::SCHEDULED_COMPACT || key == meta::FINISHED_COMPACT {
            let mark = revision_key::decode(&value);
            let (at, _) = mark.ok_or_else(|| Error::value(META, &key, "it is no revision"))?;
            compacted = compacted.max(at.main);
        }
    }
    Ok(compacted)
}
