//! Which tokens are given out (`--auth-token`), and simple ones: random, known to the cluster by
//! their digest alone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use rand::distr::Alphabetic;
use sha2::{Digest, Sha256};

use super::{Signer, TokenError};

/// Letters of a simple token, as etcd's.
const LETTERS: usize = 16;

/// What `--auth-token` asks for.
#[derive(Clone, Debug)]
pub enum Scheme {
    /// Random tokens that end this long after their last use.
    Simple { ttl: Duration },
    /// Signed tokens, which no member has to know.
    Signed(Arc<Signer>),
}

/// Reads `--auth-token`: `simple`, or `jwt,pub-key=...,priv-key=...,sign-method=...,ttl=...`.
pub fn scheme(text: &str, simple_ttl: Duration) -> Result<Scheme, TokenError> {
    match text.split_once(',') {
        None if text == "simple" => Ok(Scheme::Simple { ttl: simple_ttl }),
        None if text == "jwt" => Ok(Scheme::Signed(Arc::new(Signer::of_options("")?))),
        Some(("simple", _)) => Ok(Scheme::Simple { ttl: simple_ttl }),
        Some(("jwt", options)) => Ok(Scheme::Signed(Arc::new(Signer::of_options(options)?))),
        _ => Err(TokenError::UnknownKind(text.to_owned())),
    }
}

/// A new simple token: letters and a number, as etcd's clients expect it.
pub fn new_token(number: i64) -> String {
    let letters: String =
        rand::rng().sample_iter(Alphabetic).take(LETTERS).map(char::from).collect();
    format!("{letters}.{number}")
}

/// What the cluster knows of a simple token.
pub fn digest(token: &str) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{LETTERS, Scheme, digest, new_token, scheme};

    #[test]
    fn tokens_differ_and_look_like_those_of_etcd() {
        let (one, other) = (new_token(7), new_token(7));
        assert_ne!(one, other);
        assert_ne!(digest(&one), digest(&other));
        let (letters, number) = one.split_once('.').expect("a dot");
        assert!(letters.len() == LETTERS && letters.bytes().all(|byte| byte.is_ascii_alphabetic()));
        assert_eq!(number, "7");
    }

    #[test]
    fn an_unknown_kind_is_refused_by_name() {
        let ttl = Duration::from_secs(1);
        assert!(matches!(scheme("simple", ttl), Ok(Scheme::Simple { .. })));
        let error = scheme("paseto", ttl).expect_err("no such kind").to_string();
        assert!(error.contains("paseto") && error.contains("simple"), "{error}");
        assert!(scheme("jwt", ttl).is_err(), "there is no key");
    }
}
