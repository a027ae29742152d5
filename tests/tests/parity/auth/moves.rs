//! A guarded deployment moves from a real etcd to this server and back: users keep their passwords,
//! roles their permissions, and auth stays on.

use anyhow::{Context, Result, ensure};
use portunus_proto::authpb::{Permission, permission::Type};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::snapshots::restored;
use portunus_tests::{Member, Rpc};
use std::path::{Path, PathBuf};
use std::process::Command;
use tonic::{Code, Request};

use crate::etcd::Etcd;

/// Name and password.
pub const ROOT: &str = "root:toor";

/// `root`, and `ada` who has all of `a/`. Auth is on afterwards.
pub async fn people(rpc: &mut Rpc) -> Result<()> {
    let auth = &mut rpc.auth;
    for (name, password) in [("root", "toor"), ("ada", "secret")] {
        let (name, password) = (name.to_owned(), password.to_owned());
        auth.user_add(pb::AuthUserAddRequest { name, password, ..Default::default() }).await?;
    }
    auth.role_add(pb::AuthRoleAddRequest { name: "own".into() }).await?;
    let perm =
        Permission { perm_type: Type::Readwrite.into(), key: "a/".into(), range_end: "a0".into() };
    let allow = pb::AuthRoleGrantPermissionRequest { name: "own".into(), perm: Some(perm) };
    auth.role_grant_permission(allow).await?;
    for (user, role) in [("root", "root"), ("ada", "own")] {
        let (user, role) = (user.to_owned(), role.to_owned());
        auth.user_grant_role(pb::AuthUserGrantRoleRequest { user, role }).await?;
    }
    auth.auth_enable(pb::AuthEnableRequest {}).await?;
    Ok(())
}

/// `ada` gets in by her password and has what is hers.
pub async fn assert_guarded(stop: &str, url: &str) -> Result<()> {
    let mut rpc = Rpc::connect(url).await?;
    let login = pb::AuthenticateRequest { name: "ada".into(), password: "secret".into() };
    let token = rpc.auth.authenticate(login).await.context(stop.to_owned())?.into_inner().token;
    let put = async |rpc: &mut Rpc, key: &'static str, token: &str| {
        let mut request = Request::new(pb::PutRequest { key: key.into(), ..Default::default() });
        if !token.is_empty() {
            request.metadata_mut().insert("token", token.parse().expect("text"));
        }
        rpc.kv.put(request).await.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    let found = [
        put(&mut rpc, "a/k", &token).await,
        put(&mut rpc, "b", &token).await,
        put(&mut rpc, "a/k", "").await,
    ];
    ensure!(
        found == [Code::Ok, Code::PermissionDenied, Code::InvalidArgument],
        "{stop}: {found:?}"
    );
    Ok(())
}

/// Root saves what the server at `url` holds, by our own command.
fn save(url: &str, dir: &Path, name: &str) -> Result<PathBuf> {
    let file = dir.join(name);
    let command = |user: &str| {
        let mut command = Command::new(Member::program()?);
        command.args(["snapshot", "save", "--endpoints", url, "--user", user]).arg(&file);
        anyhow::Ok(command.output()?)
    };
    let refused = command("ada:secret")?;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    ensure!(!refused.status.success() && said.contains("permission denied"), "{said}");
    let wrong = command("root:secret")?;
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    ensure!(!wrong.status.success() && said.contains("--user is not let in"), "{said}");
    let saved = command(ROOT)?;
    ensure!(saved.status.success(), "{}", String::from_utf8_lossy(&saved.stderr));
    Ok(file)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_move_here_and_back() -> Result<()> {
    let Some(etcd) = Etcd::start(&[]).await else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    people(&mut Rpc::connect(&etcd.client_url).await?).await?;
    assert_guarded("at etcd", &etcd.client_url).await?;
    let file = save(&etcd.client_url, dir.path(), "of-etcd")?;
    drop(etcd);
    let mut member = restored(&file, dir.path(), 1, &[])?.remove(0);
    member.start()?;
    assert_guarded("here", &member.client_url).await?;
    let file = save(&member.client_url, dir.path(), "of-ours")?;
    member.kill()?;
    let etcd = Etcd::restored(&file, &[]).await.context("it was there before")?;
    assert_guarded("at etcd again", &etcd.client_url).await
}
