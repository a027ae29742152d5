//! How commands that are clients reach a server over TLS; options as etcdctl's, variables too.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use tonic::transport::{Channel, Endpoint};

use crate::tls::{ClientOptions, Connector, Dialer, Target};

/// Which certificates to show and to believe. The ids differ from the names, as commands have
/// arguments like `KEY` of their own.
#[derive(Clone, Debug, Args)]
pub struct Security {
    /// CAs of the servers' certificates, in PEM; the system's unless given
    #[arg(
        id = "tls-cacert",
        long = "cacert",
        global = true,
        env = "ETCDCTL_CACERT",
        value_name = "FILE"
    )]
    cacert: Option<PathBuf>,
    /// Certificate to show, in PEM
    #[arg(
        id = "tls-cert",
        long = "cert",
        global = true,
        env = "ETCDCTL_CERT",
        value_name = "FILE"
    )]
    cert: Option<PathBuf>,
    /// Private key of --cert
    #[arg(id = "tls-key", long = "key", global = true, env = "ETCDCTL_KEY", value_name = "FILE")]
    key: Option<PathBuf>,
    /// Believe every certificate: whoever answers may be somebody else
    #[arg(long, global = true, env = "ETCDCTL_INSECURE_SKIP_TLS_VERIFY")]
    insecure_skip_tls_verify: bool,
    /// Endpoints without a scheme are http unless certificates are named; false makes them https
    #[arg(
        long,
        global = true,
        env = "ETCDCTL_INSECURE_TRANSPORT",
        default_value_t = true,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    insecure_transport: bool,
}

impl Security {
    /// Makes connections by these options.
    ///
    /// # Errors
    /// Certificate and key are not both there.
    pub fn dialer(&self) -> anyhow::Result<Arc<Dialer>> {
        let identity = match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => Some((cert.clone(), key.clone())),
            (None, None) => None,
            (Some(_), None) => bail!("--cert needs its private key: name it with --key"),
            (None, Some(_)) => bail!("--key needs its certificate: name it with --cert"),
        };
        Ok(Dialer::new(ClientOptions {
            identity,
            trusted_ca_file: self.cacert.clone(),
            insecure_skip_verify: self.insecure_skip_tls_verify,
            ..ClientOptions::default()
        }))
    }

    /// The endpoint as a URL: one without a scheme is http, unless something here speaks of TLS.
    pub fn url(&self, endpoint: &str) -> String {
        if endpoint.contains("://") {
            return endpoint.to_owned();
        }
        let named = self.cacert.is_some() || self.cert.is_some() || self.insecure_skip_tls_verify;
        match named || !self.insecure_transport {
            true => format!("https://{endpoint}"),
            false => format!("http://{endpoint}"),
        }
    }
}

/// A server that may be connected to.
pub struct Server {
    endpoint: Endpoint,
    connector: Connector,
}

impl Server {
    /// The server at `endpoint`.
    ///
    /// # Errors
    /// The endpoint is none, or the options contradict each other.
    pub fn new(security: &Security, endpoint: &str) -> anyhow::Result<Self> {
        let target: Target = security.url(endpoint).parse().context("--endpoints")?;
        let connector = Connector::new(security.dialer()?, target);
        let endpoint = connector
            .endpoint()
            .with_context(|| format!("--endpoints {endpoint} is not host:port"))?;
        Ok(Self { endpoint, connector })
    }

    /// Changes how it is connected to.
    pub fn with(self, change: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        Self { endpoint: change(self.endpoint), ..self }
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody accepts there, or who does cannot be trusted.
    pub async fn connect(&self) -> Result<Channel, tonic::transport::Error> {
        self.endpoint.connect_with_connector(self.connector.clone()).await
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Words {
        #[command(flatten)]
        security: Security,
    }

    fn security(words: &[&str]) -> Security {
        let all = std::iter::once("portunus").chain(words.iter().copied());
        Words::try_parse_from(all).map(|words| words.security).expect("valid")
    }

    #[test]
    fn the_scheme_follows_from_what_is_said_of_tls() {
        let url = |words: &[&str]| security(words).url("h:1");
        assert_eq!(url(&[]), "http://h:1");
        assert_eq!(url(&["--insecure-transport"]), "http://h:1");
        assert_eq!(url(&["--insecure-transport=false"]), "https://h:1");
        assert_eq!(url(&["--cacert", "ca.pem"]), "https://h:1");
        assert_eq!(url(&["--insecure-skip-tls-verify"]), "https://h:1");
        assert_eq!(security(&["--cacert=c"]).url("http://h:1"), "http://h:1");
    }

    #[test]
    fn half_an_identity_is_refused() {
        let refusal = |words: &[&str]| security(words).dialer().err().map(|e| e.to_string());
        let no_key = "--cert needs its private key: name it with --key";
        assert_eq!(refusal(&["--cert=c"]).as_deref(), Some(no_key));
        let no_cert = "--key needs its certificate: name it with --cert";
        assert_eq!(refusal(&["--key=k"]).as_deref(), Some(no_cert));
        assert_eq!(refusal(&["--cert=c", "--key=k"]), None, "files are read when TLS is used");
    }
}
