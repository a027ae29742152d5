//! Signed tokens: each method, their end, and what a change of auth does to them.

use std::path::Path;

use anyhow::{Result, ensure};
use portunus_tests::{Member, Rpc, eventually, free_ports};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use tonic::Code;

use crate::fixture::{
    BAD_TOKEN, CHEAP, DENIED, OLD, Token, World, assert_done, assert_refused, login, outcome,
    people, put, range, role,
};

const RSA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/auth/keys/rsa.pem");
const RSA_PUBLIC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/auth/keys/rsa.pub.pem");

/// The flag for a method whose keys are made in `dir`.
fn flag(dir: &Path, method: &str, more: &str) -> Result<String> {
    let at = |name: &str| dir.join(name).display().to_string();
    let (public, private) = match method {
        "RS256" | "PS256" => (RSA_PUBLIC.to_owned(), RSA.to_owned()),
        "HS256" => {
            std::fs::write(at("secret"), "a secret that nobody guesses")?;
            (String::new(), at("secret"))
        }
        _ => {
            let algorithm = if method == "EdDSA" { &PKCS_ED25519 } else { &PKCS_ECDSA_P256_SHA256 };
            let pair = KeyPair::generate_for(algorithm)?;
            std::fs::write(at("public"), pair.public_key_pem())?;
            std::fs::write(at("private"), pair.serialize_pem())?;
            (at("public"), at("private"))
        }
    };
    let public = if public.is_empty() { public } else { format!("pub-key={public},") };
    Ok(format!("--auth-token=jwt,{public}priv-key={private},sign-method={method}{more}"))
}

async fn signing(method: &str, more: &str) -> Result<(World, Token)> {
    let keys = tempfile::tempdir()?;
    World::guarded(&[&flag(keys.path(), method, more)?]).await
}

#[tokio::test]
async fn each_method_lets_in_and_no_other_signature() -> Result<()> {
    for method in ["RS256", "ES256", "EdDSA", "HS256", "PS256"] {
        let (mut world, _) = signing(method, "").await?;
        let rpc = &mut world.rpc;
        let token = login(rpc, "ada", "secret").await?;
        assert_eq!(token.0.split('.').count(), 3, "{method}: {token:?}");
        assert_done(method, rpc.kv.put(token.with(put("a/k"))).await);
        assert_done(method, rpc.kv.range(token.with(range("a/k"))).await);
        assert_refused(method, rpc.kv.put(token.with(put("b"))).await, DENIED);
        // The claims of one and the signature of another.
        let other = login(rpc, "root", "root").await?;
        let (claims, _) = other.0.rsplit_once('.').expect("three parts");
        let (_, signature) = token.0.rsplit_once('.').expect("three parts");
        let forged = Token(format!("{claims}.{signature}"));
        assert_refused(method, rpc.kv.put(forged.with(put("a/k"))).await, BAD_TOKEN);
        let simple = Token("abcdefghijklmnop.7".into());
        assert_refused(method, rpc.kv.put(simple.with(put("a/k"))).await, BAD_TOKEN);
    }
    Ok(())
}

/// `none` is a method too; no member takes it.
#[tokio::test]
async fn an_unsigned_token_is_none() -> Result<()> {
    let (mut world, _) = signing("HS256", "").await?;
    // {"alg":"none","typ":"JWT"} . {"username":"root","revision":99,"exp":9999999999}
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.\
                    eyJ1c2VybmFtZSI6InJvb3QiLCJyZXZpc2lvbiI6OTksImV4cCI6OTk5OTk5OTk5OX0.";
    let unsigned = Token(unsigned.into());
    assert_refused("none", world.rpc.kv.put(unsigned.with(put("k"))).await, BAD_TOKEN);
    Ok(())
}

#[tokio::test]
async fn a_signed_token_ends() -> Result<()> {
    let (mut world, _) = signing("EdDSA", ",ttl=1s").await?;
    let token = login(&mut world.rpc, "ada", "secret").await?;
    eventually("its end", || async {
        let mut rpc = world.rpc.clone();
        let refused = outcome(rpc.kv.put(token.with(put("a/k"))).await);
        ensure!(refused == (BAD_TOKEN.0, BAD_TOKEN.1.to_owned()), "{refused:?}");
        Ok(())
    })
    .await;
    Ok(())
}

/// Nobody can take a signed token back, so it says as of when it was given out.
#[tokio::test]
async fn a_change_of_auth_makes_signed_tokens_old() -> Result<()> {
    let (mut world, root) = signing("ES256", "").await?;
    let rpc = &mut world.rpc;
    let ada = login(rpc, "ada", "secret").await?;
    assert_done("before", rpc.kv.put(ada.with(put("a/k"))).await);
    assert_done("a change", rpc.auth.role_add(root.with(role("one"))).await);
    assert_refused("a put", rpc.kv.put(ada.with(put("a/k"))).await, OLD);
    assert_refused("a read", rpc.kv.range(ada.with(range("a/k"))).await, OLD);
    assert_refused("of root's", rpc.kv.put(root.with(put("k"))).await, OLD);
    // As in etcd, root can go on changing users with the one it has.
    assert_done("another", rpc.auth.role_add(root.with(role("two"))).await);
    let ada = login(rpc, "ada", "secret").await?;
    assert_done("a new one", rpc.kv.put(ada.with(put("a/k"))).await);
    Ok(())
}

/// A member with the public key alone reads tokens and gives out none.
#[tokio::test]
async fn a_member_without_the_private_key_signs_nothing() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let whole = flag(dir.path(), "EdDSA", "")?;
    let public = whole.replace(&format!("priv-key={},", dir.path().join("private").display()), "");
    assert_ne!(whole, public);
    let [client, peer] = free_ports();
    let peer = format!("http://127.0.0.1:{peer}");
    let member = |tokens: &str| {
        let flags = vec![
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=m0={peer}"),
            CHEAP.to_owned(),
            tokens.to_owned(),
        ];
        Member::new("m0", dir.path(), client, flags)
    };
    let mut signer = member(&whole);
    signer.start()?;
    let mut rpc = Rpc::connect(&signer.client_url).await?;
    people(&mut rpc).await?;
    let token = login(&mut rpc, "ada", "secret").await?;
    signer.terminate()?;
    // The same member, started anew without its key.
    let mut reader = member(&public);
    reader.start()?;
    let mut rpc = Rpc::connect(&reader.client_url).await?;
    assert_done("reads", rpc.kv.put(token.with(put("a/k"))).await);
    let (code, text) = outcome(login(&mut rpc, "ada", "secret").await);
    assert_eq!(code, Code::Unknown);
    assert!(text.contains("priv-key"), "{text}");
    reader.terminate()?;
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_signed_with_is_refused_at_the_start() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let no_key = dir.path().join("no-key");
    std::fs::write(&no_key, "no key")?;
    let no_key = format!("jwt,sign-method=RS256,pub-key={}", no_key.display());
    for (value, words) in [
        ("paseto", "paseto"),
        ("jwt", "sign-method"),
        ("jwt,sign-method=RS1", "RS1"),
        ("jwt,sign-method=RS256", "pub-key"),
        ("jwt,sign-method=RS256,pub-key=/nonexistent/key", "/nonexistent/key"),
        (&no_key, "no-key"),
    ] {
        let started = Member::single(dir.path(), &[&format!("--auth-token={value}")]);
        let error = started.err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(error.contains("--auth-token") && error.contains(words), "{value}: {error}");
    }
    Ok(())
}
