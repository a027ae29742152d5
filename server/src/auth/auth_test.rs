//! Permission checks against a naive model, and who counts as whom.

use bytes::Bytes;
use portunus_proto::authpb::{Permission, Role, User, UserAddOptions, permission::Type};
use proptest::prelude::*;

use super::{Auth, AuthRefusal, Caller, ROOT};
use crate::effect::Effect;
use crate::types::KeyRange;

fn user(name: &str, roles: &[&str]) -> Effect {
    Effect::AuthUserPut(User {
        name: Bytes::copy_from_slice(name.as_bytes()),
        password: Bytes::new(),
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        options: Some(UserAddOptions::default()),
    })
}

fn role(name: &str, permissions: &[(Type, KeyRange)]) -> Effect {
    let permission = |(kind, range): &(Type, KeyRange)| {
        let (key, range_end) = on_wire(range);
        Permission { perm_type: (*kind).into(), key, range_end }
    };
    Effect::AuthRolePut(Role {
        name: Bytes::copy_from_slice(name.as_bytes()),
        key_permission: permissions.iter().map(permission).collect(),
    })
}

fn on_wire(range: &KeyRange) -> (Bytes, Bytes) {
    use crate::types::RangeEnd;
    let end = match &range.end {
        RangeEnd::Single => Bytes::new(),
        RangeEnd::Before(end) => end.clone(),
        RangeEnd::Unbounded => Bytes::from_static(b"\0"),
    };
    (range.start.clone(), end)
}

fn auth(effects: &[Effect]) -> Auth {
    let mut auth = Auth::default();
    effects.iter().for_each(|effect| auth.apply(effect));
    auth.apply(&Effect::AuthSet { enabled: true, revision: 7 });
    auth
}

fn named(name: &str) -> Caller {
    Caller::Named(name.into())
}

#[test]
fn credentials_are_worth_what_the_state_says() {
    let mut auth = auth(&[user("ada", &[]), user(ROOT, &[ROOT])]);
    let digest = Bytes::from_static(b"digest");
    let until_ms = 1;
    let token = Caller::Token(digest.clone());
    let who = |auth: &Auth, caller: &Caller| {
        auth.rights(caller).map(|rights| rights.user().map(str::to_owned))
    };
    assert_eq!(who(&auth, &Caller::Server), Ok(None));
    assert_eq!(who(&auth, &Caller::Nobody), Err(AuthRefusal::UserEmpty));
    assert_eq!(who(&auth, &Caller::Invalid), Err(AuthRefusal::InvalidToken));
    assert_eq!(who(&auth, &token), Err(AuthRefusal::InvalidToken));
    auth.apply(&Effect::TokenPut { digest: digest.clone(), user: "ada".into(), until_ms });
    assert_eq!(who(&auth, &token), Ok(Some("ada".into())));
    assert!(!auth.is_over(&token, 0) && auth.is_over(&token, 1) && !auth.is_over(&named("ada"), 1));
    auth.apply(&Effect::AuthUserDrop { name: "ada".into() });
    assert_eq!(who(&auth, &token), Err(AuthRefusal::Denied));
    auth.apply(&Effect::TokenDrop { digest });
    assert_eq!(who(&auth, &token), Err(AuthRefusal::InvalidToken));
    let signed = |revision| Caller::Signed { user: ROOT.into(), revision };
    assert_eq!(who(&auth, &signed(7)), Ok(Some(ROOT.into())));
    let old = auth.rights(&signed(6)).expect("known");
    assert_eq!(old.read(&KeyRange::single("a")), Err(AuthRefusal::OldRevision));
    assert!(!old.hold_everything() && old.root().is_ok(), "an old one is good for changing users");
    assert_eq!(who(&auth, &named("")), Err(AuthRefusal::UserEmpty));
    assert_eq!(who(&auth, &named("eve")), Err(AuthRefusal::Denied));
    assert_eq!(auth.root(&named("eve")), Err(AuthRefusal::UserNotFound));
    assert_eq!(auth.root(&Caller::Nobody), Err(AuthRefusal::UserEmpty));
    auth.enabled = false;
    assert_eq!(who(&auth, &Caller::Invalid), Ok(None), "nobody is asked while auth is off");
}

