//! The Auth service. Passwords are hashed and compared here, on the member that was asked, and go
//! no further: not into a forwarded question, not into the log.

use portunus_proto::authpb;
use portunus_proto::etcdserverpb::auth_server::Auth;
use portunus_proto::etcdserverpb::*;
use tonic::{Request, Response, Status, async_trait};

use super::access::{Access, Scheme, digest, new_token};
use super::answer::Headed;
use super::caller::acting;
use super::status;
use crate::auth::{self, AuthRefusal, ROOT};
use crate::decide::{AuthAsk, Refusal};
use crate::node::{Error, Node};

/// Serves etcd's Auth service.
pub struct AuthService {
    pub node: Node,
    /// The server's own handle, for what a caller without credentials may cause.
    pub server: Node,
    pub access: Access,
}

/// What the member that is asked knows of a user who wants in.
struct Known {
    hash: String,
    revision: u64,
}

impl AuthService {
    /// Has a change made on the caller's behalf.
    async fn change<T, R: Headed + Default>(
        &self,
        request: Request<T>,
        ask: impl FnOnce(T) -> AuthAsk,
    ) -> Result<Response<R>, Status> {
        let node = acting(&self.node, &request);
        node.change_auth(ask(request.into_inner())).await.map_err(status::of)?;
        Ok(self.answer(R::default()))
    }

    fn answer<R: Headed>(&self, message: R) -> Response<R> {
        Response::new(message.headed(&self.node))
    }

    /// The password's hash; only for root, since it takes its time.
    async fn hash<T>(&self, request: &Request<T>, password: String) -> Result<String, Status> {
        acting(&self.node, request).check_root().await.map_err(status::of)?;
        self.access.passwords.hash(password).await.map_err(|error| status::of_password(&error))
    }

    /// The user, if this is how it gets in.
    async fn known(&self, name: &str) -> Result<Known, Error> {
        let known = self.server.read_auth(|auth, _| {
            if !auth.enabled {
                return Err(AuthRefusal::NotEnabled);
            }
            let user = auth.user(name).ok_or(AuthRefusal::Failed)?;
            if user.is_passwordless() {
                return Err(AuthRefusal::Passwordless);
            }
            let hash = String::from_utf8_lossy(&user.record.password).into_owned();
            Ok(Known { hash, revision: auth.revision })
        });
        known.await
    }

    /// A token for the user, whose password was right at this revision; `None` when auth has
    /// changed since.
    async fn token(&self, user: &str, revision: u64) -> Result<Option<String>, Status> {
        let now = self.server.unix_ms();
        let ttl = match &*self.access.scheme {
            Scheme::Signed(signer) => {
                let token = signer.sign(user, revision, now);
                return token.map(Some).map_err(|error| status::of_token(&error));
            }
            Scheme::Simple { ttl } => ttl.as_millis() as u64,
        };
        let token = new_token(self.server.status().raft_index as i64);
        let (digest, user) = (digest(&token), user.to_owned());
        let assign = AuthAsk::Assign { digest, user, revision, until_ms: now + ttl };
        match self.server.change_auth(assign).await {
            Ok(()) => Ok(Some(token)),
            Err(Error::Refused(Refusal::Auth(AuthRefusal::OldRevision))) => Ok(None),
            Err(error) => Err(status::of(error)),
        }
    }
}

type Answer<R> = Result<Response<R>, Status>;

#[async_trait]
impl Auth for AuthService {
    async fn auth_enable(&self, request: Request<AuthEnableRequest>) -> Answer<AuthEnableResponse> {
        self.change(request, |_| AuthAsk::Enable).await
    }

    async fn auth_disable(
        &self,
        request: Request<AuthDisableRequest>,
    ) -> Answer<AuthDisableResponse> {
        self.change(request, |_| AuthAsk::Disable).await
    }

    async fn auth_status(
        &self,
        _request: Request<AuthStatusRequest>,
    ) -> Answer<AuthStatusResponse> {
        let status = self.server.read_auth(|auth, _| Ok((auth.enabled, auth.revision))).await;
        let (enabled, auth_revision) = status.map_err(status::of)?;
        Ok(self.answer(AuthStatusResponse { header: None, enabled, auth_revision }))
    }

    async fn authenticate(
        &self,
        request: Request<AuthenticateRequest>,
    ) -> Answer<AuthenticateResponse> {
        let AuthenticateRequest { name, password } = request.into_inner();
        loop {
            let Known { hash, revision } = self.known(&name).await.map_err(status::of)?;
            let fits = self.access.passwords.fits(password.clone(), hash).await;
            if !fits.map_err(|error| status::of_password(&error))? {
                return Err(status::of(Refusal::from(AuthRefusal::Failed).into()));
            }
            if let Some(token) = self.token(&name, revision).await? {
                return Ok(self.answer(AuthenticateResponse { header: None, token }));
            }
        }
    }

