//! The Auth service. There is no authentication yet: its status says so, and everything that would
//! change it names the RPC that is missing.

use portunus_proto::etcdserverpb::auth_server::Auth;
use portunus_proto::etcdserverpb::*;
use tonic::{Request, Response, Status, async_trait};

use super::answer::Headed;
use super::status;
use crate::node::Node;

/// The revision of an auth store that was never changed, as etcd counts it.
const PRISTINE_AUTH_REVISION: u64 = 1;

/// Serves etcd's Auth service.
pub struct AuthService {
    pub node: Node,
}

macro_rules! auth_service {
    ($($method:ident: $request:ty => $response:ty = $rpc:literal,)*) => {
        #[async_trait]
        impl Auth for AuthService {
            async fn auth_status(
                &self,
                _request: Request<AuthStatusRequest>,
            ) -> Result<Response<AuthStatusResponse>, Status> {
                let answer = AuthStatusResponse {
                    header: None,
                    enabled: false,
                    auth_revision: PRISTINE_AUTH_REVISION,
                };
                Ok(Response::new(answer.headed(&self.node)))
            }

            $(
                async fn $method(
                    &self,
                    _request: Request<$request>,
                ) -> Result<Response<$response>, Status> {
                    Err(status::not_offered($rpc))
                }
            )*
        }
    };
}

auth_service! {
    auth_enable: AuthEnableRequest => AuthEnableResponse = "Auth.AuthEnable",
    auth_disable: AuthDisableRequest => AuthDisableResponse = "Auth.AuthDisable",
    authenticate: AuthenticateRequest => AuthenticateResponse = "Auth.Authenticate",
    user_add: AuthUserAddRequest => AuthUserAddResponse = "Auth.UserAdd",
    user_get: AuthUserGetRequest => AuthUserGetResponse = "Auth.UserGet",
    user_list: AuthUserListRequest => AuthUserListResponse = "Auth.UserList",
    user_delete: AuthUserDeleteRequest => AuthUserDeleteResponse = "Auth.UserDelete",
    user_change_password: AuthUserChangePasswordRequest
        => AuthUserChangePasswordResponse = "Auth.UserChangePassword",
    user_grant_role: AuthUserGrantRoleRequest => AuthUserGrantRoleResponse = "Auth.UserGrantRole",
    user_revoke_role: AuthUserRevokeRoleRequest
        => AuthUserRevokeRoleResponse = "Auth.UserRevokeRole",
    role_add: AuthRoleAddRequest => AuthRoleAddResponse = "Auth.RoleAdd",
    role_get: AuthRoleGetRequest => AuthRoleGetResponse = "Auth.RoleGet",
    role_list: AuthRoleListRequest => AuthRoleListResponse = "Auth.RoleList",
    role_delete: AuthRoleDeleteRequest => AuthRoleDeleteResponse = "Auth.RoleDelete",
    role_grant_permission: AuthRoleGrantPermissionRequest
        => AuthRoleGrantPermissionResponse = "Auth.RoleGrantPermission",
    role_revoke_permission: AuthRoleRevokePermissionRequest
        => AuthRoleRevokePermissionResponse = "Auth.RoleRevokePermission",
}
