//! The flags of TLS, once for clients and once for peers, and what they say of each other.

use std::path::PathBuf;

use crate::config::Error;
use crate::config::build::{bad_value, get, named, text};
use crate::config::options::Config;
use crate::config::parse;
use crate::config::read::Values;
use crate::tls::{ClientOptions, ServerOptions, Versions, suite};

/// How one kind of connection is secured. Each field is the flag of its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificate and key.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// What is shown when calling, where that is another.
    pub client_identity: Option<(PathBuf, PathBuf)>,
    pub trusted_ca_file: Option<PathBuf>,
    pub client_cert_auth: bool,
    pub crl_file: Option<PathBuf>,
    pub allowed_names: Vec<String>,
    pub allowed_hosts: Vec<String>,
    pub skip_origin: bool,
    pub auto: bool,
    pub versions: Versions,
    /// Suites that were asked for, are known to etcd, and cannot be used here; worth a warning.
    pub left_out: Vec<String>,
}

/// The names of one set of flags.
struct Names {
    cert: &'static str,
    key: &'static str,
    client_cert: &'static str,
    client_key: &'static str,
    ca: &'static str,
    auth: &'static str,
    crl: &'static str,
    allowed_cn: &'static str,
    allowed_hostname: &'static str,
    skip_san: &'static str,
    auto: &'static str,
}

impl Tls {
    pub(super) fn of_clients(values: &Values) -> Result<Self, Error> {
        let names = Names {
            cert: "cert-file",
            key: "key-file",
            client_cert: "client-cert-file",
            client_key: "client-key-file",
            ca: "trusted-ca-file",
            auth: "client-cert-auth",
            crl: "client-crl-file",
            allowed_cn: "client-cert-allowed-cn",
            allowed_hostname: "client-cert-allowed-hostname",
            skip_san: "client-skip-client-san-verification",
            auto: "auto-tls",
        };
        Self::read(values, &names)
    }

    pub(super) fn of_peers(values: &Values) -> Result<Self, Error> {
        let names = Names {
            cert: "peer-cert-file",
            key: "peer-key-file",
            client_cert: "peer-client-cert-file",
            client_key: "peer-client-key-file",
            ca: "peer-trusted-ca-file",
            auth: "peer-client-cert-auth",
            crl: "peer-crl-file",
            allowed_cn: "peer-cert-allowed-cn",
            allowed_hostname: "peer-cert-allowed-hostname",
            skip_san: "peer-skip-client-san-verification",
            auto: "peer-auto-tls",
        };
        Self::read(values, &names)
    }

    fn read(values: &Values, names: &Names) -> Result<Self, Error> {
        let path = |name| Some(text(values, name)).filter(|path| !path.is_empty());
        let pair = |cert: &'static str, key: &'static str| match (path(cert), path(key)) {
            (None, None) => Ok(None),
            (Some(cert), Some(key)) => Ok(Some((PathBuf::from(cert), PathBuf::from(key)))),
            (found, other) => {
                let (found, other) = (found.unwrap_or(""), other.unwrap_or(""));
                Err(Error::Contradiction(format!(
                    "--{cert} and --{key} must both be present[cert: {found}, key: {other}]"
                )))
            }
        };
        let (versions, left_out) = versions(values)?;
        let tls = Self {
            identity: pair(names.cert, names.key)?,
            client_identity: pair(names.client_cert, names.client_key)?,
            trusted_ca_file: path(names.ca).map(PathBuf::from),
            client_cert_auth: get(values, names.auth, parse::boolean)?,
            crl_file: path(names.crl).map(PathBuf::from),
            allowed_names: parse::list(text(values, names.allowed_cn)),
            allowed_hosts: parse::list(text(values, names.allowed_hostname)),
            skip_origin: get(values, names.skip_san, parse::boolean)?,
            auto: get(values, names.auto, parse::boolean)?,
            versions,
            left_out,
        };
        let (cns, hosts) = (&tls.allowed_names, &tls.allowed_hosts);
        if !cns.is_empty() && !hosts.is_empty() {
            return Err(Error::Contradiction(format!(
                "--{} and --{} are mutually exclusive (cns={cns:?}, hostnames={hosts:?})",
                names.allowed_cn, names.allowed_hostname
            )));
        }
        Ok(tls)
    }

