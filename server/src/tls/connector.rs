//! The calling side: connections to a target, as tonic's channels want them.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;

use super::connection::{Connection, Socket};
use super::files::{self, LoadError};
use super::options::ClientOptions;
use super::target::{Place, Target};
use super::verify::{Demands, ServerCheck};
use super::watched::Watched;
use super::{refusal, suites};

/// Makes connections under one set of options.
pub struct Dialer {
    options: ClientOptions,
    /// Read when TLS is first used: who speaks plain HTTP needs no certificates.
    config: OnceLock<Result<Watched<Arc<ClientConfig>>, LoadError>>,
}

impl Dialer {
    pub fn new(options: ClientOptions) -> Arc<Self> {
        Arc::new(Self { options, config: OnceLock::new() })
    }

    /// Reads the files now.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn prepare(&self) -> Result<(), LoadError> {
        self.config().map(drop)
    }

    fn config(&self) -> Result<Arc<ClientConfig>, LoadError> {
        let watched = self.config.get_or_init(|| {
            let options = self.options.clone();
            let mut files: Vec<_> = options.trusted_ca_file.iter().cloned().collect();
            files.extend(options.identity.iter().flat_map(|(cert, key)| [cert, key]).cloned());
            files.extend(options.crl_file.clone());
            Watched::new(files, move || Ok(Arc::new(config(&options)?)))
        });
        match watched {
            Ok(watched) => Ok((*watched.current()).clone()),
            Err(error) => Err(error.clone()),
        }
    }

    /// Connects; sets no deadline of its own.
    ///
    /// # Errors
    /// Nobody listens there, or the handshake failed; the text says which.
    pub async fn dial(&self, target: &Target) -> io::Result<Connection> {
        let socket = match &target.place {
            Place::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                stream.set_nodelay(true)?;
                Socket::from(stream)
            }
            Place::Unix(path) => UnixStream::connect(path).await?.into(),
        };
        if !target.secure {
            return Ok(Connection::plain(socket));
        }
        let host = target.host();
        let name = ServerName::try_from(host.clone());
        let name = name.map_err(|_| io::Error::other(format!("{host:?} is no host")))?;
        let config = self.config().map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, socket).await;
        let stream =
            stream.map_err(|error| io::Error::new(error.kind(), refusal::dialled(&error)))?;
        Ok(Connection::secure(stream.into(), None))
    }
}

fn config(options: &ClientOptions) -> Result<ClientConfig, LoadError> {
    let provider = suites::provider(&options.versions);
    let roots = match options.insecure_skip_verify {
        true => None,
        false => Some(files::roots(options.trusted_ca_file.as_deref())?),
    };
    let crl = options.crl_file.as_deref().map(Path::new);
    let demands = Demands::new(&options.allowed_names, &options.allowed_hosts, crl)?;
    let check = ServerCheck::new(roots, &provider, demands)?;
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&suites::protocol(&options.versions))
        .map_err(|error| LoadError::Setup(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(check);
    let mut config = match &options.identity {
        Some((cert, key)) => {
            let identity = files::certified_key(cert, key, &provider)?;
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity)))
        }
        None => builder.with_no_client_auth(),
    };
    // Connections live long, and each is to be looked at.
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

/// The connections of one channel.
#[derive(Clone)]
pub struct Connector {
    dialer: Arc<Dialer>,
    target: Arc<Target>,
}

impl Connector {
    pub fn new(dialer: Arc<Dialer>, target: Target) -> Self {
        Self { dialer, target: Arc::new(target) }
    }

    /// The endpoint to use this connector with: tonic is to leave the encryption to it.
    ///
    /// # Errors
    /// The target's host cannot stand in a request.
    pub fn endpoint(&self) -> Result<Endpoint, tonic::transport::Error> {
        let authority = self.target.authority();
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))?;
        match format!("https://{authority}").parse::<Uri>() {
            Ok(origin) if self.target.secure => Ok(endpoint.origin(origin)),
            _ => Ok(endpoint),
        }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Connection>>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let (dialer, target) = (self.dialer.clone(), self.target.clone());
        Box::pin(async move { dialer.dial(&target).await.map(TokioIo::new) })
    }
}
