//! What every answer has in common: a header that says who answered, and the way from a decision's
//! reply to the message of its RPC.

use portunus_proto::etcdserverpb::{
    AlarmResponse, AuthDisableResponse, AuthEnableResponse, AuthRoleAddResponse,
    AuthRoleDeleteResponse, AuthRoleGetResponse, AuthRoleGrantPermissionResponse,
    AuthRoleListResponse, AuthRoleRevokePermissionResponse, AuthStatusResponse,
    AuthUserAddResponse, AuthUserChangePasswordResponse, AuthUserDeleteResponse,
    AuthUserGetResponse, AuthUserGrantRoleResponse, AuthUserListResponse,
    AuthUserRevokeRoleResponse, AuthenticateResponse, CompactionResponse, DeleteRangeResponse,
    DowngradeResponse, HashKvResponse, HashResponse, LeaseGrantResponse, LeaseLeasesResponse,
    LeaseRevokeResponse, LeaseTimeToLiveResponse, PutResponse, RangeResponse, ResponseHeader,
    StatusResponse, TxnResponse,
};
use portunus_proto::portunus::v1;
use tonic::{Request, Response, Status};

use super::caller::acting;
use super::status;
use crate::decide::{self, Reply};
use crate::node::Node;

/// A message with a header.
pub trait Headed: Sized {
    fn header_mut(&mut self) -> &mut Option<ResponseHeader>;

    /// Fills in who answers. A revision that is set stays; else it is the applied one.
    fn headed(mut self, node: &Node) -> Self {
        let own = node.header();
        let header = self.header_mut();
        let revision = header.as_ref().map_or(0, |header| header.revision);
        let revision = if revision == 0 { own.revision } else { revision };
        *header = Some(ResponseHeader { revision, ..own });
        self
    }
}

/// A message that answers a change.
pub trait FromReply: Headed {
    fn from_reply(reply: Reply) -> Option<Self>;
}

macro_rules! headed {
    ($($message:ty),* $(,)?) => {$(
        impl Headed for $message {
            fn header_mut(&mut self) -> &mut Option<ResponseHeader> {
                &mut self.header
            }
        }
    )*};
}

macro_rules! replies {
    ($($variant:ident => $message:ty),* $(,)?) => {
        headed!($($message),*);
        $(
            impl FromReply for $message {
                fn from_reply(reply: Reply) -> Option<Self> {
                    match reply {
                        Reply::$variant(message) => Some(message),
                        _ => None,
                    }
                }
            }
        )*
    };
}

headed!(
    AuthDisableResponse,
    AuthEnableResponse,
    AuthRoleAddResponse,
    AuthRoleDeleteResponse,
    AuthRoleGetResponse,
    AuthRoleGrantPermissionResponse,
    AuthRoleListResponse,
    AuthRoleRevokePermissionResponse,
    AuthStatusResponse,
    AuthUserAddResponse,
    AuthUserChangePasswordResponse,
    AuthUserDeleteResponse,
    AuthUserGetResponse,
    AuthUserGrantRoleResponse,
    AuthUserListResponse,
    AuthUserRevokeRoleResponse,
    AuthenticateResponse,
    HashKvResponse,
    DowngradeResponse,
    HashResponse,
    LeaseLeasesResponse,
    LeaseTimeToLiveResponse,
    RangeResponse,
    StatusResponse,
    v1::BlameResponse,
    v1::DeployResponse,
    v1::ExplainResponse,
    v1::InspectResponse,
    v1::ListResponse,
    v1::RemoveResponse,
    v1::ResumeTriggerResponse,
    v1::RollbackResponse,
    v1::SetModeResponse,
    v1::SkipTriggerResponse,
    v1::StatusResponse,
);

replies!(
    Put => PutResponse,
    DeleteRange => DeleteRangeResponse,
    Txn => TxnResponse,
    Compact => CompactionResponse,
    LeaseGrant => LeaseGrantResponse,
    LeaseRevoke => LeaseRevokeResponse,
    Alarm => AlarmResponse,
);

/// Has a change decided and brings its reply into the form of the RPC.
pub async fn write<M, R>(
    node: &Node,
    request: Request<M>,
    wrap: impl FnOnce(M) -> decide::Request,
) -> Result<Response<R>, Status>
where
    M: prost::Message,
    R: FromReply,
{
    let node = &acting(node, &request);
    let message = request.into_inner();
    if message.encoded_len() > node.max_request_bytes() {
        return Err(status::request_too_large());
    }
    let reply = node.write(wrap(message)).await.map_err(status::of)?;
    let answer = R::from_reply(reply).ok_or_else(status::answer_of_another_kind)?;
    Ok(Response::new(answer.headed(node)))
}

/// The header of an answer that was given at `revision`.
pub fn header_at(revision: i64, node: &Node) -> ResponseHeader {
    ResponseHeader { revision, ..node.header() }
}

/// The header of answers about the cluster, which etcd gives without a revision.
pub fn header_without_revision(node: &Node) -> ResponseHeader {
    header_at(0, node)
}
