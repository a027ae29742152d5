//! Changing users, roles and permissions, as etcd does it: what counts as a change, what is
//! refused, and in which order. Who may ask is checked before, see [`super::permit`].

use bytes::Bytes;
use portunus_proto::authpb::{Permission, Role, User};
use portunus_proto::etcdserverpb as pb;

use super::writer::Writer;
use super::{Refusal, Reply};
use crate::auth::{AuthRefusal, ROOT};
use crate::effect::Effect;
use crate::limits::TOKENS_FORGOTTEN_AT_ONCE;

/// A change of auth. Passwords are hashed by the member that was asked: a plain one never gets
/// here.
#[derive(Clone, Debug, PartialEq)]
pub enum AuthAsk {
    Enable,
    Disable,
    UserAdd(pb::AuthUserAddRequest),
    UserDelete(pb::AuthUserDeleteRequest),
    UserChangePassword(pb::AuthUserChangePasswordRequest),
    UserGrantRole(pb::AuthUserGrantRoleRequest),
    UserRevokeRole(pb::AuthUserRevokeRoleRequest),
    RoleAdd(pb::AuthRoleAddRequest),
    RoleDelete(pb::AuthRoleDeleteRequest),
    RoleGrantPermission(pb::AuthRoleGrantPermissionRequest),
    RoleRevokePermission(pb::AuthRoleRevokePermissionRequest),
    /// The user's password was right at this auth revision: the token of this digest is theirs.
    Assign {
        digest: Bytes,
        user: String,
        revision: u64,
        until_ms: u64,
    },
    /// A token was used.
    Renew {
        digest: Bytes,
        until_ms: u64,
    },
}

pub(super) fn decide(
    writer: &mut Writer<'_>,
    ask: &AuthAsk,
    now_ms: u64,
) -> Result<Reply, Refusal> {
    match ask {
        AuthAsk::Enable => enable(writer)?,
        AuthAsk::Disable => disable(writer),
        AuthAsk::UserAdd(ask) => user_add(writer, ask)?,
        AuthAsk::UserDelete(ask) => user_delete(writer, &ask.name)?,
        AuthAsk::UserChangePassword(ask) => change_password(writer, ask)?,
        AuthAsk::UserGrantRole(ask) => grant_role(writer, ask)?,
        AuthAsk::UserRevokeRole(ask) => revoke_role(writer, ask)?,
        AuthAsk::RoleAdd(ask) => role_add(writer, &ask.name)?,
        AuthAsk::RoleDelete(ask) => role_delete(writer, &ask.role)?,
        AuthAsk::RoleGrantPermission(ask) => grant_permission(writer, ask)?,
        AuthAsk::RoleRevokePermission(ask) => revoke_permission(writer, ask)?,
        AuthAsk::Assign { digest, user, revision, until_ms } => {
            let auth = writer.head.auth();
            if !auth.enabled {
                return Err(AuthRefusal::NotEnabled.into());
            }
            if auth.revision != *revision {
                return Err(AuthRefusal::OldRevision.into());
            }
            forget_ended(writer, now_ms);
            let (digest, user) = (digest.clone(), user.clone());
            writer.emit(Effect::TokenPut { digest, user, until_ms: *until_ms });
        }
        AuthAsk::Renew { digest, until_ms } => {
            let token = writer.head.auth().tokens.get(digest).cloned();
            if let Some(token) = token.filter(|token| token.until_ms < *until_ms) {
                let (digest, user) = (token.digest, token.user);
                writer.emit(Effect::TokenPut { digest, user, until_ms: *until_ms });
            }
        }
    }
    Ok(Reply::Done { revision: writer.head.revision })
}

/// Counts the change that was just made.
fn commit(writer: &mut Writer<'_>) {
    let auth = writer.head.auth();
    let (enabled, revision) = (auth.enabled, auth.revision + 1);
    writer.emit(Effect::AuthSet { enabled, revision });
}

