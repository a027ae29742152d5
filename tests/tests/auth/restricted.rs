//! Every RPC, asked by nobody, by somebody and by root: who is not known gets nowhere, and what only
//! root may do is refused to everybody else.

use anyhow::Result;
use futures::future::{BoxFuture, FutureExt};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::alarm_request::AlarmAction;
use portunus_proto::portunus::v1;
use portunus_tests::{Plugins, Rpc};
use tonic::{Code, Status};

use crate::fixture::{DENIED, NOBODY, Token, World, login, put, range, role, user};

/// Who may ask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    /// Whoever is known; `ada` asks for what is hers.
    Users,
    Root,
}

/// Connections of every kind.
#[derive(Clone)]
struct Lines {
    rpc: Rpc,
    plugins: Plugins,
}

type Ask = fn(Lines, Token) -> BoxFuture<'static, Result<(), Status>>;

macro_rules! ask {
    ($what:literal, $who:expr, $($client:ident).+, $method:ident, $message:expr) => {{
        let ask: Ask = |mut lines, token| {
            async move { lines.$($client).+.$method(token.with($message)).await.map(drop) }.boxed()
        };
        ($what, $who, ask)
    }};
}

fn names() -> (String, String) {
    ("eve".to_owned(), "none".to_owned())
}

fn of_data() -> Vec<(&'static str, For, Ask)> {
    vec![
        ask!("Range", For::Users, rpc.kv, range, range("a/k")),
        ask!("RangeStream", For::Users, rpc.kv, range_stream, range("a/k")),
        ask!("Put", For::Users, rpc.kv, put, put("a/k")),
        ask!("DeleteRange", For::Users, rpc.kv, delete_range, crate::fixture::delete("a/x", "")),
        ask!("Txn", For::Users, rpc.kv, txn, pb::TxnRequest::default()),
        ask!(
            "Compact",
            For::Root,
            rpc.kv,
            compact,
            pb::CompactionRequest { revision: i64::MAX, physical: false }
        ),
        ask!(
            "LeaseGrant",
            For::Users,
            rpc.lease,
            lease_grant,
            pb::LeaseGrantRequest { ttl: 100, id: 0 }
        ),
        ask!("LeaseRevoke", For::Users, rpc.lease, lease_revoke, pb::LeaseRevokeRequest { id: 9 }),
        ask!(
            "LeaseTimeToLive",
            For::Users,
            rpc.lease,
            lease_time_to_live,
            pb::LeaseTimeToLiveRequest { id: 9, keys: false }
        ),
        ask!("LeaseLeases", For::Users, rpc.lease, lease_leases, pb::LeaseLeasesRequest {}),
    ]
}

fn of_the_cluster() -> Vec<(&'static str, For, Ask)> {
    vec![
        ask!(
            "MemberList",
            For::Users,
            rpc.cluster,
            member_list,
            pb::MemberListRequest { linearizable: true }
        ),
        ask!("MemberAdd", For::Root, rpc.cluster, member_add, pb::MemberAddRequest::default()),
        ask!(
            "MemberRemove",
            For::Root,
            rpc.cluster,
            member_remove,
            pb::MemberRemoveRequest::default()
        ),
        ask!(
            "MemberUpdate",
            For::Root,
            rpc.cluster,
            member_update,
            pb::MemberUpdateRequest::default()
        ),
        ask!(
            "MemberPromote",
            For::Root,
            rpc.cluster,
            member_promote,
            pb::MemberPromoteRequest::default()
        ),
        ask!(
            "Alarm to get",
            For::Users,
            rpc.maintenance,
            alarm,
            pb::AlarmRequest { action: AlarmAction::Get.into(), ..Default::default() }
        ),
        ask!(
            "Alarm to clear",
            For::Root,
            rpc.maintenance,
            alarm,
            pb::AlarmRequest { action: AlarmAction::Deactivate.into(), ..Default::default() }
        ),
        ask!("Status", For::Users, rpc.maintenance, status, pb::StatusRequest {}),
        ask!("Defragment", For::Root, rpc.maintenance, defragment, pb::DefragmentRequest {}),
        ask!("Hash", For::Root, rpc.maintenance, hash, pb::HashRequest {}),
        ask!("HashKV", For::Root, rpc.maintenance, hash_kv, pb::HashKvRequest { revision: 0 }),
        ask!("Snapshot", For::Root, rpc.maintenance, snapshot, pb::SnapshotRequest {}),
        ask!(
            "MoveLeader",
            For::Root,
            rpc.maintenance,
            move_leader,
            pb::MoveLeaderRequest { target_id: 7 }
        ),
        ask!("Downgrade", For::Root, rpc.maintenance, downgrade, pb::DowngradeRequest::default()),
    ]
}

