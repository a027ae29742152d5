//! Servers by the SRV records of a domain (RFC 2782). Says which are named, in the order in which
//! they are to be tried; connects to none.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::proto::rr::rdata::SRV;
use rand::Rng;

/// A server that a record names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Without the dot at its end.
    pub host: String,
    pub port: u16,
}

impl From<&SRV> for Server {
    fn from(record: &SRV) -> Self {
        let host = record.target.to_ascii();
        Self { host: host.trim_end_matches('.').to_owned(), port: record.port }
    }
}

/// Why no server was found.
#[derive(Debug, thiserror::Error)]
pub enum SrvError {
    #[error("the system's dns configuration cannot be read: {0}")]
    System(NetError),
    #[error("{record} cannot be looked up: {reason}")]
    Lookup { record: String, reason: NetError },
    #[error("no dns record names a server: {0}")]
    Nobody(String),
}

/// Asks name servers for SRV records.
#[derive(Clone)]
pub struct Names(TokioResolver);

impl Names {
    /// Asks those that the system asks.
    ///
    /// # Errors
    /// The system's configuration cannot be read.
    pub fn of_system() -> Result<Self, SrvError> {
        let builder = TokioResolver::builder_tokio().map_err(SrvError::System)?;
        builder.build().map(Self).map_err(SrvError::System)
    }

    /// Asks the name server at `address` alone.
    ///
    /// # Errors
    /// The resolver cannot be set up.
    pub fn of_server(address: SocketAddr) -> Result<Self, SrvError> {
        let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
        let connections = connections.map(|mut connection| {
            connection.port = address.port();
            connection
        });
        let server = NameServerConfig::new(address.ip(), true, connections.into());
        let config = ResolverConfig::from_name_servers(vec![server]);
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider);
        builder.build().map(Self).map_err(SrvError::System)
    }

    /// The servers that `_SERVICE._tcp.DOMAIN` names: the lowest priority first, among equals the
    /// heavier ones more often before the lighter.
    ///
    /// # Errors
    /// Nobody answers, or there is no such record.
    pub async fn servers(&self, service: &str, domain: &str) -> Result<Vec<Server>, SrvError> {
        let record = format!("_{service}._tcp.{}.", domain.trim_end_matches('.'));
        let records = self.records(&record).await;
        let records =
            records.map_err(|reason| SrvError::Lookup { record: record.clone(), reason })?;
        let servers = ordered(records, &mut rand::rng());
        match servers.is_empty() {
            true => Err(SrvError::Nobody(record)),
            false => Ok(servers),
        }
    }

    /// What the records of an absolute name say, in the order of the answer.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn listed(&self, record: &str) -> Result<Vec<Server>, NetError> {
        Ok(self.records(record).await?.iter().map(Server::from).collect())
    }

    async fn records(&self, record: &str) -> Result<Vec<SRV>, NetError> {
        let found = self.0.srv_lookup(record).await?;
        let records = found.answers().iter().filter_map(|answer| match &answer.data {
            RData::SRV(srv) => Some(srv.clone()),
            _ => None,
        });
        Ok(records.collect())
    }

    /// Where `host`, a name or an address, is.
    ///
    /// # Errors
    /// It has no address.
    pub async fn address(&self, host: &str, port: u16) -> Result<SocketAddr, NetError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let found = self.0.lookup_ip(host).await?;
        let ip = found.iter().next().ok_or_else(|| NetError::from("no address"))?;
        Ok(SocketAddr::new(ip, port))
    }

    /// The URLs under which clients find the cluster of `domain`, as etcd has it: those over TLS
    /// (`_etcd-client-ssl`), then the plain ones (`_etcd-client`); with `name` the services are
    /// called `etcd-client-ssl-NAME` and `etcd-client-NAME`.
    ///
    /// # Errors
    /// Neither service has a record.
    pub async fn client_urls(&self, domain: &str, name: &str) -> Result<Vec<String>, SrvError> {
        let suffix = if name.is_empty() { String::new() } else { format!("-{name}") };
        let (secure, plain) = (format!("etcd-client-ssl{suffix}"), format!("etcd-client{suffix}"));
        let (secure, plain) =
            tokio::join!(self.servers(&secure, domain), self.servers(&plain, domain));
        let url = |scheme: &'static str| {
            move |server: Server| match server.host.contains(':') {
                true => format!("{scheme}://[{}]:{}", server.host, server.port),
                false => format!("{scheme}://{}:{}", server.host, server.port),
            }
        };
        match (secure, plain) {
            (Err(secure), Err(plain)) => Err(SrvError::Nobody(format!("{secure} and {plain}"))),
            (secure, plain) => {
                let secure = secure.unwrap_or_default().into_iter().map(url("https"));
                let plain = plain.unwrap_or_default().into_iter().map(url("http"));
                Ok(secure.chain(plain).collect())
            }
        }
    }
}

/// By priority; among equals one is drawn after the other, each as likely as it is heavy.
fn ordered(mut records: Vec<SRV>, random: &mut impl Rng) -> Vec<Server> {
    let mut servers = Vec::with_capacity(records.len());
    while let Some(priority) = records.iter().map(|record| record.priority).min() {
        // One is added to each weight, so that those of weight 0 have a small chance.
        let weight = |record: &SRV| match record.priority == priority {
            true => u32::from(record.weight) + 1,
            false => 0,
        };
        let mut drawn = random.random_range(0..records.iter().map(weight).sum());
        let chosen = records.iter().position(|record| match drawn.checked_sub(weight(record)) {
            Some(rest) => {
                drawn = rest;
                false
            }
            None => true,
        });
        let record = records.swap_remove(chosen.expect("less than the sum was drawn"));
        servers.push(Server::from(&record));
    }
    servers
}

#[cfg(test)]
#[path = "srv_test.rs"]
mod tests;
