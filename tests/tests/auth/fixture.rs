//! A member with users, and requests that carry a token.

use anyhow::{Context, Result};
use portunus_proto::authpb::{Permission, UserAddOptions, permission::Type};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Member, Rpc};
pub use portunus_tests::{Token, login};
use tempfile::TempDir;
use tonic::{Code, Status};

/// As quick as it gets: what is tested is not the hash.
pub const CHEAP: &str = "--bcrypt-cost=4";

pub const DENIED: (Code, &str) = (Code::PermissionDenied, "etcdserver: permission denied");
pub const NOBODY: (Code, &str) = (Code::InvalidArgument, "etcdserver: user name is empty");
pub const BAD_TOKEN: (Code, &str) = (Code::Unauthenticated, "etcdserver: invalid auth token");
pub const FAILED: (Code, &str) =
    (Code::InvalidArgument, "etcdserver: authentication failed, invalid user ID or password");
pub const OLD: (Code, &str) = (Code::InvalidArgument, "etcdserver: revision of auth store is old");

/// A member and a connection to it.
pub struct World {
    pub member: Member,
    pub rpc: Rpc,
    _dir: TempDir,
}

impl World {
    pub async fn start(more: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let flags: Vec<&str> = [CHEAP].into_iter().chain(more.iter().copied()).collect();
        let member = Member::single(dir.path(), &flags)?;
        let rpc = Rpc::connect(&member.client_url).await?;
        Ok(Self { member, rpc, _dir: dir })
    }

    /// With the users of [`people`] and auth on. Returns root's token too.
    pub async fn guarded(more: &[&str]) -> Result<(Self, Token)> {
        let mut world = Self::start(more).await?;
        people(&mut world.rpc).await?;
        let root = login(&mut world.rpc, "root", "root").await?;
        Ok((world, root))
    }
}

pub fn user(name: &str, password: &str) -> pb::AuthUserAddRequest {
    pb::AuthUserAddRequest {
        name: name.into(),
        password: password.into(),
        options: None,
        hashed_password: String::new(),
    }
}

pub fn passwordless(name: &str) -> pb::AuthUserAddRequest {
    pb::AuthUserAddRequest { options: Some(UserAddOptions { no_password: true }), ..user(name, "") }
}

pub fn role(name: &str) -> pb::AuthRoleAddRequest {
    pb::AuthRoleAddRequest { name: name.into() }
}

pub fn grant(user: &str, role: &str) -> pb::AuthUserGrantRoleRequest {
    pb::AuthUserGrantRoleRequest { user: user.into(), role: role.into() }
}

pub fn permission(kind: Type, key: &str, end: &str) -> Permission {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    Permission { perm_type: kind.into(), key, range_end }
}

pub fn allow(role: &str, perm: Permission) -> pb::AuthRoleGrantPermissionRequest {
    pb::AuthRoleGrantPermissionRequest { name: role.into(), perm: Some(perm) }
}

/// `root`, and `ada` who may do everything under `a/`, read `r/` and write `w/`. Auth is on
/// afterwards.
pub async fn people(rpc: &mut Rpc) -> Result<()> {
    let auth = &mut rpc.auth;
    auth.user_add(user("root", "root")).await?;
    auth.user_grant_role(grant("root", "root")).await?;
    auth.user_add(user("ada", "secret")).await?;
    auth.role_add(role("own")).await?;
    let spans =
        [(Type::Readwrite, "a/", "a0"), (Type::Read, "r/", "r0"), (Type::Write, "w/", "w0")];
    for (kind, key, end) in spans {
        auth.role_grant_permission(allow("own", permission(kind, key, end))).await?;
    }
    auth.user_grant_role(grant("ada", "own")).await?;
    auth.auth_enable(pb::AuthEnableRequest {}).await?;
    Ok(())
}

/// Code and text, or that it went well.
pub fn outcome<T>(result: Result<T, Status>) -> (Code, String) {
    portunus_tests::refusal(result)
}

#[track_caller]
pub fn assert_refused<T>(what: &str, result: Result<T, Status>, (code, text): (Code, &str)) {
    assert_eq!(outcome(result), (code, text.to_owned()), "{what}");
}

#[track_caller]
pub fn assert_done<T>(what: &str, result: Result<T, Status>) -> T {
    result.unwrap_or_else(|status| panic!("{what}: {status:?}"))
}

pub fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), value: "v".into(), ..Default::default() }
}

pub fn range(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

pub fn delete(key: &str, end: &str) -> pb::DeleteRangeRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    pb::DeleteRangeRequest { key, range_end, prev_kv: false }
}

/// The first revision that a store of auth has is 1; each change adds one.
pub async fn auth_status(rpc: &mut Rpc) -> Result<(bool, u64)> {
    let answer = rpc.auth.auth_status(pb::AuthStatusRequest {}).await.context("auth status")?;
    let answer = answer.into_inner();
    Ok((answer.enabled, answer.auth_revision))
}
