//! What is asked of each side of a TLS connection, as flags state it.

use std::path::PathBuf;

use super::suites::Suite;

/// Which versions and cipher suites may be agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versions {
    pub tls12: bool,
    pub tls13: bool,
    /// For TLS 1.2, the first preferred; none stands for all there are. Those of TLS 1.3 cannot be
    /// chosen.
    pub suites: Vec<Suite>,
}

impl Default for Versions {
    fn default() -> Self {
        Self { tls12: true, tls13: true, suites: Vec::new() }
    }
}

/// The serving side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerOptions {
    /// The certificate, followed by those between it and the CA.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    /// Whose certificates are believed. With it clients must show one.
    pub trusted_ca_file: Option<PathBuf>,
    /// Clients must show a certificate; without [`trusted_ca_file`](Self::trusted_ca_file) one that
    /// the system's CAs stand for.
    pub client_cert_auth: bool,
    /// Serial numbers that are refused, whoever signed them.
    pub crl_file: Option<PathBuf>,
    /// Common names of which the client's certificate must have one; empty for any.
    pub allowed_names: Vec<String>,
    /// Hosts (names or addresses) of which the client's certificate must cover one; empty for any.
    pub allowed_hosts: Vec<String>,
    /// Do not hold the addresses and names of a client's certificate against where it calls from.
    pub skip_origin: bool,
    pub versions: Versions,
}

impl ServerOptions {
    /// Whether clients must show a certificate.
    pub fn verifies_clients(&self) -> bool {
        self.client_cert_auth || self.trusted_ca_file.is_some()
    }
}

/// The calling side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientOptions {
    /// Certificate and key to show when asked for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whose certificates are believed; `None` for the system's CAs.
    pub trusted_ca_file: Option<PathBuf>,
    /// Believe every certificate.
    pub insecure_skip_verify: bool,
    /// As [`ServerOptions::crl_file`], of the server's certificate.
    pub crl_file: Option<PathBuf>,
    pub allowed_names: Vec<String>,
    pub allowed_hosts: Vec<String>,
    pub versions: Versions,
}
