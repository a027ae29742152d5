//! Cipher suites by the names that Go, and so etcd's `--cipher-suites`, gives them.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring as provider;
use rustls::{CipherSuite, SupportedCipherSuite, SupportedProtocolVersion, version};

use super::options::Versions;

/// A suite that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suite(CipherSuite);

/// Names and numbers of the suites of TLS 1.2 that can be used. The last two are Go's older names.
const USABLE: &[(&str, CipherSuite)] = &[
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256),
    ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

/// Those of TLS 1.3, which Go knows and does not let anybody choose.
const FIXED: &[&str] =
    &["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"];

/// Go's without forward secrecy or without authenticated encryption, which are not offered here.
const OUTDATED: &[&str] = &[
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/// The suite of this name; `None` for one that etcd knows and that is left out here: a suite of
/// TLS 1.3, or one that is not offered.
///
/// # Errors
/// A name that etcd does not know either.
pub fn suite(name: &str) -> Result<Option<Suite>, String> {
    if let Some((_, suite)) = USABLE.iter().find(|(usable, _)| *usable == name) {
        return Ok(Some(Suite(*suite)));
    }
    match FIXED.contains(&name) || OUTDATED.contains(&name) {
        true => Ok(None),
        false => Err(format!("unexpected TLS cipher suite {name:?}")),
    }
}

/// rustls's cryptography, cut down to what may be agreed on.
pub fn provider(versions: &Versions) -> Arc<CryptoProvider> {
    let all = provider::ALL_CIPHER_SUITES.iter();
    let is_13 = |suite: &SupportedCipherSuite| suite.tls13().is_some();
    let chosen = |id: CipherSuite| all.clone().copied().find(|suite| suite.suite() == id);
    let mut suites: Vec<_> = all.clone().copied().filter(is_13).collect();
    match versions.suites.as_slice() {
        [] => suites.extend(all.clone().copied().filter(|suite| !is_13(suite))),
        some => suites.extend(some.iter().filter_map(|suite| chosen(suite.0))),
    }
    Arc::new(CryptoProvider { cipher_suites: suites, ..provider::default_provider() })
}

/// The versions, as rustls names them.
pub fn protocol(versions: &Versions) -> Vec<&'static SupportedProtocolVersion> {
    let both = [(versions.tls13, &version::TLS13), (versions.tls12, &version::TLS12)];
    both.into_iter().filter(|(on, _)| *on).map(|(_, version)| version).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_usable_name_is_a_suite_that_is_there() {
        for (name, id) in USABLE {
            let chosen = suite(name).expect("known").expect("usable");
            let versions = Versions { suites: vec![chosen], ..Versions::default() };
            let offered = provider(&versions).cipher_suites.clone();
            let old: Vec<_> = offered.iter().filter(|suite| suite.tls13().is_none()).collect();
            assert_eq!(old.iter().map(|suite| suite.suite()).collect::<Vec<_>>(), [*id], "{name}");
            assert_eq!(offered.len(), 1 + FIXED.len(), "those of TLS 1.3 stay");
        }
    }

    #[test]
    fn what_go_knows_passes_and_what_nobody_knows_does_not() {
        for name in FIXED.iter().chain(OUTDATED) {
            assert_eq!(suite(name), Ok(None), "{name}");
        }
        let unknown = Err("unexpected TLS cipher suite \"TLS_NOTHING\"".to_owned());
        assert_eq!(suite("TLS_NOTHING"), unknown);
    }
}
