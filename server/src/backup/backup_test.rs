//! A store written to a file and read back holds the same, and what no etcd writes is refused by
//! name.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::Path;

use bytes::Bytes;
use triomphe::Arc;

use super::schema::{ALARM, AUTH, AUTH_ROLES, AUTH_USERS, KEY, LEASE, META, OWN};
use super::{Error, Imported, Options, Origin, OriginMember, export, import, status};
use crate::bbolt::{Database, Writer};
use crate::effect::{
    Alarm, AlarmKind, Attributes, Author, Component, Effect, TriggerState, TriggerStatus,
};
use crate::machine::{Rows, State, What, load, position_rows};
use crate::mvcc::History;
use crate::storage::{self, Batch, Body, Record, Store};
use crate::types::{Item, LeaseId, MemberId, Revision};
use portunus_proto::authpb::{Permission, Role, User};

fn put(key: &str, value: &str, created: i64, main: i64, sub: u32, version: i64) -> Effect {
    let at = Revision::new(main, sub);
    Effect::Put(Item::new(key.as_bytes(), value.as_bytes(), created, at, version, LeaseId(7)))
}

fn delete(key: &'static str, main: i64, sub: u32) -> Effect {
    Effect::Delete { key: Bytes::from_static(key.as_bytes()), at: Revision::new(main, sub) }
}

fn author() -> Arc<Author> {
    Arc::new(Author { plugin: "audit".into(), caller: "alice".into(), ..Author::default() })
}

fn history() -> Vec<Effect> {
    let member = MemberId(5);
    vec![
        Effect::LeaseGrant { id: LeaseId(7), ttl: 60 },
        Effect::LeaseGrant { id: LeaseId(-9), ttl: 100 },
        Effect::LeaseCheckpoint { id: LeaseId(-9), remaining: 40 },
        put("a", "1", 2, 2, 0, 1),
        put("b", "1", 2, 2, 1, 1),
        put("a", "2", 2, 3, 0, 2),
        delete("b", 4, 0),
        Effect::By { main: 5, author: author() },
        put("c", "by a plugin", 5, 5, 0, 1),
        put("a", "3", 2, 6, 0, 3),
        Effect::AlarmRaise(Alarm { member, kind: AlarmKind::NoSpace }),
        Effect::Publish(Attributes { member, name: "m0".into(), ..Attributes::default() }),
        Effect::ComponentStore(Component { digest: "digest".into(), bytes: "wasm".into() }),
        Effect::TriggerSet(TriggerState {
            binding: "audit/on".into(),
            cursor: 4,
            status: TriggerStatus::Running,
        }),
        Effect::AuthUserPut(User {
            name: "ada".into(),
            password: "$2b$04$hash".into(),
            roles: vec!["reader".into()],
            options: None,
        }),
        Effect::AuthRolePut(Role {
            name: "reader".into(),
            key_permission: vec![Permission { key: "a".into(), ..Permission::default() }],
        }),
        Effect::AuthSet { enabled: true, revision: 7 },
        Effect::TokenPut { digest: "digest".into(), user: "ada".into(), until_ms: u64::MAX },
        Effect::Compact { revision: 3 },
    ]
}

/// A store that holds what these effects leave, and its history.
fn filled(dir: &Path, effects: &[Effect]) -> (Store, State, History) {
    let (store, _) = Store::open(dir, storage::Options::default()).unwrap();
    let (mut state, mut changes, mut rows) = (State::default(), Vec::new(), Rows::new());
    effects.iter().for_each(|effect| state.apply(effect, &mut changes, &mut rows));
    rows.extend(position_rows(&state));
    let history = History::default();
    history.extend(&changes);
    let records = changes.into_iter().map(|change| {
        let body = match change.what {
            What::Put(item) => Body::Put(item),
            What::Delete { key } => Body::Delete { key },
        };
        (change.at, Record { body, author: change.author })
    });
    let records = records.collect();
    store.write(Batch { index: 9, records, rows, forget: Vec::new() }).unwrap();
    (store, state, history)
}

fn exported(store: &Store, leftovers: &HashSet<Revision>) -> Vec<u8> {
    let member = OriginMember { id: 5, name: "m0".into(), ..OriginMember::default() };
    let origin = Origin { index: 9, term: 2, members: vec![member] };
    let out = Cursor::new(Vec::new());
    let (out, bytes) = export(&store.snapshot().unwrap(), &origin, leftovers, out).unwrap();
    assert_eq!(out.get_ref().len() as u64, bytes);
    out.into_inner()
}

/// What is in a fresh store after an import.
struct Contents {
    imported: Imported,
    state: State,
    records: Vec<(Revision, Record)>,
}

