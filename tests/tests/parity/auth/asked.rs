//! A step of the script, asked of one of the two servers by one of its users.

use std::collections::HashMap;

use portunus_proto::etcdserverpb as pb;
use portunus_tests::Rpc;
use tonic::{Request, Response, Status};

use crate::call::Version;
use crate::render;

/// What is asked.
#[derive(Clone, Debug)]
pub enum Ask {
    Enable,
    Disable,
    Login(pb::AuthenticateRequest),
    UserAdd(pb::AuthUserAddRequest),
    UserGet(&'static str),
    UserList,
    UserDelete(&'static str),
    ChangePassword(pb::AuthUserChangePasswordRequest),
    GrantRole(pb::AuthUserGrantRoleRequest),
    RevokeRole(pb::AuthUserRevokeRoleRequest),
    RoleAdd(&'static str),
    RoleGet(&'static str),
    RoleList,
    RoleDelete(&'static str),
    Allow(pb::AuthRoleGrantPermissionRequest),
    Disallow(pb::AuthRoleRevokePermissionRequest),
    Status,
    Range(pb::RangeRequest),
    Put(pb::PutRequest),
    Delete(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(i64),
    Grant(i64),
    Revoke(i64),
    Defragment,
    HashKv,
    Alarms,
}

/// By whom, and since which etcd the answer is ours.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whoever logged in last by this name; nobody for an empty one.
    pub who: &'static str,
    pub ask: Ask,
    pub since: Version,
}

/// One of the two servers.
pub struct Side {
    rpc: Rpc,
    tokens: HashMap<String, String>,
}

fn shown<T>(answer: Result<Response<T>, Status>, show: impl FnOnce(&T) -> String) -> String {
    match answer {
        Ok(answer) => show(answer.get_ref()),
        Err(status) => render::refused(&status),
    }
}

/// An answer that has a header and nothing else.
macro_rules! bare {
    ($answer:expr) => {
        shown($answer, |answer| render::header(&answer.header))
    };
}

impl Side {
    pub async fn connect(url: &str) -> Self {
        let mut tokens = HashMap::new();
        tokens.insert("forger".to_owned(), "abcdefghijklmnop.9".to_owned());
        Self { rpc: Rpc::connect(url).await.unwrap(), tokens }
    }

    fn by<T>(&self, who: &str, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(token) = self.tokens.get(who) {
            request.metadata_mut().insert("token", token.parse().unwrap());
        }
        request
    }

    pub async fn run(&mut self, step: &Step) -> String {
        match step.ask.clone() {
            Ask::Login(login) => self.log_in(login).await,
            Ask::Range(_)
            | Ask::Put(_)
            | Ask::Delete(_)
            | Ask::Txn(_)
            | Ask::Compact(_)
            | Ask::Grant(_)
            | Ask::Revoke(_)
            | Ask::Defragment
            | Ask::HashKv
            | Ask::Alarms => self.ask_data(step).await,
            _ => self.ask_auth(step).await,
        }
    }

    async fn log_in(&mut self, login: pb::AuthenticateRequest) -> String {
        let name = login.name.clone();
        match self.rpc.auth.authenticate(login).await {
            Ok(answer) => {
                let answer = answer.into_inner();
                self.tokens.insert(name, answer.token);
                format!("let in {}", render::header(&answer.header))
            }
            Err(status) => render::refused(&status),
        }
    }

    async fn ask_data(&mut self, step: &Step) -> String {
        let who = step.who;
        let mut rpc = self.rpc.clone();
        match step.ask.clone() {
            Ask::Range(range) => shown(rpc.kv.range(self.by(who, range)).await, render::range),
            Ask::Put(put) => shown(rpc.kv.put(self.by(who, put)).await, render::put),
            Ask::Delete(del) => shown(rpc.kv.delete_range(self.by(who, del)).await, render::delete),
            Ask::Txn(txn) => shown(rpc.kv.txn(self.by(who, txn)).await, render::txn),
            Ask::Compact(revision) => {
                let request = pb::CompactionRequest { revision, physical: false };
                bare!(rpc.kv.compact(self.by(who, request)).await)
            }
            Ask::Grant(id) => {
                let request = pb::LeaseGrantRequest { ttl: 1000, id };
                bare!(rpc.lease.lease_grant(self.by(who, request)).await)
            }
            Ask::Revoke(id) => {
                bare!(rpc.lease.lease_revoke(self.by(who, pb::LeaseRevokeRequest { id })).await)
            }
            Ask::Defragment => {
                bare!(rpc.maintenance.defragment(self.by(who, pb::DefragmentRequest {})).await)
            }
            Ask::HashKv => {
                let request = pb::HashKvRequest { revision: 0 };
                shown(rpc.maintenance.hash_kv(self.by(who, request)).await, |answer| {
                    format!("{} {:x}", render::header(&answer.header), answer.hash)
                })
            }
            Ask::Alarms => {
                let request = pb::AlarmRequest::default();
                shown(rpc.maintenance.alarm(self.by(who, request)).await, |answer| {
                    format!("{:?}", answer.alarms)
                })
            }
            other => unreachable!("{other:?} is about users"),
        }
    }

    async fn ask_auth(&mut self, step: &Step) -> String {
        let who = step.who;
        let mut auth = self.rpc.auth.clone();
        match step.ask.clone() {
            Ask::Enable => bare!(auth.auth_enable(self.by(who, pb::AuthEnableRequest {})).await),
            Ask::Disable => bare!(auth.auth_disable(self.by(who, pb::AuthDisableRequest {})).await),
            Ask::Status => {
                shown(auth.auth_status(self.by(who, pb::AuthStatusRequest {})).await, |answer| {
                    let head = render::header(&answer.header);
                    format!("{head} {} {}", answer.enabled, answer.auth_revision)
                })
            }
            Ask::UserAdd(add) => bare!(auth.user_add(self.by(who, add)).await),
            Ask::UserGet(name) => {
                let request = pb::AuthUserGetRequest { name: name.into() };
                shown(auth.user_get(self.by(who, request)).await, |answer| {
                    format!("{} {:?}", render::header(&answer.header), answer.roles)
                })
            }
            Ask::UserList => {
                shown(auth.user_list(self.by(who, pb::AuthUserListRequest {})).await, |answer| {
                    format!("{} {:?}", render::header(&answer.header), answer.users)
                })
            }
            Ask::UserDelete(name) => {
                let request = pb::AuthUserDeleteRequest { name: name.into() };
                bare!(auth.user_delete(self.by(who, request)).await)
            }
            Ask::ChangePassword(change) => {
                bare!(auth.user_change_password(self.by(who, change)).await)
            }
            Ask::GrantRole(grant) => bare!(auth.user_grant_role(self.by(who, grant)).await),
            Ask::RevokeRole(revoke) => bare!(auth.user_revoke_role(self.by(who, revoke)).await),
            _ => self.ask_role(step).await,
        }
    }

    async fn ask_role(&mut self, step: &Step) -> String {
        let who = step.who;
        let mut auth = self.rpc.auth.clone();
        match step.ask.clone() {
            Ask::RoleAdd(name) => {
                bare!(
                    auth.role_add(self.by(who, pb::AuthRoleAddRequest { name: name.into() })).await
                )
            }
            Ask::RoleGet(role) => {
                let request = pb::AuthRoleGetRequest { role: role.into() };
                shown(auth.role_get(self.by(who, request)).await, |answer| {
                    format!("{} {:?}", render::header(&answer.header), answer.perm)
                })
            }
            Ask::RoleList => {
                shown(auth.role_list(self.by(who, pb::AuthRoleListRequest {})).await, |answer| {
                    format!("{} {:?}", render::header(&answer.header), answer.roles)
                })
            }
            Ask::RoleDelete(role) => {
                let request = pb::AuthRoleDeleteRequest { role: role.into() };
                bare!(auth.role_delete(self.by(who, request)).await)
            }
            Ask::Allow(allow) => bare!(auth.role_grant_permission(self.by(who, allow)).await),
            Ask::Disallow(deny) => bare!(auth.role_revoke_permission(self.by(who, deny)).await),
            other => unreachable!("{other:?} is not about roles"),
        }
    }
}
