//! How commands that are clients reach a server, over TLS and as whom; options as etcdctl's,
//! variables too.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail, ensure};
use clap::Args;
use portunus_proto::etcdserverpb::AuthenticateRequest;
use portunus_proto::etcdserverpb::auth_client::AuthClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, Endpoint};
use tonic::{Code, Request, Status};

use crate::tls::{self, ClientOptions, Connector, Dialer, Target};

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
    /// Log in as this user: NAME:PASSWORD, or NAME with --password
    #[arg(long, global = true, env = "ETCDCTL_USER", value_name = "NAME[:PASSWORD]")]
    user: Option<String>,
    /// Password of --user; then a colon in it is part of the name
    #[arg(long, global = true, env = "ETCDCTL_PASSWORD", hide_env_values = true)]
    password: Option<String>,
}

/// A connection on which requests carry the token of a login, if there was one.
pub type Channel = InterceptedService<transport::Channel, Login>;

/// The token of a login.
#[derive(Clone, Debug, Default)]
pub struct Login(Option<MetadataValue<Ascii>>);

impl Interceptor for Login {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("token", token.clone());
        }
        Ok(request)
    }
}

/// Why there is no connection to work with.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody accepts there, or who does cannot be trusted.
    #[error(transparent)]
    Transport(#[from] transport::Error),
    #[error("--user is not let in: {0}")]
    Login(String),
}

impl Security {
    /// Who logs in, and with which password.
    fn credentials(&self) -> anyhow::Result<Option<(String, String)>> {
        match (&self.user, &self.password) {
            (None, _) => Ok(None),
            (Some(name), Some(password)) => Ok(Some((name.clone(), password.clone()))),
            (Some(user), None) => match user.split_once(':') {
                Some((name, password)) => Ok(Some((name.to_owned(), password.to_owned()))),
                None => bail!("--user {user} needs a password: give {user}:PASSWORD or --password"),
            },
        }
    }

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

    /// For who speaks for others: its certificate must name no user, or a server that takes the
    /// common name for one would let everybody act as that user.
    ///
    /// # Errors
    /// It names one, or cannot be read.
    pub fn names_nobody(&self) -> anyhow::Result<()> {
        let Some(cert) = &self.cert else { return Ok(()) };
        let name = tls::common_name(cert)?;
        ensure!(
            name.is_empty(),
            "cert has non empty Common Name ({name}): {}; whoever uses the proxy would be that \
             user: name a certificate without one with --cert",
            cert.display()
        );
        Ok(())
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
    credentials: Option<(String, String)>,
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
        Ok(Self { endpoint, connector, credentials: security.credentials()? })
    }

    /// Changes how it is connected to.
    pub fn with(self, change: impl FnOnce(Endpoint) -> Endpoint) -> Self {
        Self { endpoint: change(self.endpoint), ..self }
    }

    /// Connects, and logs in where there is a user.
    ///
    /// # Errors
    /// There is no server, or it does not let the user in.
    pub async fn connect(&self) -> Result<Channel, ConnectError> {
        let channel = self.endpoint.connect_with_connector(self.connector.clone()).await?;
        let login = match &self.credentials {
            None => Login::default(),
            Some((name, password)) => log_in(channel.clone(), name, password).await?,
        };
        Ok(InterceptedService::new(channel, login))
    }
}

/// As etcd's clients do, a user is taken for nobody while auth is off.
async fn log_in(
    channel: transport::Channel,
    name: &str,
    password: &str,
) -> Result<Login, ConnectError> {
    let request = AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
    match AuthClient::new(channel).authenticate(request).await {
        Ok(answer) => {
            let token = answer.into_inner().token.parse();
            let token = token.map_err(|_| ConnectError::Login("its token is no text".into()))?;
            Ok(Login(Some(token)))
        }
        Err(status) if status.code() == Code::FailedPrecondition => Ok(Login::default()),
        Err(status) => Err(ConnectError::Login(status.message().to_owned())),
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
    fn a_user_comes_with_its_password_or_not_at_all() {
        let credentials = |words: &[&str]| security(words).credentials().ok().flatten();
        let both = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(credentials(&[]), None);
        assert_eq!(credentials(&["--user=ada:se:cret"]), both("ada", "se:cret"));
        assert_eq!(credentials(&["--user=a:da", "--password=secret"]), both("a:da", "secret"));
        let error = security(&["--user=ada"]).credentials().expect_err("no password").to_string();
        assert!(error.contains("--password"), "{error}");
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
