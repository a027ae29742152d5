//! Passwords and simple tokens.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use portunus_proto::etcdserverpb as pb;
use portunus_tests::eventually;
use tonic::{Code, Request};

use crate::fixture::{
    BAD_TOKEN, FAILED, NOBODY, Token, World, assert_done, assert_refused, grant, login, outcome,
    passwordless, put, range, user,
};

const PASSWORDLESS: (Code, &str) =
    (Code::Unknown, "auth: authentication failed, password was given for no password user");

#[tokio::test]
async fn a_password_gets_in_and_no_other() -> Result<()> {
    let mut world = World::start(&[]).await?;
    let off = (Code::FailedPrecondition, "etcdserver: authentication is not enabled");
    assert_refused("while it is off", login(&mut world.rpc, "ada", "secret").await, off);
    crate::fixture::people(&mut world.rpc).await?;
    let rpc = &mut world.rpc;
    assert_refused("another", login(rpc, "ada", "Secret").await, FAILED);
    assert_refused("none", login(rpc, "ada", "").await, FAILED);
    assert_refused("nobody", login(rpc, "eve", "secret").await, FAILED);
    let token = login(rpc, "ada", "secret").await?;
    let (letters, number) = token.0.split_once('.').expect("as etcd's: letters, a dot, a number");
    assert!(letters.len() == 16 && number.parse::<u64>().is_ok(), "{token:?}");
    assert_ne!(login(rpc, "ada", "secret").await?, token);
    assert_done("with it", rpc.kv.put(token.with(put("a/k"))).await);
    assert_refused("without", rpc.kv.put(put("a/k")).await, NOBODY);
    let made_up = Token("abcdefghijklmnop.7".into());
    assert_refused("made up", rpc.kv.put(made_up.with(put("a/k"))).await, BAD_TOKEN);
    assert_refused("read", rpc.kv.range(made_up.with(range("a/k"))).await, BAD_TOKEN);
    Ok(())
}

/// Whatever HTTP clients are used to.
#[tokio::test]
async fn a_token_comes_in_either_header() -> Result<()> {
    let (mut world, _) = World::guarded(&[]).await?;
    let Token(token) = login(&mut world.rpc, "ada", "secret").await?;
    for (header, value) in [
        ("token", &token),
        ("authorization", &token),
        ("authorization", &format!("Bearer {token}")),
    ] {
        let mut request = Request::new(put("a/k"));
        request.metadata_mut().insert(header, value.parse()?);
        assert_done(header, world.rpc.kv.put(request).await);
    }
    Ok(())
}

#[tokio::test]
async fn a_changed_password_ends_what_the_old_one_gave() -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    let rpc = &mut world.rpc;
    let old = login(rpc, "ada", "secret").await?;
    let change = pb::AuthUserChangePasswordRequest {
        name: "ada".into(),
        password: "new".into(),
        hashed_password: String::new(),
    };
    rpc.auth.user_change_password(root.with(change)).await?;
    assert_refused("the old token", rpc.kv.put(old.with(put("a/k"))).await, BAD_TOKEN);
    assert_refused("the old password", login(rpc, "ada", "secret").await, FAILED);
    let new = login(rpc, "ada", "new").await?;
    assert_done("the new token", rpc.kv.put(new.with(put("a/k"))).await);
    rpc.auth.user_delete(root.with(pb::AuthUserDeleteRequest { name: "ada".into() })).await?;
    assert_refused("nobody's token", rpc.kv.put(new.with(put("a/k"))).await, BAD_TOKEN);
    assert_refused("nobody", login(rpc, "ada", "new").await, FAILED);
    Ok(())
}

#[tokio::test]
async fn tokens_end_with_auth() -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    world.rpc.auth.auth_disable(root.with(pb::AuthDisableRequest {})).await?;
    assert_done("nobody is asked", world.rpc.kv.put(root.with(put("k"))).await);
    world.rpc.auth.auth_enable(pb::AuthEnableRequest {}).await?;
    assert_refused("of before", world.rpc.kv.put(root.with(put("k"))).await, BAD_TOKEN);
    Ok(())
}

