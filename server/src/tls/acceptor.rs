//! The serving side of a handshake.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;
use tokio_rustls::TlsAcceptor;

use super::certificate::Facts;
use super::connection::{Connection, Socket};
use super::files::{self, LoadError};
use super::options::ServerOptions;
use super::verify::{ClientCheck, Demands};
use super::watched::Watched;
use super::{origin, refusal, suites};

/// Turns sockets into connections that have proven what the options ask for.
pub struct Acceptor {
    config: Watched<Arc<ServerConfig>>,
    checks_origin: bool,
    names_callers: bool,
}

/// A handshake that came to nothing.
#[derive(Debug)]
pub struct Refused {
    pub reason: String,
    /// What the certificate said, where one was verified and then refused for where it came from.
    pub shown: Option<Facts>,
}

impl Acceptor {
    /// `protocols` are those of ALPN, the first preferred.
    ///
    /// # Errors
    /// A file cannot be used.
    pub fn new(options: ServerOptions, protocols: &[&str]) -> Result<Self, LoadError> {
        let protocols: Vec<Vec<u8>> = protocols.iter().map(|name| name.as_bytes().into()).collect();
        let (checks_origin, names_callers) = (!options.skip_origin, options.client_cert_auth);
        let mut watched = vec![options.cert_file.clone(), options.key_file.clone()];
        watched.extend(options.trusted_ca_file.clone());
        watched.extend(options.crl_file.clone());
        let build = move || Ok(Arc::new(config(&options, protocols.clone())?));
        Ok(Self { config: Watched::new(watched, build)?, checks_origin, names_callers })
    }

    /// Shakes hands; sets no deadline of its own.
    ///
    /// # Errors
    /// Why it came to nothing.
    pub async fn accept(&self, socket: Socket) -> Result<Connection, Refused> {
        let config = (*self.config.current()).clone();
        let stream = TlsAcceptor::from(config).accept(socket).await;
        let stream =
            stream.map_err(|error| Refused { reason: refusal::served(&error), shown: None })?;
        let (socket, session) = stream.get_ref();
        // Only a verified certificate is handed out.
        let facts = session.peer_certificates().and_then(|all| Facts::of(all.first()?));
        let name = match (facts, socket.remote()) {
            (None, _) => None,
            (Some(facts), remote) => {
                if let (true, Some(remote)) = (self.checks_origin, remote)
                    && let Err(reason) = origin::check(&facts, remote.ip()).await
                {
                    return Err(Refused { reason, shown: Some(facts) });
                }
                let named = self.names_callers && !facts.common_name.is_empty();
                named.then(|| facts.common_name.into())
            }
        };
        Ok(Connection::secure(stream.into(), name))
    }
}

fn config(options: &ServerOptions, protocols: Vec<Vec<u8>>) -> Result<ServerConfig, LoadError> {
    let provider = suites::provider(&options.versions);
    let identity = files::certified_key(&options.cert_file, &options.key_file, &provider)?;
    let crl = options.crl_file.as_deref().map(Path::new);
    let demands = Demands::new(&options.allowed_names, &options.allowed_hosts, crl)?;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&suites::protocol(&options.versions))
        .map_err(|error| LoadError::Setup(error.to_string()))?;
    let identity = Arc::new(SingleCertAndKey::from(identity));
    let mut config = match options.verifies_clients() {
        true => {
            let roots = files::roots(options.trusted_ca_file.as_deref())?;
            let check = ClientCheck::new(roots, &provider, demands)?;
            builder.with_client_cert_verifier(check).with_cert_resolver(identity)
        }
        false => builder.with_no_client_auth().with_cert_resolver(identity),
    };
    if options.verifies_clients() {
        // A resumed session would skip looking at the certificate, which may be revoked by now.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = protocols;
    Ok(config)
}