fn imported(file: Vec<u8>, options: Options) -> Result<Contents, Error> {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(dir.path(), storage::Options::default())?;
    let mut installer = store.installer()?;
    let imported = import(&Database::open(file)?, options, &mut installer)?;
    store.replace(installer.finish(1, imported.head)?)?;
    let (mut rows, mut records) = (Vec::new(), Vec::new());
    store.load(|key, value| rows.push((key, value)), |at, record| records.push((at, record)))?;
    let what = |record: &Record| match &record.body {
        Body::Put(item) => What::Put(item.clone()),
        Body::Delete { key } => What::Delete { key: key.clone() },
    };
    let effects = records.iter().map(|(at, record)| (*at, what(record)));
    let (state, _) = load(rows, effects).expect("what was imported can be loaded");
    Ok(Contents { imported, state, records })
}

#[test]
fn a_store_comes_back_from_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let (store, before, _) = filled(dir.path(), &history());
    let file = exported(&store, &HashSet::new());
    let Contents { imported, state, records } = imported(file, Options::default()).unwrap();
    assert_eq!((imported.revision, imported.compacted, imported.keys), (6, 3, 2));
    assert_eq!(imported.ignored, [""; 0]);
    assert_eq!((state.revision, state.compacted, state.digest), (6, 3, before.digest));
    let leases = |state: &State| state.leases().iter().copied().collect::<Vec<_>>();
    assert_eq!(leases(&state), leases(&before));
    assert_eq!(state.lease_keys(LeaseId(7)), ["a", "c"]);
    assert_eq!(state.registry().alarms, before.registry().alarms);
    assert_eq!(state.registry().components, before.registry().components);
    assert_eq!(state.trigger("audit/on"), before.trigger("audit/on"));
    let (auth, of_before) = (state.auth(), before.auth());
    assert_eq!((auth.enabled, auth.revision), (true, 7));
    assert_eq!(auth.user("ada"), of_before.user("ada"));
    assert_eq!(auth.role("reader"), of_before.role("reader"));
    assert!(auth.user("ada").is_some() && auth.role("reader").is_some());
    assert!(auth.tokens.is_empty() && !of_before.tokens.is_empty(), "nobody gets in by a file");
    assert!(state.registry().members.is_empty(), "the new cluster has members of its own");
    let of_file: Vec<_> = store.scan(Revision::default(), Revision::new(99, 0)).collect();
    let of_file: Vec<_> = of_file.into_iter().map(Result::unwrap).collect();
    assert_eq!(records, of_file, "with their authors");
    let by = records.iter().find(|(at, _)| at.main == 5).unwrap().1.author.clone();
    assert_eq!(by, Some(author()));
}

#[test]
fn what_compaction_has_passed_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, history) = filled(dir.path(), &history());
    let leftovers = history.leftovers(3);
    assert_eq!(leftovers, [Revision::new(2, 0)].into());
    let records = imported(exported(&store, &leftovers), Options::default()).unwrap().records;
    let revisions: Vec<_> = records.iter().map(|(at, _)| (at.main, at.sub)).collect();
    assert_eq!(revisions, [(2, 1), (3, 0), (4, 0), (5, 0), (6, 0)]);
    // A delete of before the mark goes too; one at the mark stays, as in an etcd.
    assert_eq!(history.leftovers(4), [Revision::new(2, 0), Revision::new(2, 1)].into());
    let all = [(2, 0), (2, 1), (3, 0), (4, 0)].map(|(main, sub)| Revision::new(main, sub));
    assert_eq!(history.leftovers(6), all.into());
}

#[test]
fn a_bumped_revision_is_compacted_up_to_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (store, before, _) = filled(dir.path(), &history());
    let options = Options { bump_revision: Some(1_000_000_000) };
    let Contents { state, .. } = imported(exported(&store, &HashSet::new()), options).unwrap();
    assert_eq!((state.revision, state.compacted), (1_000_000_006, 1_000_000_006));
    assert_eq!(state.digest, before.digest);
}

#[test]
fn the_figures_of_a_file_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _, _) = filled(dir.path(), &history());
    let file = exported(&store, &HashSet::new());
    let bytes = file.len() as u64;
    let told = status(&Database::open(file).unwrap()).unwrap();
    assert_eq!((told.revision, told.total_keys, told.total_bytes), (6, 2, bytes));
    assert_eq!(told.version, "3.6.0", "an etcd 3.6 opens it, too");
    let dir = tempfile::tempdir().unwrap();
    let (empty, _, _) = filled(dir.path(), &[]);
    let told = status(&Database::open(exported(&empty, &HashSet::new())).unwrap()).unwrap();
    assert_eq!((told.revision, told.total_keys), (0, 0));
}

type Buckets<'a> = &'a [(&'a str, &'a [(&'a [u8], &'a [u8])])];

fn file(buckets: Buckets<'_>) -> Vec<u8> {
    let mut writer = Writer::new(Cursor::new(Vec::new())).unwrap();
    for (name, entries) in buckets {
        let mut bucket = writer.bucket(name);
        for (key, value) in *entries {
            writer.put(&mut bucket, key, value).unwrap();
        }
        writer.close(bucket).unwrap();
    }
    writer.finish().unwrap().0.into_inner()
}

