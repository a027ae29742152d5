//! Users and roles are added, changed, listed and removed, and refused with etcd's words.

use anyhow::Result;
use portunus_proto::authpb::{Permission, permission::Type};
use portunus_proto::etcdserverpb as pb;
use tonic::Code;

use crate::fixture::{
    World, allow, assert_done, assert_refused, auth_status, grant, passwordless, permission, role,
    user,
};

const FAILED_PRECONDITION: Code = Code::FailedPrecondition;
const NO_USER: (Code, &str) = (FAILED_PRECONDITION, "etcdserver: user name not found");
const NO_ROLE: (Code, &str) = (FAILED_PRECONDITION, "etcdserver: role name not found");

fn revoke(name: &str, role: &str) -> pb::AuthUserRevokeRoleRequest {
    pb::AuthUserRevokeRoleRequest { name: name.into(), role: role.into() }
}

fn disallow(role: &str, key: &str, end: &str) -> pb::AuthRoleRevokePermissionRequest {
    let (key, range_end) = (key.to_owned().into(), end.to_owned().into());
    pb::AuthRoleRevokePermissionRequest { role: role.into(), key, range_end }
}

async fn roles_of(world: &mut World, name: &str) -> Result<Vec<String>> {
    let request = pb::AuthUserGetRequest { name: name.into() };
    Ok(world.rpc.auth.user_get(request).await?.into_inner().roles)
}

async fn permissions_of(world: &mut World, role: &str) -> Result<Vec<Permission>> {
    let request = pb::AuthRoleGetRequest { role: role.into() };
    Ok(world.rpc.auth.role_get(request).await?.into_inner().perm)
}

#[tokio::test]
async fn users_come_and_go() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let exists = (FAILED_PRECONDITION, "etcdserver: user name already exists");
    let empty = (Code::InvalidArgument, "etcdserver: user name is empty");
    let auth = &mut world.rpc.auth;
    assert_done("add", auth.user_add(user("bob", "x")).await);
    assert_done("add", auth.user_add(passwordless("ada")).await);
    assert_refused("twice", auth.user_add(user("bob", "x")).await, exists);
    assert_refused("nameless", auth.user_add(user("", "x")).await, empty);
    let long = user("long", &"x".repeat(73));
    let too_long = (Code::Unknown, "bcrypt: password length exceeds 72 bytes");
    assert_refused("a password that would be cut", auth.user_add(long).await, too_long);
    let listed = auth.user_list(pb::AuthUserListRequest {}).await?.into_inner().users;
    assert_eq!(listed, ["ada", "bob"]);
    for name in ["eve", ""] {
        let get = pb::AuthUserGetRequest { name: name.into() };
        assert_refused("get", auth.user_get(get).await, NO_USER);
        let delete = pb::AuthUserDeleteRequest { name: name.into() };
        assert_refused("delete", auth.user_delete(delete).await, NO_USER);
        let change = pb::AuthUserChangePasswordRequest { name: name.into(), ..Default::default() };
        assert_refused("change", auth.user_change_password(change).await, NO_USER);
    }
    auth.user_delete(pb::AuthUserDeleteRequest { name: "bob".into() }).await?;
    let listed = auth.user_list(pb::AuthUserListRequest {}).await?.into_inner().users;
    assert_eq!(listed, ["ada"]);
    Ok(())
}

#[tokio::test]
async fn roles_are_granted_and_taken_away() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let auth = &mut world.rpc.auth;
    auth.user_add(user("bob", "x")).await?;
    for name in ["writer", "reader"] {
        auth.role_add(role(name)).await?;
    }
    let exists = (FAILED_PRECONDITION, "etcdserver: role name already exists");
    let empty = (Code::InvalidArgument, "etcdserver: role name is empty");
    let not_granted = (FAILED_PRECONDITION, "etcdserver: role is not granted to the user");
    assert_refused("twice", auth.role_add(role("reader")).await, exists);
    assert_refused("nameless", auth.role_add(role("")).await, empty);
    assert_refused("no user", auth.user_grant_role(grant("eve", "reader")).await, NO_USER);
    assert_refused("no role", auth.user_grant_role(grant("bob", "none")).await, NO_ROLE);
    for name in ["writer", "reader", "reader", "root"] {
        auth.user_grant_role(grant("bob", name)).await?;
    }
    assert_eq!(roles_of(&mut world, "bob").await?, ["reader", "root", "writer"]);
    let auth = &mut world.rpc.auth;
    assert_refused("no user", auth.user_revoke_role(revoke("eve", "reader")).await, NO_USER);
    auth.user_revoke_role(revoke("bob", "reader")).await?;
    assert_refused("again", auth.user_revoke_role(revoke("bob", "reader")).await, not_granted);
    // A role that is gone is nobody's.
    auth.role_delete(pb::AuthRoleDeleteRequest { role: "writer".into() }).await?;
    let gone = pb::AuthRoleDeleteRequest { role: "writer".into() };
    assert_refused("again", auth.role_delete(gone).await, NO_ROLE);
    let listed = auth.role_list(pb::AuthRoleListRequest {}).await?.into_inner().roles;
    assert_eq!(listed, ["reader"]);
    assert_eq!(roles_of(&mut world, "bob").await?, ["root"]);
    Ok(())
}

