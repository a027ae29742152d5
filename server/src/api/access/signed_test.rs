//! Tokens of every kind of key, and what makes one worthless.

use std::time::Duration;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};

use super::{Signer, duration};

/// 2001-09-09.
const NOW_MS: u64 = 1_000_000_000_000;

fn asymmetric(method: &str, algorithm: &'static SignatureAlgorithm) -> (tempfile::TempDir, Signer) {
    let dir = tempfile::tempdir().expect("a directory");
    let pair = KeyPair::generate_for(algorithm).expect("a key");
    let (public, private) = (dir.path().join("pub.pem"), dir.path().join("priv.pem"));
    std::fs::write(&public, pair.public_key_pem()).expect("written");
    std::fs::write(&private, pair.serialize_pem()).expect("written");
    let options = format!(
        "pub-key={},priv-key={},sign-method={method},ttl=1m",
        public.display(),
        private.display()
    );
    (dir, Signer::of_options(&options).expect("a signer"))
}

fn symmetric(secret: &str) -> (tempfile::TempDir, Signer) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("secret");
    std::fs::write(&path, secret).expect("written");
    let options = format!("priv-key={},sign-method=HS256", path.display());
    (dir, Signer::of_options(&options).expect("a signer"))
}

#[test]
fn tokens_hold_until_they_end_and_only_unchanged() {
    let signers = [
        asymmetric("ES256", &PKCS_ECDSA_P256_SHA256),
        asymmetric("EdDSA", &PKCS_ED25519),
        symmetric("a secret"),
    ];
    for (_dir, signer) in &signers {
        let token = signer.sign("ada", 7, NOW_MS).expect("a token");
        let held = Some(("ada".to_owned(), 7));
        assert_eq!(signer.read(&token, NOW_MS), held);
        let last = NOW_MS + signer.ttl.as_millis() as u64 - 1;
        assert_eq!(signer.read(&token, last), held);
        assert_eq!(signer.read(&token, last + 1), None, "its time is over");
        let (head, rest) = token.split_at(token.len() / 2);
        let flipped = if rest.starts_with('A') { "B" } else { "A" };
        assert_eq!(signer.read(&format!("{head}{flipped}{}", &rest[1..]), NOW_MS), None);
        assert_eq!(signer.read("", NOW_MS), None);
    }
    let (_dir, other) = symmetric("another secret");
    let foreign = other.sign("ada", 7, NOW_MS).expect("a token");
    assert_eq!(signers[2].1.read(&foreign, NOW_MS), None, "signed by somebody else");
    assert_eq!(signers[0].1.read(&foreign, NOW_MS), None, "by another method");
}

#[test]
fn the_private_key_tells_the_public_one_and_another_pairs_is_refused() {
    let (dir, both) = asymmetric("ES256", &PKCS_ECDSA_P256_SHA256);
    let (other, _) = asymmetric("ES256", &PKCS_ECDSA_P256_SHA256);
    let private = dir.path().join("priv.pem");
    let options = |more: &str| format!("sign-method=ES256,priv-key={}{more}", private.display());
    let alone = Signer::of_options(&options("")).expect("a signer");
    let token = alone.sign("ada", 7, NOW_MS).expect("a token");
    assert_eq!(both.read(&token, NOW_MS), Some(("ada".to_owned(), 7)));
    assert_eq!(alone.read(&token, NOW_MS), Some(("ada".to_owned(), 7)));
    let foreign = format!(",pub-key={}", other.path().join("pub.pem").display());
    let error = Signer::of_options(&options(&foreign)).expect_err("refused").to_string();
    assert!(error.contains("public and private keys don't match"), "{error}");
}

#[test]
fn options_are_refused_by_name() {
    for (options, word) in [
        ("", "sign-method"),
        ("sign-method=ES256", "pub-key"),
        ("sign-method=HS256", "priv-key"),
        ("sign-method=none", "none"),
        ("sign-method=RS256,pub-key=/nonexistent/key", "/nonexistent/key"),
        ("sign-method=RS256,color=red", "color=red"),
        ("sign-method=RS256,ttl=soon", "soon"),
    ] {
        let error = Signer::of_options(options).expect_err("refused").to_string();
        assert!(error.contains(word), "{options}: {error}");
    }
    assert_eq!(duration("1h5m"), Some(Duration::from_secs(3900)));
    assert_eq!(duration("0s"), None);
}