fn refusal(buckets: Buckets<'_>) -> String {
    match imported(file(buckets), Options::default()) {
        Ok(_) => panic!("a damaged snapshot was taken"),
        Err(error) => error.to_string(),
    }
}

const TWO: &[u8] = b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0";

#[test]
fn what_no_etcd_writes_is_refused_by_name() {
    let item = |created: i64, main: i64, version: i64| {
        let at = Revision::new(main, 0);
        Item::new(b"k", b"v", created, at, version, LeaseId::NONE).encoded().to_vec()
    };
    let name = r"\x00\x00\x00\x00\x00\x00\x00\x02_\x00\x00\x00\x00\x00\x00\x00\x00";
    let key = |value: &[u8]| refusal(&[(KEY, &[(TWO, value)])]);
    assert_eq!(refusal(&[]), "the snapshot has no bucket \"key\": it is not etcd's data");
    assert_eq!(
        refusal(&[(KEY, &[(b"short", b"")])]),
        "bucket \"key\": key short is not one that etcd writes there"
    );
    let damaged = |why: &str| format!("bucket \"key\": the value of {name} is damaged: {why}");
    assert_eq!(key(&item(2, 3, 1)), damaged("it is of revision 3"));
    assert_eq!(key(&item(3, 2, 1)), damaged("its revisions cannot be"));
    assert_eq!(key(&item(2, 2, 0)), damaged("its revisions cannot be"));
    assert_eq!(key(&item(2, 2, 1)[1..]), damaged("malformed key-value record"));
    let nameless = Item::new(b"", b"v", 2, Revision::new(2, 0), 1, LeaseId::NONE);
    assert_eq!(key(nameless.encoded()), damaged("it has no key"));
    let lease = super::schema::Lease { id: 4, ttl: 9, remaining_ttl: 0 };
    let lease = prost::Message::encode_to_vec(&lease);
    let of_another = refusal(&[(KEY, &[]), (LEASE, &[(&5i64.to_be_bytes(), &lease)])]);
    assert!(of_another.ends_with("is damaged: it is of lease 4"), "{of_another}");
    assert_eq!(
        refusal(&[(KEY, &[]), (ALARM, &[(b"\xff", b"")])]),
        r#"bucket "alarm": key \xff is not one that etcd writes there"#
    );
    for (bucket, of) in [(AUTH_USERS, "user"), (AUTH_ROLES, "role")] {
        // Names are the first field of both.
        let of_another = refusal(&[(KEY, &[]), (bucket, &[(b"eve", b"\x0a\x03ada")])]);
        let expected = format!("the value of eve is damaged: it is of another {of}");
        assert_eq!(of_another, format!("bucket \"{bucket}\": {expected}"));
    }
    assert_eq!(
        refusal(&[(KEY, &[]), (AUTH, &[(b"authRevision", b"9")])]),
        "bucket \"auth\": the value of authRevision is damaged: it is no number"
    );
    assert_eq!(
        refusal(&[(KEY, &[]), (META, &[(b"scheduledCompactRev", b"9")])]),
        "bucket \"meta\": the value of scheduledCompactRev is damaged: it is no revision"
    );
    assert_eq!(
        refusal(&[(KEY, &[]), (OWN, &[(b"f", b"\x09")])]),
        "the snapshot's own bucket has form 9, this program knows up to 1"
    );
    assert_eq!(
        refusal(&[(KEY, &[]), (OWN, &[(b"rrow", b"\xff")])]),
        "bucket \"portunus\": the value of rrow is damaged: effect 255 is newer than this program \
         knows: upgrade the member"
    );
}

/// An etcd that had the file in between may hold another history: what was noted of a revision
/// then says nothing of the one of that number now, and a trigger does not wait for it.
#[test]
fn what_is_noted_of_another_history_is_not_believed() {
    let item = |value: &[u8]| Item::new(b"k", value, 2, Revision::new(2, 0), 1, LeaseId::NONE);
    let noted = super::own::author_value(item(b"then").encoded(), &author());
    let key = super::own::author_key(Revision::new(2, 0));
    let trigger =
        TriggerState { binding: "audit/on".into(), cursor: 900, status: TriggerStatus::Running };
    let mut row = Vec::new();
    crate::effect::encode_effect(&Effect::TriggerSet(trigger), &mut row);
    for (value, expected) in [(&b"then"[..], Some(author())), (b"now", None)] {
        let item = item(value);
        let buckets: Buckets<'_> = &[
            (KEY, &[(TWO, item.encoded())]),
            (OWN, &[(&key, &noted), (b"rmachine/trigger/audit/on", &row)]),
        ];
        let Contents { records, state, .. } = imported(file(buckets), Options::default()).unwrap();
        assert_eq!(records[0].1.author, expected);
        assert_eq!(state.trigger("audit/on").unwrap().cursor, 2);
    }
}