    async fn user_add(
        &self,
        mut request: Request<AuthUserAddRequest>,
    ) -> Answer<AuthUserAddResponse> {
        let password = std::mem::take(&mut request.get_mut().password);
        let passwordless = request.get_ref().options.is_some_and(|options| options.no_password);
        let hash = match passwordless {
            true => String::new(),
            false => self.hash(&request, password).await?,
        };
        request.get_mut().hashed_password = hash;
        self.change(request, AuthAsk::UserAdd).await
    }

    async fn user_get(&self, request: Request<AuthUserGetRequest>) -> Answer<AuthUserGetResponse> {
        let node = acting(&self.node, &request);
        let name = request.into_inner().name;
        let roles = node.read_auth(|auth, caller| {
            // Everybody may see their own.
            if auth.user_of(caller) != Some(&name) {
                auth.root(caller)?;
            }
            let user = auth.user(&name).ok_or(AuthRefusal::UserNotFound)?;
            Ok(user.record.roles.clone())
        });
        let roles = roles.await.map_err(status::of)?;
        Ok(self.answer(AuthUserGetResponse { header: None, roles }))
    }

    async fn user_list(
        &self,
        request: Request<AuthUserListRequest>,
    ) -> Answer<AuthUserListResponse> {
        let node = acting(&self.node, &request);
        let users = node.read_auth(|auth, caller| {
            auth.root(caller)?;
            Ok(auth.users.iter().map(|user| user.name().to_owned()).collect())
        });
        let users = users.await.map_err(status::of)?;
        Ok(self.answer(AuthUserListResponse { header: None, users }))
    }

    async fn user_change_password(
        &self,
        mut request: Request<AuthUserChangePasswordRequest>,
    ) -> Answer<AuthUserChangePasswordResponse> {
        let password = std::mem::take(&mut request.get_mut().password);
        request.get_mut().hashed_password = self.hash(&request, password).await?;
        self.change(request, AuthAsk::UserChangePassword).await
    }

    async fn role_get(&self, request: Request<AuthRoleGetRequest>) -> Answer<AuthRoleGetResponse> {
        let node = acting(&self.node, &request);
        let name = request.into_inner().role;
        let perm = node.read_auth(|auth, caller| {
            if !auth.rights(caller).is_ok_and(|rights| rights.has_role(&name)) {
                auth.root(caller)?;
            }
            permissions(auth, &name)
        });
        let perm = perm.await.map_err(status::of)?;
        Ok(self.answer(AuthRoleGetResponse { header: None, perm }))
    }

    async fn role_list(
        &self,
        request: Request<AuthRoleListRequest>,
    ) -> Answer<AuthRoleListResponse> {
        let node = acting(&self.node, &request);
        let roles = node.read_auth(|auth, caller| {
            auth.root(caller)?;
            Ok(auth.roles.iter().map(|role| role.name().to_owned()).collect())
        });
        let roles = roles.await.map_err(status::of)?;
        Ok(self.answer(AuthRoleListResponse { header: None, roles }))
    }

    async fn user_delete(
        &self,
        request: Request<AuthUserDeleteRequest>,
    ) -> Answer<AuthUserDeleteResponse> {
        self.change(request, AuthAsk::UserDelete).await
    }

    async fn user_grant_role(
        &self,
        request: Request<AuthUserGrantRoleRequest>,
    ) -> Answer<AuthUserGrantRoleResponse> {
        self.change(request, AuthAsk::UserGrantRole).await
    }

    async fn user_revoke_role(
        &self,
        request: Request<AuthUserRevokeRoleRequest>,
    ) -> Answer<AuthUserRevokeRoleResponse> {
        self.change(request, AuthAsk::UserRevokeRole).await
    }

    async fn role_add(&self, request: Request<AuthRoleAddRequest>) -> Answer<AuthRoleAddResponse> {
        self.change(request, AuthAsk::RoleAdd).await
    }

    async fn role_delete(
        &self,
        request: Request<AuthRoleDeleteRequest>,
    ) -> Answer<AuthRoleDeleteResponse> {
        self.change(request, AuthAsk::RoleDelete).await
    }

    async fn role_grant_permission(
        &self,
        request: Request<AuthRoleGrantPermissionRequest>,
    ) -> Answer<AuthRoleGrantPermissionResponse> {
        self.change(request, AuthAsk::RoleGrantPermission).await
    }

    async fn role_revoke_permission(
        &self,
        request: Request<AuthRoleRevokePermissionRequest>,
    ) -> Answer<AuthRoleRevokePermissionResponse> {
        self.change(request, AuthAsk::RoleRevokePermission).await
    }
}

/// A role's permissions. The role root, where there is one, stands for all keys.
fn permissions(auth: &auth::Auth, name: &str) -> Result<Vec<authpb::Permission>, AuthRefusal> {
    let role = auth.role(name).ok_or(AuthRefusal::RoleNotFound)?;
    if name == ROOT {
        let everything = authpb::Permission {
            perm_type: authpb::permission::Type::Readwrite.into(),
            key: bytes::Bytes::new(),
            range_end: bytes::Bytes::from_static(b"\0"),
        };
        return Ok(vec![everything]);
    }
    Ok(role.record.key_permission.clone())
}