#[tokio::test]
async fn permissions_are_granted_and_taken_away() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let auth = &mut world.rpc.auth;
    auth.role_add(role("own")).await?;
    let not_given = (Code::InvalidArgument, "etcdserver: permission not given");
    let invalid = (Code::InvalidArgument, "etcdserver: invalid auth management");
    let not_granted = (FAILED_PRECONDITION, "etcdserver: permission is not granted to the role");
    let nothing = pb::AuthRoleGrantPermissionRequest { name: "own".into(), perm: None };
    assert_refused("nothing", auth.role_grant_permission(nothing).await, not_given);
    for (key, end) in [("", ""), ("", "z"), ("b", "a"), ("b", "b")] {
        let wrong = allow("own", permission(Type::Read, key, end));
        assert_refused("an empty range", auth.role_grant_permission(wrong).await, invalid);
    }
    let of_none = allow("none", permission(Type::Read, "a", ""));
    assert_refused("no role", auth.role_grant_permission(of_none).await, NO_ROLE);
    let (one, from) = (permission(Type::Read, "m", ""), permission(Type::Write, "b", "\0"));
    for perm in [&one, &from] {
        auth.role_grant_permission(allow("own", perm.clone())).await?;
    }
    // The same range again changes what may be done with it.
    let more = permission(Type::Readwrite, "m", "");
    auth.role_grant_permission(allow("own", more.clone())).await?;
    assert_eq!(permissions_of(&mut world, "own").await?, [from.clone(), more]);
    let auth = &mut world.rpc.auth;
    let other_end = disallow("own", "m", "n");
    assert_refused("not so", auth.role_revoke_permission(other_end).await, not_granted);
    let of_none = disallow("none", "m", "");
    assert_refused("no role", auth.role_revoke_permission(of_none).await, NO_ROLE);
    auth.role_revoke_permission(disallow("own", "m", "")).await?;
    assert_eq!(permissions_of(&mut world, "own").await?, [from]);
    // The role root has all, whatever it was given.
    world.rpc.auth.role_add(role("root")).await?;
    let all = Permission {
        perm_type: Type::Readwrite.into(),
        key: bytes::Bytes::new(),
        range_end: "\0".into(),
    };
    assert_eq!(permissions_of(&mut world, "root").await?, [all]);
    Ok(())
}

#[tokio::test]
async fn only_with_a_root_does_auth_begin_and_root_stays() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let no_user = (FAILED_PRECONDITION, "etcdserver: root user does not exist");
    let no_role = (FAILED_PRECONDITION, "etcdserver: root user does not have root role");
    let invalid = (Code::InvalidArgument, "etcdserver: invalid auth management");
    let enable = pb::AuthEnableRequest {};
    assert_eq!(auth_status(&mut world.rpc).await?, (false, 1));
    assert_refused("without root", world.rpc.auth.auth_enable(enable).await, no_user);
    world.rpc.auth.user_add(user("root", "root")).await?;
    assert_refused("without its role", world.rpc.auth.auth_enable(enable).await, no_role);
    world.rpc.auth.user_grant_role(grant("root", "root")).await?;
    world.rpc.auth.role_add(role("root")).await?;
    assert_eq!(auth_status(&mut world.rpc).await?, (false, 4));
    world.rpc.auth.auth_enable(enable).await?;
    assert_eq!(auth_status(&mut world.rpc).await?, (true, 4), "nobody's rights have changed");
    let root = crate::fixture::login(&mut world.rpc, "root", "root").await?;
    let auth = &mut world.rpc.auth;
    assert_done("again", auth.auth_enable(root.with(enable)).await);
    let name = || "root".to_owned();
    let delete = root.with(pb::AuthUserDeleteRequest { name: name() });
    assert_refused("root", auth.user_delete(delete).await, invalid);
    let delete = root.with(pb::AuthRoleDeleteRequest { role: name() });
    assert_refused("its role", auth.role_delete(delete).await, invalid);
    let revoke = root.with(revoke("root", "root"));
    assert_refused("from root", auth.user_revoke_role(revoke).await, invalid);
    auth.auth_disable(root.with(pb::AuthDisableRequest {})).await?;
    assert_eq!(auth_status(&mut world.rpc).await?, (false, 5));
    assert_done("without anything", world.rpc.kv.put(crate::fixture::put("k")).await);
    Ok(())
}

/// The library that users of Rust have, with a user of its own.
#[tokio::test]
async fn etcds_client_library_logs_in_and_changes_users() -> Result<()> {
    use etcd_client::{Client, ConnectOptions, PermissionType};
    let (world, _) = World::guarded(&[]).await?;
    let as_user = async |name: &str, password: &str| {
        let options = ConnectOptions::new().with_user(name, password);
        Client::connect([&world.member.client_url], Some(options)).await
    };
    let mut ada = as_user("ada", "secret").await?;
    ada.put("a/k", "v", None).await?;
    let refused = ada.put("b/k", "v", None).await.expect_err("not ada's").to_string();
    assert!(refused.contains("etcdserver: permission denied"), "{refused}");
    let refused = as_user("ada", "wrong").await.err().expect("not the password").to_string();
    assert!(refused.contains("authentication failed, invalid user ID or password"), "{refused}");
    let mut root = as_user("root", "root").await?;
    root.role_add("b").await?;
    let all = etcd_client::Permission::new(PermissionType::Readwrite, "b/").with_prefix();
    root.role_grant_permission("b", all).await?;
    root.user_grant_role("ada", "b").await?;
    assert_eq!(root.user_get("ada").await?.roles(), ["b", "own"]);
    ada.put("b/k", "v", None).await?;
    Ok(())
}