fn user(writer: &Writer<'_>, name: &str) -> Result<User, AuthRefusal> {
    let found = writer.head.auth().user(name).map(|user| user.record.clone());
    found.ok_or(AuthRefusal::UserNotFound)
}

fn role(writer: &Writer<'_>, name: &str) -> Result<Role, AuthRefusal> {
    let found = writer.head.auth().role(name).map(|role| role.record.clone());
    found.ok_or(AuthRefusal::RoleNotFound)
}

fn enable(writer: &mut Writer<'_>) -> Result<(), AuthRefusal> {
    let auth = writer.head.auth();
    if auth.enabled {
        return Ok(());
    }
    let root = auth.user(ROOT).ok_or(AuthRefusal::NoRootUser)?;
    if !root.has_role(ROOT) {
        return Err(AuthRefusal::NoRootRole);
    }
    // As in etcd this is no change of what anybody may do.
    let revision = auth.revision;
    writer.emit(Effect::AuthSet { enabled: true, revision });
    Ok(())
}

fn disable(writer: &mut Writer<'_>) {
    let auth = writer.head.auth();
    if !auth.enabled {
        return;
    }
    let revision = auth.revision + 1;
    drop_tokens(writer, |_| true);
    writer.emit(Effect::AuthSet { enabled: false, revision });
}

fn user_add(writer: &mut Writer<'_>, ask: &pb::AuthUserAddRequest) -> Result<(), AuthRefusal> {
    if ask.name.is_empty() {
        return Err(AuthRefusal::UserEmpty);
    }
    if writer.head.auth().user(&ask.name).is_some() {
        return Err(AuthRefusal::UserExists);
    }
    let options = ask.options.unwrap_or_default();
    let password = match options.no_password {
        true => Bytes::new(),
        false => ask.hashed_password.clone().into(),
    };
    let name = ask.name.clone().into();
    writer.emit(Effect::AuthUserPut(User {
        name,
        password,
        roles: Vec::new(),
        options: Some(options),
    }));
    commit(writer);
    Ok(())
}

fn user_delete(writer: &mut Writer<'_>, name: &str) -> Result<(), AuthRefusal> {
    if writer.head.auth().enabled && name == ROOT {
        return Err(AuthRefusal::InvalidManagement);
    }
    user(writer, name)?;
    writer.emit(Effect::AuthUserDrop { name: name.to_owned() });
    drop_tokens(writer, |user| user == name);
    commit(writer);
    Ok(())
}

fn change_password(
    writer: &mut Writer<'_>,
    ask: &pb::AuthUserChangePasswordRequest,
) -> Result<(), AuthRefusal> {
    let mut user = user(writer, &ask.name)?;
    if !user.options.is_some_and(|options| options.no_password) {
        user.password = ask.hashed_password.clone().into();
    }
    writer.emit(Effect::AuthUserPut(user));
    drop_tokens(writer, |user| user == ask.name);
    commit(writer);
    Ok(())
}

fn grant_role(
    writer: &mut Writer<'_>,
    ask: &pb::AuthUserGrantRoleRequest,
) -> Result<(), AuthRefusal> {
    let mut user = user(writer, &ask.user)?;
    // The role root need not exist to be granted.
    if ask.role != ROOT {
        role(writer, &ask.role)?;
    }
    if let Err(at) = user.roles.binary_search(&ask.role) {
        user.roles.insert(at, ask.role.clone());
        writer.emit(Effect::AuthUserPut(user));
        commit(writer);
    }
    Ok(())
}

fn revoke_role(
    writer: &mut Writer<'_>,
    ask: &pb::AuthUserRevokeRoleRequest,
) -> Result<(), AuthRefusal> {
    if writer.head.auth().enabled && ask.name == ROOT && ask.role == ROOT {
        return Err(AuthRefusal::InvalidManagement);
    }
    let mut user = user(writer, &ask.name)?;
    let at = user.roles.binary_search(&ask.role).map_err(|_| AuthRefusal::RoleNotGranted)?;
    user.roles.remove(at);
    writer.emit(Effect::AuthUserPut(user));
    commit(writer);
    Ok(())
}