#[tokio::test]
async fn a_user_without_password_has_no_login() -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    world.rpc.auth.user_add(root.with(passwordless("daemon"))).await?;
    for password in ["", "any"] {
        assert_refused("no login", login(&mut world.rpc, "daemon", password).await, PASSWORDLESS);
    }
    // Giving it one changes nothing, as in etcd.
    let change = pb::AuthUserChangePasswordRequest {
        name: "daemon".into(),
        password: "new".into(),
        hashed_password: String::new(),
    };
    world.rpc.auth.user_change_password(root.with(change)).await?;
    assert_refused("no login", login(&mut world.rpc, "daemon", "new").await, PASSWORDLESS);
    Ok(())
}

/// A hash that a client made itself would be a password that nobody has seen, or a login without
/// one.
#[tokio::test]
async fn a_hash_from_outside_is_not_believed() -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    let hashed_password = "$2b$04$abcdefghijklmnopqrstuuWq3Tj0F4vDPbvYF7xkSX9OKzQvBnnTC".to_owned();
    let add = pb::AuthUserAddRequest { hashed_password, ..user("bob", "own") };
    world.rpc.auth.user_add(root.with(add)).await?;
    assert_done("the password counts", login(&mut world.rpc, "bob", "own").await);
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_not_used_ends() -> Result<()> {
    let (mut world, _) = World::guarded(&["--auth-token-ttl=1"]).await?;
    let rpc = world.rpc.clone();
    let token = login(&mut world.rpc, "ada", "secret").await?;
    // Looking at it would be using it, so there is nothing to poll: each look takes a token of its
    // own that was left alone for longer than its time.
    eventually("a token that ended", || async {
        let mut rpc = rpc.clone();
        let fresh = login(&mut rpc, "ada", "secret").await?;
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let refused = outcome(rpc.kv.put(fresh.with(put("a/k"))).await);
        ensure!(refused == (BAD_TOKEN.0, BAD_TOKEN.1.to_owned()), "{refused:?}");
        Ok(())
    })
    .await;
    assert_refused("the first", world.rpc.kv.put(token.with(put("a/k"))).await, BAD_TOKEN);
    Ok(())
}

/// Twice its time and more goes by, with a use every now and then.
#[tokio::test]
async fn a_token_that_is_used_goes_on() -> Result<()> {
    const TTL: Duration = Duration::from_secs(3);
    let (world, _) = World::guarded(&["--auth-token-ttl=3"]).await?;
    eventually("a use in time, each time", || async {
        let mut rpc = world.rpc.clone();
        let token = login(&mut rpc, "ada", "secret").await?;
        let (begun, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
        while begun.elapsed() < TTL * 2 {
            // Between two uses; that it was no longer than it should is looked at below.
            tokio::time::sleep(TTL / 20).await;
            let used = rpc.kv.put(token.with(put("a/k"))).await;
            longest = longest.max(last.elapsed());
            last = Instant::now();
            // A machine that stood still says nothing about tokens.
            ensure!(longest < TTL / 3, "{longest:?} between two uses");
            assert_done("used in time", used);
        }
        Ok(())
    })
    .await;
    Ok(())
}

/// While passwords are hashed, and it takes long, everybody else is served.
#[tokio::test(flavor = "multi_thread")]
async fn logins_hold_nobody_up() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = portunus_tests::Member::single(dir.path(), &["--bcrypt-cost=12"])?;
    let mut rpc = portunus_tests::Rpc::connect(&member.client_url).await?;
    rpc.auth.user_add(user("root", "root")).await?;
    rpc.auth.user_grant_role(grant("root", "root")).await?;
    rpc.auth.auth_enable(pb::AuthEnableRequest {}).await?;
    let token = login(&mut rpc, "root", "root").await?;
    let logins: Vec<_> = (0..10)
        .map(|_| {
            let mut rpc = rpc.clone();
            tokio::spawn(async move { login(&mut rpc, "root", "root").await })
        })
        .collect();
    let mut served = 0;
    while logins.iter().any(|login| !login.is_finished()) {
        rpc.kv.put(token.with(put("k"))).await?;
        served += 1;
    }
    for login in logins {
        login.await??;
    }
    // Each login costs more than many puts do: were they in one line there would be as many.
    assert!(served > 10, "{served} puts beside 10 logins");
    member.terminate()?;
    Ok(())
}
