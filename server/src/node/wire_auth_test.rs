//! Every caller and every change of auth comes back as it was.

use bytes::{Bytes, BytesMut};

use super::{decode, decode_ask, encode, encode_ask};
use crate::auth::Caller;
use crate::decide::{AuthAsk, Request};
use crate::node::ask::Ask;
use crate::types::LeaseId;

#[test]
fn callers_come_back_and_cut_ones_do_not() {
    let callers = [
        Caller::Server,
        Caller::Nobody,
        Caller::Invalid,
        Caller::Token(Bytes::from_static(b"digest")),
        Caller::Signed { user: "ada".into(), revision: 7 },
        Caller::Named("bob".into()),
    ];
    for caller in callers {
        let bytes = encode(&caller, &Ask::KeepAlive(LeaseId(3)));
        let (read, ask) = decode(bytes.clone()).expect("what was written");
        assert_eq!(read, caller);
        assert!(matches!(ask, Ask::KeepAlive(LeaseId(3))));
        for end in 0..bytes.len() {
            assert!(decode(bytes.slice(..end)).is_err(), "{caller:?} cut at {end}");
        }
    }
}

#[test]
fn changes_of_auth_come_back() {
    let changes = [
        AuthAsk::Enable,
        AuthAsk::Disable,
        AuthAsk::UserAdd(Default::default()),
        AuthAsk::UserDelete(Default::default()),
        AuthAsk::UserChangePassword(Default::default()),
        AuthAsk::UserGrantRole(Default::default()),
        AuthAsk::UserRevokeRole(Default::default()),
        AuthAsk::RoleAdd(Default::default()),
        AuthAsk::RoleDelete(Default::default()),
        AuthAsk::RoleGrantPermission(Default::default()),
        AuthAsk::RoleRevokePermission(Default::default()),
        AuthAsk::Assign {
            digest: Bytes::from_static(b"d"),
            user: "ada".into(),
            revision: 4,
            until_ms: 5,
        },
        AuthAsk::Renew { digest: Bytes::from_static(b"d"), until_ms: 6 },
    ];
    for change in changes {
        let mut bytes = BytesMut::new();
        encode_ask(&change, &mut bytes);
        assert_eq!(decode_ask(bytes.freeze()).as_ref(), Ok(&change));
        let ask = Ask::Decide(Request::Auth(change.clone()));
        let (_, read) = decode(encode(&Caller::Nobody, &ask)).expect("what was written");
        assert_eq!(format!("{read:?}"), format!("{ask:?}"));
    }
}
