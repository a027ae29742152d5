//! The steps: users and roles are made, wrongly and rightly, auth begins, everybody tries
//! everything, and it ends.

use pb::request_op::Request as Op;
use portunus_proto::authpb::permission::Type;
use portunus_proto::authpb::{Permission, UserAddOptions};
use portunus_proto::etcdserverpb as pb;

use super::asked::{Ask, Step};
use crate::call::{Version, delete, put, range};

const ALWAYS: Version = (0, 0, 0);
/// Whether auth is on is told since then.
const STATUS: Version = (3, 5, 0);
/// Since then each empty range is refused; before, some etcds end at one.
const EMPTY_RANGES: Version = (3, 6, 0);
/// Before, leases and alarms were there without a login, and everybody could compact.
const LOGIN_FOR_ALL: Version = (3, 7, 0);
/// Before, nobody looked into a transaction in a transaction, nor at what it tells of keys that may
/// not be read.
const DEEP: Version = (3, 7, 0);
/// Before, the role root looked empty, refusals of upkeep had no codes, a token was held against its
/// holder while auth was off, and the last of 3.5 and 3.6 tell only users whether it is on.
const NEWER: Version = (3, 7, 0);

fn by(who: &'static str, asks: impl IntoIterator<Item = Ask>) -> Vec<Step> {
    asks.into_iter().map(|ask| Step { who, ask, since: ALWAYS }).collect()
}

fn since(since: Version, steps: Vec<Step>) -> Vec<Step> {
    steps.into_iter().map(|step| Step { since, ..step }).collect()
}

fn login(name: &str, password: &str) -> Ask {
    Ask::Login(pb::AuthenticateRequest { name: name.into(), password: password.into() })
}

fn user(name: &str, password: &str) -> Ask {
    let (name, password) = (name.into(), password.into());
    Ask::UserAdd(pb::AuthUserAddRequest { name, password, ..Default::default() })
}

fn passwordless(name: &str) -> Ask {
    let options = Some(UserAddOptions { no_password: true });
    Ask::UserAdd(pb::AuthUserAddRequest { name: name.into(), options, ..Default::default() })
}

fn password(name: &str, password: &str) -> Ask {
    let (name, password) = (name.into(), password.into());
    Ask::ChangePassword(pb::AuthUserChangePasswordRequest { name, password, ..Default::default() })
}

fn grant(user: &str, role: &str) -> Ask {
    Ask::GrantRole(pb::AuthUserGrantRoleRequest { user: user.into(), role: role.into() })
}

fn revoke(name: &str, role: &str) -> Ask {
    Ask::RevokeRole(pb::AuthUserRevokeRoleRequest { name: name.into(), role: role.into() })
}

fn allow(role: &str, kind: Type, key: &'static str, range_end: &'static str) -> Ask {
    let perm = Permission { perm_type: kind.into(), key: key.into(), range_end: range_end.into() };
    Ask::Allow(pb::AuthRoleGrantPermissionRequest { name: role.into(), perm: Some(perm) })
}

fn disallow(role: &str, key: &'static str, range_end: &'static str) -> Ask {
    let (key, range_end) = (key.into(), range_end.into());
    Ask::Disallow(pb::AuthRoleRevokePermissionRequest { role: role.into(), key, range_end })
}

fn users() -> Vec<Step> {
    by(
        "",
        [
            login("ada", "secret"),
            Ask::UserList,
            Ask::UserGet("ada"),
            Ask::UserDelete("ada"),
            password("ada", "x"),
            user("", "x"),
            user("ada", "secret"),
            user("ada", "other"),
            user("bob", ""),
            user("eve", "x"),
            passwordless("daemon"),
            Ask::UserGet("ada"),
            Ask::UserList,
            password("bob", "builder"),
            password("daemon", "x"),
            grant("ada", "reader"),
            grant("nobody", "reader"),
            grant("ada", "root"),
            grant("ada", "root"),
            Ask::UserGet("ada"),
            revoke("ada", "root"),
            revoke("ada", "root"),
            revoke("nobody", "root"),
            Ask::UserDelete("eve"),
            Ask::UserDelete("eve"),
            Ask::UserDelete(""),
            Ask::Enable,
            Ask::Disable,
        ],
    )
}

