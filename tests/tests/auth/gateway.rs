//! The same over HTTP, as `curl` does it.

use anyhow::Result;
use portunus_tests::http::request;

use crate::fixture::World;

/// `a/k` and `v` in base64.
const PUT: &str = r#"{"key":"YS9r","value":"dg=="}"#;

#[tokio::test]
async fn a_token_goes_into_the_authorization() -> Result<()> {
    let (world, _) = World::guarded(&[]).await?;
    let post = async |path: &str, headers: &[(&str, &str)], body: &'static str| {
        request(&world.member.client_url, "POST", path, headers, body).await
    };
    let refused = post("/v3/kv/put", &[], PUT).await?;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["message"], "etcdserver: user name is empty");
    let wrong = r#"{"name":"ada","password":"wrong"}"#;
    let refused = post("/v3/auth/authenticate", &[], wrong).await?;
    assert_eq!(refused.status, 400);
    let text = "etcdserver: authentication failed, invalid user ID or password";
    assert_eq!(refused.json()["message"], text);
    let right = r#"{"name":"ada","password":"secret"}"#;
    let answer = post("/v3/auth/authenticate", &[], right).await?.json();
    let token = answer["token"].as_str().expect("a token").to_owned();
    for value in [token.clone(), format!("Bearer {token}")] {
        let done = post("/v3/kv/put", &[("Authorization", &value)], PUT).await?;
        assert_eq!(done.status, 200, "{}", done.body);
    }
    // `b`, which is not ada's.
    let other = r#"{"key":"Yg==","value":"dg=="}"#;
    let refused = post("/v3/kv/put", &[("Authorization", &token)], other).await?;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.json()["message"], "etcdserver: permission denied");
    let refused = post("/v3/kv/put", &[("Authorization", "made.up")], PUT).await?;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.json()["message"], "etcdserver: invalid auth token");
    Ok(())
}

/// What watches the server itself asks nobody for a password.
#[tokio::test]
async fn health_and_metrics_stay_open() -> Result<()> {
    let (world, _) = World::guarded(&[]).await?;
    for path in ["/health", "/livez", "/readyz", "/version", "/metrics"] {
        let answer = portunus_tests::http::get(&world.member.client_url, path).await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    Ok(())
}
