//! Discovery by DNS: SRV records name host and port of every member. Which of them is this one is
//! told by its address. Services and texts are etcd's.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::RData;
use hickory_resolver::{Resolver, TokioResolver};

use crate::config::Url;

/// Secure members and others have services of their own; where both are there, both count.
const SERVICES: [(&str, &str); 2] = [("https", "etcd-server-ssl"), ("http", "etcd-server")];

/// What is looked for.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// `--discovery-srv`.
    pub domain: &'a str,
    /// `--discovery-srv-name`; empty is none.
    pub service: &'a str,
    /// Of this member.
    pub name: &'a str,
    /// This member's peer URLs.
    pub advertised: &'a [Url],
}

/// Why DNS names no cluster with this member in it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the system's DNS settings cannot be read: {0}")]
    Settings(#[source] NetError),
    #[error("couldn't resolve host {host} during SRV discovery: {why}")]
    OwnHost { host: String, why: String },
    #[error("error querying DNS SRV records for {0}")]
    NoRecords(String),
    #[error(
        "bootstrap at {found} from DNS for {service} has scheme mismatch with expected peer {own}"
    )]
    Scheme { found: String, service: String, own: Url },
    #[error("cannot find local etcd member {0:?} in SRV records")]
    NotListed(String),
}

/// A resolver by the system's settings.
pub fn resolver() -> Result<TokioResolver, Error> {
    Resolver::builder_tokio().and_then(|builder| builder.build()).map_err(Error::Settings)
}

/// The members that DNS lists, as the text of `--initial-cluster`. Others than this one are named
/// by number.
pub async fn initial_cluster(query: &Query<'_>, resolver: &TokioResolver) -> Result<String, Error> {
    let own = own_addresses(query, resolver).await?;
    let (mut members, mut failures) = (Vec::new(), Vec::new());
    for (scheme, service) in SERVICES {
        let found = match records(&service_name(query, service), resolver).await {
            Ok(found) => found,
            Err(why) => {
                failures.push(why);
                continue;
            }
        };
        for (number, (host, port)) in found.into_iter().enumerate() {
            let Ok(address) = address(&host, port, resolver).await else {
                tracing::warn!(host, "a host that DNS lists has no address");
                continue;
            };
            let url = format!("{scheme}://{host}:{port}");
            let name = match own.iter().find(|(own, _)| *own == address) {
                Some((_, own)) if own.is_secure() != (scheme == "https") => {
                    let (service, own) = (service.to_owned(), (*own).clone());
                    return Err(Error::Scheme { found: url, service, own });
                }
                Some(_) => query.name.to_owned(),
                None => number.to_string(),
            };
            tracing::info!(node = url, "got bootstrap from DNS for etcd-server");
            members.push((name, url));
        }
    }
    if members.is_empty() {
        return Err(Error::NoRecords(failures.join("; ")));
    }
    if members.iter().all(|(name, _)| name != query.name) {
        return Err(Error::NotListed(query.name.to_owned()));
    }
    let members: Vec<String> = members.iter().map(|(name, url)| format!("{name}={url}")).collect();
    Ok(members.join(","))
}

fn service_name(query: &Query<'_>, service: &str) -> String {
    match query.service {
        "" => format!("_{service}._tcp.{}", query.domain),
        suffix => format!("_{service}-{suffix}._tcp.{}", query.domain),
    }
}

/// Host, without the dot that ends it in DNS, and port of each record.
async fn records(name: &str, resolver: &TokioResolver) -> Result<Vec<(String, u16)>, String> {
    // Absolute, so that no search domain is tried.
    let absolute = format!("{}.", name.trim_end_matches('.'));
    let found = resolver.srv_lookup(absolute).await.map_err(|why| format!("{name}: {why}"))?;
    let records = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => {
            let host = srv.target.to_ascii();
            Some((host.trim_end_matches('.').to_owned(), srv.port))
        }
        _ => None,
    });
    Ok(records.collect())
}

async fn own_addresses<'a>(
    query: &Query<'a>,
    resolver: &TokioResolver,
) -> Result<Vec<(SocketAddr, &'a Url)>, Error> {
    let mut own = Vec::new();
    for url in query.advertised {
        let Some((host, port)) = url.host_port() else { continue };
        let resolved = address(host, port, resolver).await;
        let fail = |why: NetError| Error::OwnHost { host: host.to_owned(), why: why.to_string() };
        own.push((resolved.map_err(fail)?, url));
    }
    Ok(own)
}

async fn address(host: &str, port: u16, resolver: &TokioResolver) -> Result<SocketAddr, NetError> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, port));
    }
    let found = resolver.lookup_ip(host).await?;
    let ip = found.iter().next().ok_or_else(|| NetError::from("no address"))?;
    Ok(SocketAddr::new(ip, port))
}

#[cfg(test)]
#[path = "srv_test.rs"]
mod tests;