#[allow(clippy::too_many_lines, reason = "a table")]
fn of_auth() -> Vec<(&'static str, For, Ask)> {
    vec![
        ask!("AuthEnable", For::Root, rpc.auth, auth_enable, pb::AuthEnableRequest {}),
        ask!("UserAdd", For::Root, rpc.auth, user_add, user("new", "x")),
        ask!(
            "UserGet, its own",
            For::Users,
            rpc.auth,
            user_get,
            pb::AuthUserGetRequest { name: "ada".into() }
        ),
        ask!(
            "UserGet",
            For::Root,
            rpc.auth,
            user_get,
            pb::AuthUserGetRequest { name: "root".into() }
        ),
        ask!("UserList", For::Root, rpc.auth, user_list, pb::AuthUserListRequest {}),
        ask!(
            "UserDelete",
            For::Root,
            rpc.auth,
            user_delete,
            pb::AuthUserDeleteRequest { name: names().0 }
        ),
        ask!(
            "UserChangePassword",
            For::Root,
            rpc.auth,
            user_change_password,
            pb::AuthUserChangePasswordRequest { name: names().0, ..Default::default() }
        ),
        ask!(
            "UserGrantRole",
            For::Root,
            rpc.auth,
            user_grant_role,
            crate::fixture::grant("eve", "none")
        ),
        ask!(
            "UserRevokeRole",
            For::Root,
            rpc.auth,
            user_revoke_role,
            pb::AuthUserRevokeRoleRequest { name: names().0, role: names().1 }
        ),
        ask!("RoleAdd", For::Root, rpc.auth, role_add, role("new")),
        ask!(
            "RoleGet, its own",
            For::Users,
            rpc.auth,
            role_get,
            pb::AuthRoleGetRequest { role: "own".into() }
        ),
        ask!("RoleGet", For::Root, rpc.auth, role_get, pb::AuthRoleGetRequest { role: names().1 }),
        ask!("RoleList", For::Root, rpc.auth, role_list, pb::AuthRoleListRequest {}),
        ask!(
            "RoleDelete",
            For::Root,
            rpc.auth,
            role_delete,
            pb::AuthRoleDeleteRequest { role: names().1 }
        ),
        ask!(
            "RoleGrantPermission",
            For::Root,
            rpc.auth,
            role_grant_permission,
            crate::fixture::allow(
                "none",
                portunus_proto::authpb::Permission { key: "k".into(), ..Default::default() }
            )
        ),
        ask!(
            "RoleRevokePermission",
            For::Root,
            rpc.auth,
            role_revoke_permission,
            pb::AuthRoleRevokePermissionRequest { role: names().1, ..Default::default() }
        ),
    ]
}

fn of_plugins() -> Vec<(&'static str, For, Ask)> {
    vec![
        ask!("Deploy", For::Root, plugins.client, deploy, v1::DeployRequest::default()),
        ask!("Remove", For::Root, plugins.client, remove, v1::RemoveRequest::default()),
        ask!("Rollback", For::Root, plugins.client, rollback, v1::RollbackRequest::default()),
        ask!("SetMode", For::Root, plugins.client, set_mode, v1::SetModeRequest::default()),
        ask!("List", For::Root, plugins.client, list, v1::ListRequest {}),
        ask!("Inspect", For::Root, plugins.client, inspect, v1::InspectRequest::default()),
        ask!("Status of plugins", For::Root, plugins.client, status, v1::StatusRequest::default()),
        ask!("Logs", For::Root, plugins.client, logs, v1::LogsRequest::default()),
        ask!(
            "ResumeTrigger",
            For::Root,
            plugins.client,
            resume_trigger,
            v1::ResumeTriggerRequest::default()
        ),
        ask!(
            "SkipTrigger",
            For::Root,
            plugins.client,
            skip_trigger,
            v1::SkipTriggerRequest::default()
        ),
        ask!(
            "Explain",
            For::Users,
            plugins.client,
            explain,
            v1::ExplainRequest { txn: Some(pb::TxnRequest::default()) }
        ),
        ask!(
            "Blame",
            For::Users,
            plugins.client,
            blame,
            v1::BlameRequest { key: "a/k".into(), ..Default::default() }
        ),
        ask!("Call", For::Users, plugins.recipes, call, v1::CallRequest::default()),
    ]
}

/// True for a refusal in matters of who asks.
fn is_about_the_caller(answer: &Result<(), Status>) -> bool {
    let said = |status: &Status| (status.code(), status.message().to_owned());
    let own = |(code, text): (Code, &str)| (code, text.to_owned());
    answer.as_ref().err().is_some_and(|status| {
        let said = said(status);
        said == own(DENIED) || said == own(NOBODY) || status.code() == Code::Unauthenticated
    })
}

async fn check(asks: Vec<(&'static str, For, Ask)>) -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    let ada = login(&mut world.rpc, "ada", "secret").await?;
    let plugins = Plugins::connect(&world.member.client_url).await?;
    let lines = Lines { rpc: world.rpc.clone(), plugins };
    for (what, who, ask) in asks {
        let asked = |token: Token| ask(lines.clone(), token);
        let nobody = asked(Token::none()).await;
        crate::fixture::assert_refused(what, nobody, NOBODY);
        let made_up = asked(Token("abcdefghijklmnop.7".into())).await;
        crate::fixture::assert_refused(what, made_up, crate::fixture::BAD_TOKEN);
        let user = asked(ada.clone()).await;
        match who {
            For::Users => assert!(!is_about_the_caller(&user), "{what}: {user:?}"),
            For::Root => crate::fixture::assert_refused(what, user, DENIED),
        }
        let root = asked(root.clone()).await;
        assert!(!is_about_the_caller(&root), "{what}: {root:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_asked_of_data_and_leases() -> Result<()> {
    check(of_data()).await
}

#[tokio::test]
async fn what_is_asked_of_members_and_for_upkeep() -> Result<()> {
    check(of_the_cluster()).await
}

#[tokio::test]
async fn what_is_asked_of_users_and_roles() -> Result<()> {
    check(of_auth()).await
}

#[tokio::test]
async fn what_is_asked_of_plugins() -> Result<()> {
    check(of_plugins()).await
}

/// The status of auth is what a client asks before it knows whether it has to log in.
#[tokio::test]
async fn whether_auth_is_on_is_told_to_everybody() -> Result<()> {
    let (mut world, _) = World::guarded(&[]).await?;
    let (enabled, revision) = crate::fixture::auth_status(&mut world.rpc).await?;
    assert!(enabled && revision > 1);
    Ok(())
}