fn roles() -> Vec<Step> {
    let mut steps = by(
        "",
        [
            Ask::RoleList,
            Ask::RoleGet("reader"),
            Ask::RoleDelete("reader"),
            Ask::RoleAdd(""),
            Ask::RoleAdd("reader"),
            Ask::RoleAdd("reader"),
            Ask::RoleAdd("own"),
            Ask::RoleAdd("writer"),
            Ask::RoleAdd("doomed"),
            Ask::RoleAdd("root"),
            Ask::RoleGet("reader"),
            allow("none", Type::Read, "r/", "r0"),
            allow("reader", Type::Read, "r/", "r0"),
            allow("reader", Type::Write, "r/", "r0"),
            allow("reader", Type::Read, "r/", "r0"),
            allow("reader", Type::Read, "a single one", ""),
            allow("own", Type::Readwrite, "a/", "a0"),
            allow("own", Type::Readwrite, "z", "\0"),
            allow("own", Type::Read, "b", ""),
            allow("writer", Type::Write, "w/", "w0"),
            Ask::RoleGet("own"),
            Ask::RoleGet("reader"),
            disallow("none", "b", ""),
            disallow("own", "b", "c"),
            disallow("own", "b", ""),
            disallow("own", "b", ""),
            Ask::RoleGet("own"),
            grant("ada", "own"),
            grant("ada", "reader"),
            grant("ada", "writer"),
            grant("ada", "doomed"),
            grant("daemon", "doomed"),
            Ask::UserGet("ada"),
            Ask::RoleDelete("doomed"),
            Ask::UserGet("ada"),
            Ask::UserGet("daemon"),
            Ask::RoleList,
        ],
    );
    steps.extend(since(NEWER, by("", [Ask::RoleGet("root")])));
    let empty = [("", ""), ("", "z"), ("b", "a"), ("b", "b")];
    let empty = empty.map(|(key, end)| allow("own", Type::Read, key, end));
    steps.extend(since(EMPTY_RANGES, by("", empty)));
    let nothing = pb::AuthRoleGrantPermissionRequest { name: "own".into(), perm: None };
    steps.extend(since(EMPTY_RANGES, by("", [Ask::Allow(nothing)])));
    steps
}

fn beginning() -> Vec<Step> {
    let mut steps = since(STATUS, by("", [Ask::Status]));
    steps.extend(by(
        "",
        [
            Ask::Put(put("a/k", "1")),
            Ask::Put(put("b", "1")),
            Ask::Put(put("w/k", "1")),
            Ask::Grant(7),
            Ask::Put(pb::PutRequest { lease: 7, ..put("b/leased", "1") }),
            Ask::Enable,
            user("root", "toor"),
            Ask::Enable,
            grant("root", "root"),
            Ask::Enable,
            // From here on nobody is somebody.
            Ask::Enable,
            Ask::UserList,
            Ask::Put(put("a/k", "2")),
            login("root", "wrong"),
            login("root", ""),
            login("nobody", "x"),
            login("", ""),
            login("daemon", ""),
            login("daemon", "x"),
            login("bob", ""),
            login("bob", "builder"),
            login("root", "toor"),
            login("ada", "secret"),
        ],
    ));
    steps.extend(since(NEWER, by("", [Ask::Status])));
    steps
}

fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

fn then(request: Op) -> pb::TxnRequest {
    pb::TxnRequest { success: vec![op(request)], ..Default::default() }
}

fn otherwise(request: Op) -> pb::TxnRequest {
    pb::TxnRequest { failure: vec![op(request)], ..Default::default() }
}