    /// Whether there is or will be a certificate to show.
    pub fn serves(&self) -> bool {
        self.identity.is_some() || self.auto
    }

    /// What the serving side asks for, with this certificate and key.
    pub fn server_options(&self, (cert_file, key_file): (PathBuf, PathBuf)) -> ServerOptions {
        ServerOptions {
            cert_file,
            key_file,
            trusted_ca_file: self.trusted_ca_file.clone(),
            client_cert_auth: self.client_cert_auth,
            crl_file: self.crl_file.clone(),
            allowed_names: self.allowed_names.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            skip_origin: self.skip_origin,
            versions: self.versions.clone(),
        }
    }

    /// What the calling side shows and asks for. A certificate that a member made for itself is
    /// believed by nobody who looks, so then nobody does, as with etcd.
    pub fn client_options(&self, own: Option<(PathBuf, PathBuf)>) -> ClientOptions {
        ClientOptions {
            identity: self.client_identity.clone().or(own),
            trusted_ca_file: self.trusted_ca_file.clone(),
            insecure_skip_verify: self.auto && self.identity.is_none(),
            crl_file: self.crl_file.clone(),
            allowed_names: self.allowed_names.clone(),
            allowed_hosts: self.allowed_hosts.clone(),
            versions: self.versions.clone(),
        }
    }
}

/// The versions that may be agreed on, and the suites that are left out.
fn versions(values: &Values) -> Result<(Versions, Vec<String>), Error> {
    let version = |name| {
        get(values, name, |text| match text {
            "" => Ok(None),
            "TLS1.2" => Ok(Some(12)),
            "TLS1.3" => Ok(Some(13)),
            _ => Err(format!("unexpected TLS version {text:?} (must be one of: TLS1.2, TLS1.3)")),
        })
    };
    let (min, max) = (version("tls-min-version")?.unwrap_or(12), version("tls-max-version")?);
    let max = max.unwrap_or(13);
    if min > max {
        return Err(Error::Contradiction(format!(
            "min version ({}) is greater than max version ({})",
            text(values, "tls-min-version"),
            text(values, "tls-max-version")
        )));
    }
    let (mut suites, mut left_out) = (Vec::new(), Vec::new());
    for name in parse::list(text(values, "cipher-suites")) {
        let known = suite(&name);
        let known = known.map_err(|reason| bad_value(values, named("cipher-suites"), reason))?;
        match known {
            Some(suite) => suites.push(suite),
            None => left_out.push(name),
        }
    }
    if min == 13 && !(suites.is_empty() && left_out.is_empty()) {
        return Err(Error::Contradiction(
            "cipher suites cannot be configured when only TLS1.3 is enabled".to_owned(),
        ));
    }
    let none_of = suites.is_empty() && !left_out.is_empty();
    if none_of && max == 12 {
        let reason = "none of these can be used here; choose ECDHE with AES-GCM or ChaCha20";
        return Err(bad_value(values, named("cipher-suites"), reason.to_owned()));
    }
    // With only suites that cannot be had, TLS 1.3 is what is left.
    let tls12 = min == 12 && !none_of;
    Ok((Versions { tls12, tls13: max == 13, suites }, left_out))
}

impl Config {
    /// Whoever is to speak TLS has a certificate; texts are etcd's.
    pub(super) fn check_tls(&self) -> Result<(), Error> {
        let refused = |text: String| Err(Error::Contradiction(text));
        if !self.client_tls.serves() {
            let both = self.listen_client_urls.iter().chain(&self.serving.listen_client_http_urls);
            if let Some(url) = both.into_iter().find(|url| url.is_secure()) {
                return refused(format!(
                    "TLS key/cert (--cert-file, --key-file) must be provided for client url {url} \
                     with HTTPS scheme"
                ));
            }
            if self.listen_metrics_urls.iter().any(|url| url.is_secure()) {
                return refused(
                    "client TLS key/cert (--cert-file, --key-file) must be provided for metrics \
                     secure url"
                        .to_owned(),
                );
            }
        }
        let peers = &self.listen_peer_urls;
        match peers.iter().find(|url| url.is_secure() && !self.peer_tls.serves()) {
            Some(url) => refused(format!(
                "cannot listen on TLS for {url}: KeyFile and CertFile are not presented \
                 (--peer-cert-file, --peer-key-file)"
            )),
            None => Ok(()),
        }
    }
}