#[test]
fn permissions_of_several_roles_hold_together() {
    let (a, b) =
        (KeyRange::from_wire("a".into(), "b".into()), KeyRange::from_wire("b".into(), "c".into()));
    let auth = auth(&[
        role("first", &[(Type::Read, a)]),
        role("second", &[(Type::Readwrite, b.clone()), (Type::Write, KeyRange::single("x"))]),
        user("ada", &["first", "gone", "second"]),
    ]);
    let rights = auth.rights(&named("ada")).expect("known");
    let both = KeyRange::from_wire("a".into(), "c".into());
    assert_eq!(rights.read(&both), Ok(()));
    assert_eq!(rights.write(&both), Err(AuthRefusal::Denied));
    assert_eq!(rights.write(&b), Ok(()));
    assert_eq!(rights.write(&KeyRange::single("x")), Ok(()));
    assert_eq!(rights.read(&KeyRange::single("x")), Err(AuthRefusal::Denied));
    assert_eq!(rights.write(&KeyRange::single("x\0")), Err(AuthRefusal::Denied));
    assert_eq!(rights.root(), Err(AuthRefusal::Denied));
    // A range that holds no key tells nothing of keys that are somebody else's.
    let empty = KeyRange::from_wire("z".into(), "y".into());
    assert_eq!(rights.read(&empty), Err(AuthRefusal::Denied));
}

/// Keys of up to two letters out of three, so that all there are can be tried.
fn key() -> impl Strategy<Value = String> {
    "[abc]{1,2}"
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        key().prop_map(KeyRange::single),
        (key(), key()).prop_map(|(a, b)| KeyRange::from_wire(a.into(), b.into())),
        key().prop_map(|key| KeyRange::from_wire(key.into(), "\0".into())),
    ]
}

/// A key beside every bound that can be, its successor included.
fn all_keys() -> Vec<Bytes> {
    let letters = ["a", "b", "c"];
    let mut keys: Vec<String> = letters.iter().map(|letter| (*letter).to_owned()).collect();
    keys.extend(letters.iter().flat_map(|a| letters.iter().map(move |b| format!("{a}{b}"))));
    let after: Vec<String> =
        keys.iter().flat_map(|k| [format!("{k}\0"), format!("{k}d")]).collect();
    keys.into_iter().chain(after).chain(["d".to_owned()]).map(Bytes::from).collect()
}

proptest! {
    #[test]
    fn a_range_is_held_exactly_when_each_of_its_keys_is(
        roles in prop::collection::vec(prop::collection::vec(range(), 0..4), 0..4),
        asked in range(),
    ) {
        let names: Vec<String> = (0..roles.len()).map(|n| n.to_string()).collect();
        let mut effects: Vec<Effect> = names.iter().zip(&roles).map(|(name, ranges)| {
            let grants: Vec<_> = ranges.iter().map(|r| (Type::Read, r.clone())).collect();
            role(name, &grants)
        }).collect();
        effects.push(user("ada", &names.iter().map(String::as_str).collect::<Vec<_>>()));
        let auth = auth(&effects);
        let rights = auth.rights(&named("ada")).expect("known");
        let granted = roles.iter().flatten();
        let held = |key: &Bytes| granted.clone().any(|grant| grant.contains(key));
        let naive = if asked.is_empty() {
            held(&asked.start)
        } else {
            all_keys().iter().filter(|key| asked.contains(key)).all(held)
        };
        prop_assert_eq!(rights.read(&asked).is_ok(), naive, "{:?}", asked);
        prop_assert!(rights.write(&asked).is_err());
    }
}