fn of_data(who: &'static str) -> Vec<Step> {
    let (mut asks, mut nested) = (Vec::new(), Vec::new());
    let keys = ["a/k", "a", "a0", "b", "r/k", "w/k", "z", "zz", "a single one", "y"];
    for key in keys {
        asks.push(Ask::Range(range(key)));
        asks.push(Ask::Range(pb::RangeRequest { serializable: true, ..range(key) }));
        asks.push(Ask::Put(put(key, "by somebody")));
        let compare = pb::Compare { key: key.into(), ..Default::default() };
        let compared = pb::TxnRequest { compare: vec![compare], ..Default::default() };
        let one = [
            compared,
            then(Op::RequestRange(range(key))),
            otherwise(Op::RequestRange(range(key))),
            then(Op::RequestPut(put(key, "by a txn"))),
            otherwise(Op::RequestDeleteRange(delete(key))),
        ];
        for txn in one {
            asks.push(Ask::Txn(txn.clone()));
            nested.push(Ask::Txn(otherwise(Op::RequestTxn(txn))));
        }
        asks.push(Ask::Delete(delete(key)));
    }
    let spans = [("a/", "a0"), ("a/", "a1"), ("a", "b"), ("a/", "\0"), ("z", "\0"), ("zz", "\0")];
    for (key, end) in spans.into_iter().chain([("r/", "r0"), ("q", "r0"), ("\0", "\0")]) {
        asks.push(Ask::Range(pb::RangeRequest { range_end: end.into(), ..range(key) }));
        asks.push(Ask::Delete(pb::DeleteRangeRequest { range_end: end.into(), ..delete(key) }));
    }
    for key in ["a/k", "w/k"] {
        asks.push(Ask::Put(pb::PutRequest { prev_kv: true, ..put(key, "and what was") }));
        asks.push(Ask::Delete(pb::DeleteRangeRequest { prev_kv: true, ..delete(key) }));
    }
    asks.extend([
        Ask::Put(pb::PutRequest { lease: 7, ..put("a/k", "under another's lease") }),
        Ask::Revoke(7),
    ]);
    let mut steps = by(who, asks);
    steps.extend(since(DEEP, by(who, nested)));
    for key in ["a/k", "w/k"] {
        let put = pb::PutRequest { prev_kv: true, ..put(key, "and what was") };
        let delete = pb::DeleteRangeRequest { prev_kv: true, ..delete(key) };
        let txns = [then(Op::RequestPut(put)), then(Op::RequestDeleteRange(delete))];
        steps.extend(since(DEEP, by(who, txns.map(Ask::Txn))));
    }
    steps
}

fn of_everything(who: &'static str) -> Vec<Step> {
    let mut steps = by(
        who,
        [
            Ask::Enable,
            Ask::UserList,
            Ask::UserGet("ada"),
            Ask::UserGet("root"),
            Ask::UserGet("nobody"),
            Ask::RoleList,
            Ask::RoleGet("own"),
            Ask::RoleGet("none"),
            user("new", "x"),
            Ask::UserDelete("new"),
            password("bob", "builder"),
            Ask::RoleAdd("new"),
            Ask::RoleDelete("new"),
            grant("bob", "own"),
            revoke("bob", "own"),
            allow("own", Type::Read, "b", ""),
            disallow("own", "b", ""),
            Ask::Defragment,
            Ask::HashKv,
        ],
    );
    steps.extend(since(
        LOGIN_FOR_ALL,
        by(who, [Ask::Compact(1_000_000), Ask::Alarms, Ask::Grant(8), Ask::Revoke(8)]),
    ));
    steps
}

fn management() -> Vec<Step> {
    by(
        "root",
        [
            Ask::UserDelete("root"),
            Ask::RoleDelete("root"),
            revoke("root", "root"),
            password("ada", "new"),
        ],
    )
    .into_iter()
    .chain(by("ada", [Ask::Range(range("a/k")), login("ada", "secret"), login("ada", "new")]))
    .chain(by("ada", [Ask::Range(range("a/k")), Ask::Disable]))
    .chain(by("root", [revoke("ada", "own")]))
    .chain(by("ada", [Ask::Range(range("a/k")), Ask::Range(range("r/k"))]))
    .chain(by("root", [Ask::UserDelete("ada")]))
    .chain(by("ada", [Ask::Range(range("r/k")), login("ada", "new")]))
    .chain(by("root", [Ask::Disable]))
    .chain(by("", [Ask::Range(range("b")), login("root", "toor"), Ask::Disable]))
    .chain(since(NEWER, by("root", [Ask::Range(range("b"))])))
    .collect()
}

pub fn script() -> Vec<Step> {
    let mut all = [users(), roles(), beginning()].concat();
    // The lease and the keys of others are there until root comes.
    for who in ["", "forger", "bob", "ada", "root"] {
        all.extend(of_everything(who));
        all.extend(of_data(who));
    }
    all.extend(management());
    all
}
