//! The flags of `portunus proxy`; named as those of `etcd grpc-proxy start` wherever that has them.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::Args;

use super::connection::KeepAlive;
use super::source::Source;
use crate::config::parse_duration;
use crate::dial::Security;
use crate::srv::Names;
use crate::tls::{ServerOptions, Versions, suite};

/// How the proxy listens, and to which cluster it leads.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where clients are served
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:23790")]
    pub listen_addr: String,
    /// Serve metrics and health there, too
    #[arg(long, value_name = "URL")]
    pub metrics_addr: Option<String>,
    /// Members of the cluster
    #[arg(
        long,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:2379",
        conflicts_with = "discovery_srv"
    )]
    pub endpoints: Vec<String>,
    /// How often the members are asked who the members are, which are the endpoints from then on;
    /// 0 never
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = parse_duration)]
    pub endpoints_auto_sync_interval: Duration,
    /// Domain whose SRV records name the members; looked up again when none of them answers
    #[arg(long, value_name = "DOMAIN")]
    pub discovery_srv: Option<String>,
    /// Ends the name of the service that is looked up (etcd-client-NAME)
    #[arg(long, value_name = "NAME", default_value = "", requires = "discovery_srv")]
    pub discovery_srv_name: String,
    /// Ask this name server and not the system's
    #[arg(long, value_name = "IP:PORT", requires = "discovery_srv")]
    pub discovery_srv_server: Option<std::net::SocketAddr>,
    /// No effect: certificates decide who is believed, not names
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub insecure_discovery: Option<bool>,
    /// Prefix that all keys of the clients are put under
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub namespace: String,
    /// The one member that clients hear of, so that they stay with the proxy
    #[arg(long, value_name = "URL")]
    pub advertise_client_url: Option<String>,
    #[command(flatten)]
    pub upstream: Security,
    /// Silence after which a member is asked for a sign of life; 0 never
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    pub dial_keepalive_time: Duration,
    /// How long the sign of life may take
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_duration)]
    pub dial_keepalive_timeout: Duration,
    /// Ask for signs of life while no call is under way, too
    #[arg(long)]
    pub permit_without_stream: bool,
    #[command(flatten)]
    pub serving: Serving,
    /// No effect: members have their bounds
    #[arg(long, value_name = "BYTES")]
    pub max_send_bytes: Option<u64>,
    /// No effect: members have their bounds
    #[arg(long, value_name = "BYTES")]
    pub max_recv_bytes: Option<u64>,
    /// Log what happens in detail
    #[arg(long)]
    pub debug: bool,
}

/// How clients are served.
#[derive(Clone, Debug, Args)]
pub struct Serving {
    /// Certificate to show to clients, in PEM; with it they are served over TLS
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub cert_file: Option<PathBuf>,
    /// Private key of --cert-file
    #[arg(long, value_name = "FILE", requires = "cert_file")]
    pub key_file: Option<PathBuf>,
    /// CAs of the clients' certificates, in PEM; with it clients must show one
    #[arg(long, value_name = "FILE")]
    pub trusted_ca_file: Option<PathBuf>,
    /// Certificates that are revoked
    #[arg(long, value_name = "FILE")]
    pub client_crl_file: Option<PathBuf>,
    /// Serve over TLS with a certificate made for the purpose
    #[arg(long, conflicts_with = "cert_file")]
    pub auto_tls: bool,
    /// Years that such a certificate holds
    #[arg(long, value_name = "YEARS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub self_signed_cert_validity: u32,
    /// Folder for such a certificate
    #[arg(long, value_name = "DIR", default_value = "default.proxy")]
    pub data_dir: PathBuf,
    /// Cipher suites for TLS 1.2, the first preferred
    #[arg(long, value_name = "SUITE", value_delimiter = ',')]
    pub listen_cipher_suites: Vec<String>,
    /// Oldest TLS that clients may speak
    #[arg(long, default_value = "TLS1.2", value_parser = ["TLS1.2", "TLS1.3"])]
    pub tls_min_version: String,
    /// Newest TLS that clients may speak
    #[arg(long, default_value = "", value_parser = ["", "TLS1.2", "TLS1.3"])]
    pub tls_max_version: String,
    /// Calls that one connection may have under way
    #[arg(long, value_name = "NUMBER", default_value_t = u32::MAX)]
    pub max_concurrent_streams: u32,
    /// Silence after which a client is asked for a sign of life; 0 never
    #[arg(long, value_name = "DURATION", default_value = "2h", value_parser = parse_duration)]
    pub grpc_keepalive_interval: Duration,
    /// How long the sign of life may take
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = parse_duration)]
    pub grpc_keepalive_timeout: Duration,
    /// No effect: clients may ask for signs of life as often as they like
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub grpc_keepalive_min_time: Option<Duration>,
}

impl Options {
    /// Where the members come from.
    ///
    /// # Errors
    /// An endpoint is none, or names cannot be looked up here.
    pub fn source(&self) -> anyhow::Result<Source> {
        let Some(domain) = &self.discovery_srv else {
            let urls = self.endpoints.iter().map(|endpoint| self.upstream.url(endpoint.trim()));
            let urls: Vec<_> = urls.collect();
            for url in &urls {
                url.parse::<crate::tls::Target>().context("--endpoints")?;
            }
            return Ok(Source::Fixed(urls));
        };
        ensure!(!domain.is_empty(), "--discovery-srv needs a domain");
        let names = match self.discovery_srv_server {
            Some(server) => Names::of_server(server),
            None => Names::of_system(),
        };
        let (domain, name) = (domain.clone(), self.discovery_srv_name.clone());
        Ok(Source::Srv { names: names.context("--discovery-srv")?, domain, name })
    }