fn role_add(writer: &mut Writer<'_>, name: &str) -> Result<(), AuthRefusal> {
    if name.is_empty() {
        return Err(AuthRefusal::RoleEmpty);
    }
    if writer.head.auth().role(name).is_some() {
        return Err(AuthRefusal::RoleExists);
    }
    let role = Role { name: Bytes::copy_from_slice(name.as_bytes()), key_permission: Vec::new() };
    writer.emit(Effect::AuthRolePut(role));
    commit(writer);
    Ok(())
}

fn role_delete(writer: &mut Writer<'_>, name: &str) -> Result<(), AuthRefusal> {
    if writer.head.auth().enabled && name == ROOT {
        return Err(AuthRefusal::InvalidManagement);
    }
    role(writer, name)?;
    writer.emit(Effect::AuthRoleDrop { name: name.to_owned() });
    let holders = writer.head.auth().users.iter().filter(|user| user.has_role(name));
    let holders: Vec<User> = holders.map(|user| user.record.clone()).collect();
    for mut user in holders {
        user.roles.retain(|role| role != name);
        writer.emit(Effect::AuthUserPut(user));
    }
    commit(writer);
    Ok(())
}

/// What etcd takes for a range to be granted: a key, everything from a key on, or a range that
/// holds something.
fn is_grantable(permission: &Permission) -> bool {
    let Permission { key, range_end, .. } = permission;
    !key.is_empty() && (range_end.is_empty() || range_end == "\0" || key < range_end)
}

fn grant_permission(
    writer: &mut Writer<'_>,
    ask: &pb::AuthRoleGrantPermissionRequest,
) -> Result<(), AuthRefusal> {
    let wanted = ask.perm.as_ref().ok_or(AuthRefusal::PermissionNotGiven)?;
    if !is_grantable(wanted) {
        return Err(AuthRefusal::InvalidManagement);
    }
    let mut role = role(writer, &ask.name)?;
    let same = |own: &&mut Permission| own.key == wanted.key && own.range_end == wanted.range_end;
    match role.key_permission.iter_mut().find(same) {
        Some(own) => own.perm_type = wanted.perm_type,
        None => {
            role.key_permission.push(wanted.clone());
            role.key_permission.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
    writer.emit(Effect::AuthRolePut(role));
    commit(writer);
    Ok(())
}

fn revoke_permission(
    writer: &mut Writer<'_>,
    ask: &pb::AuthRoleRevokePermissionRequest,
) -> Result<(), AuthRefusal> {
    let mut role = role(writer, &ask.role)?;
    let before = role.key_permission.len();
    role.key_permission.retain(|own| own.key != ask.key || own.range_end != ask.range_end);
    if role.key_permission.len() == before {
        return Err(AuthRefusal::PermissionNotGranted);
    }
    writer.emit(Effect::AuthRolePut(role));
    commit(writer);
    Ok(())
}

fn drop_tokens(writer: &mut Writer<'_>, of: impl Fn(&str) -> bool) {
    let tokens = writer.head.auth().tokens.iter().filter(|token| of(&token.user));
    let digests: Vec<Bytes> = tokens.map(|token| token.digest.clone()).collect();
    digests.into_iter().for_each(|digest| writer.emit(Effect::TokenDrop { digest }));
}

/// Forgets some tokens whose time is over: more than are given out in the meantime.
fn forget_ended(writer: &mut Writer<'_>, now_ms: u64) {
    let tokens = writer.head.auth().tokens.iter().filter(|token| token.until_ms < now_ms);
    let ended: Vec<Bytes> =
        tokens.take(TOKENS_FORGOTTEN_AT_ONCE).map(|token| token.digest.clone()).collect();
    ended.into_iter().for_each(|digest| writer.emit(Effect::TokenDrop { digest }));
}
