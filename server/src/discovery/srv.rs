//! Discovery by DNS: SRV records name host and port of every member. Which of them is this one is
//! told by its address. Services and texts are etcd's.

use std::net::SocketAddr;

use crate::config::Url;
use crate::srv::{Names, Server};

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

/// The members that DNS lists, as the text of `--initial-cluster`. Others than this one are named
/// by number.
pub async fn initial_cluster(query: &Query<'_>, names: &Names) -> Result<String, Error> {
    let own = own_addresses(query, names).await?;
    let (mut members, mut failures) = (Vec::new(), Vec::new());
    for (scheme, service) in SERVICES {
        let found = match listed(&service_name(query, service), names).await {
            Ok(found) => found,
            Err(why) => {
                failures.push(why);
                continue;
            }
        };
        for (number, Server { host, port }) in found.into_iter().enumerate() {
            let Ok(address) = names.address(&host, port).await else {
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

async fn listed(name: &str, names: &Names) -> Result<Vec<Server>, String> {
    // Absolute, so that no search domain is tried.
    let absolute = format!("{}.", name.trim_end_matches('.'));
    names.listed(&absolute).await.map_err(|why| format!("{name}: {why}"))
}

async fn own_addresses<'a>(
    query: &Query<'a>,
    names: &Names,
) -> Result<Vec<(SocketAddr, &'a Url)>, Error> {
    let mut own = Vec::new();
    for url in query.advertised {
        let Some((host, port)) = url.host_port() else { continue };
        let address = names.address(host, port).await;
        let address = address
            .map_err(|why| Error::OwnHost { host: host.to_owned(), why: why.to_string() })?;
        own.push((address, url));
    }
    Ok(own)
}

#[cfg(test)]
#[path = "srv_test.rs"]
mod tests;
