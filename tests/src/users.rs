//! Users of a guarded cluster: logging in, requests that carry a token, and what a server says of
//! all users and roles.

use std::time::Duration;

use anyhow::Result;
use portunus_proto::authpb::Permission;
use portunus_proto::etcdserverpb as pb;
use tonic::{Request, Status};

use crate::Rpc;

/// A server that has not answered by then is a failure by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a client sends along; an empty one is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(pub String);

impl Token {
    pub fn none() -> Self {
        Self(String::new())
    }

    /// The message with this token.
    pub fn with<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(PATIENCE);
        if !self.0.is_empty() {
            let token = self.0.parse().expect("tokens are plain text");
            request.metadata_mut().insert("token", token);
        }
        request
    }
}

pub async fn login(rpc: &mut Rpc, name: &str, password: &str) -> Result<Token, Status> {
    let (name, password) = (name.to_owned(), password.to_owned());
    let answer = rpc.auth.authenticate(pb::AuthenticateRequest { name, password }).await?;
    Ok(Token(answer.into_inner().token))
}

/// All users with their roles, and all roles with their permissions.
#[derive(Clone, Debug, PartialEq)]
pub struct Users {
    pub users: Vec<(String, Vec<String>)>,
    pub roles: Vec<(String, Vec<Permission>)>,
}

impl Users {
    /// As the server tells them to root.
    pub async fn of(rpc: &mut Rpc, root: &Token) -> Result<Self> {
        let list = root.with(pb::AuthUserListRequest {});
        let mut users = Vec::new();
        for name in rpc.auth.user_list(list).await?.into_inner().users {
            let get = root.with(pb::AuthUserGetRequest { name: name.clone() });
            users.push((name, rpc.auth.user_get(get).await?.into_inner().roles));
        }
        let list = root.with(pb::AuthRoleListRequest {});
        let mut roles = Vec::new();
        for role in rpc.auth.role_list(list).await?.into_inner().roles {
            let get = root.with(pb::AuthRoleGetRequest { role: role.clone() });
            roles.push((role, rpc.auth.role_get(get).await?.into_inner().perm));
        }
        Ok(Self { users, roles })
    }
}