    pub fn keep_alive(&self) -> KeepAlive {
        let interval = self.dial_keepalive_time;
        KeepAlive {
            interval: (!interval.is_zero()).then_some(interval),
            timeout: self.dial_keepalive_timeout,
            while_idle: self.permit_without_stream,
        }
    }

    /// The URL to advertise.
    ///
    /// # Errors
    /// It is none.
    pub fn advertised(&self) -> anyhow::Result<Option<String>> {
        let Some(url) = &self.advertise_client_url else { return Ok(None) };
        // As etcd, which takes an address for one.
        let url = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        url.parse::<crate::tls::Target>().context("--advertise-client-url")?;
        Ok(Some(url))
    }
}

impl Serving {
    /// Whether clients are served over TLS.
    pub fn secure(&self) -> bool {
        self.cert_file.is_some() || self.auto_tls
    }

    /// # Errors
    /// A suite is unknown, or the versions leave nothing.
    pub fn server_options(&self, cert: PathBuf, key: PathBuf) -> anyhow::Result<ServerOptions> {
        Ok(ServerOptions {
            cert_file: cert,
            key_file: key,
            trusted_ca_file: self.trusted_ca_file.clone(),
            crl_file: self.client_crl_file.clone(),
            versions: self.versions()?,
            ..ServerOptions::default()
        })
    }

    fn versions(&self) -> anyhow::Result<Versions> {
        let (min, max) = (self.tls_min_version.as_str(), self.tls_max_version.as_str());
        if min == "TLS1.3" && max == "TLS1.2" {
            bail!("--tls-min-version ({min}) is greater than --tls-max-version ({max})");
        }
        let mut suites = Vec::new();
        for name in &self.listen_cipher_suites {
            let found = suite(name).map_err(anyhow::Error::msg);
            suites.extend(found.context("--listen-cipher-suites")?);
        }
        ensure!(
            min != "TLS1.3" || self.listen_cipher_suites.is_empty(),
            "--listen-cipher-suites cannot be chosen when only TLS1.3 is enabled"
        );
        Ok(Versions { tls12: min != "TLS1.3", tls13: max != "TLS1.2", suites })
    }

    /// # Errors
    /// A flag is given that has a meaning only over TLS.
    pub fn check(&self) -> anyhow::Result<()> {
        if !self.secure() {
            ensure!(
                self.trusted_ca_file.is_none(),
                "--trusted-ca-file needs TLS: name a certificate with --cert-file and --key-file"
            );
            ensure!(
                self.client_crl_file.is_none(),
                "--client-crl-file needs TLS: name a certificate with --cert-file and --key-file"
            );
        }
        self.versions().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Words {
        #[command(flatten)]
        options: Options,
    }

    fn options(words: &[&str]) -> Result<Options, String> {
        let all = std::iter::once("portunus").chain(words.iter().copied());
        Words::try_parse_from(all).map(|words| words.options).map_err(|error| error.to_string())
    }

    #[test]
    fn without_flags_it_is_etcds_proxy() {
        let options = options(&[]).expect("valid");
        assert_eq!(options.listen_addr, "127.0.0.1:23790");
        assert!(
            matches!(options.source(), Ok(Source::Fixed(urls)) if urls == ["http://127.0.0.1:2379"])
        );
        assert_eq!(options.keep_alive().interval, Some(Duration::from_secs(10)));
        assert_eq!(options.advertised().expect("none"), None);
        options.serving.check().expect("nothing to refuse");
    }

    #[test]
    fn certificates_make_endpoints_secure() {
        let options = options(&["--endpoints=a:1,http://b:2", "--cacert=ca.pem"]).expect("valid");
        let source = options.source().expect("urls");
        assert!(matches!(source, Source::Fixed(urls) if urls == ["https://a:1", "http://b:2"]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_flag_to_mend() {
        for (words, part) in [
            (&["--endpoints=a:1", "--discovery-srv=x"][..], "--discovery-srv"),
            (&["--cert-file=c"], "--key-file"),
            (&["--discovery-srv-name=n"], "--discovery-srv"),
            (&["--endpoint=a:1"], "--endpoints"),
            (&["--dial-keepalive-time=10"], "unit is missing"),
            (&["--self-signed-cert-validity=0"], "--self-signed-cert-validity"),
        ] {
            let refused = options(words).expect_err("refused");
            assert!(refused.contains(part), "{words:?}: {refused}");
        }
        for (words, part) in [
            (&["--trusted-ca-file=c"][..], "--cert-file"),
            (&["--tls-min-version=TLS1.3", "--tls-max-version=TLS1.2"], "is greater than"),
            (&["--listen-cipher-suites=NONE"], "unexpected TLS cipher suite"),
        ] {
            let refused = options(words).expect("parses").serving.check().expect_err("refused");
            assert!(format!("{refused:#}").contains(part), "{words:?}: {refused:#}");
        }
        let refused = options(&["--endpoints=nowhere"]).expect("parses").source().err();
        assert!(format!("{:#}", refused.expect("refused")).contains("--endpoints"));
        let refused = options(&["--advertise-client-url=x"]).expect("parses").advertised();
        assert!(format!("{:#}", refused.expect_err("refused")).contains("--advertise-client-url"));
    }
}
