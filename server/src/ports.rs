//! From listen URLs to bound sockets, with who gets in by which certificate. All of it happens
//! before anything is written: a port in use and a file that is missing are the commonest mistakes.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::api::{Address, Listener, Port, Traffic};
use crate::clock::Clock;
use crate::config::{Config, Tls, Url};
use crate::raft::{PeerListener, PeerSocket};
use crate::tls::{Acceptor, Dialer, Door, self_signed};

/// What clients of one port may speak over TLS.
const CLIENT_PROTOCOLS: &[&str] = &["h2", "http/1.1"];
const PEER_PROTOCOLS: &[&str] = &["h2"];

/// The ports of `--listen-client-urls`, `--listen-client-http-urls` and `--listen-metrics-urls`.
pub async fn of_clients(config: &Config) -> Result<Vec<Port>> {
    let tls = &config.client_tls;
    let acceptor = match identity(config, tls, "client", &client_urls(config))? {
        Some(identity) => {
            let options = tls.server_options(identity);
            Some(Arc::new(Acceptor::new(options, CLIENT_PROTOCOLS).context("client TLS")?))
        }
        None => None,
    };
    let grpc = match config.serving.listen_client_http_urls.is_empty() {
        true => Traffic::Everything,
        false => Traffic::Grpc,
    };
    let groups = [
        ("--listen-client-urls", &config.listen_client_urls, grpc),
        ("--listen-client-http-urls", &config.serving.listen_client_http_urls, Traffic::Http),
        ("--listen-metrics-urls", &config.listen_metrics_urls, Traffic::Metrics),
    ];
    check_apart(config)?;
    let mut ports = Vec::new();
    for (flag, urls, traffic) in groups {
        for (address, urls) in by_address(urls)? {
            warn_of_http(tls, "client", &urls);
            let listener = bind(flag, urls[0], &address, config.serving.reuse_port).await?;
            let door = door(&urls, acceptor.as_ref(), false);
            ports.push(Port { listener, door, traffic });
        }
    }
    Ok(ports)
}

/// The ports of `--listen-peer-urls`, and how other members are called.
pub async fn of_peers(config: &Config) -> Result<(Vec<PeerListener>, Arc<Dialer>)> {
    let tls = &config.peer_tls;
    let identity = identity(config, tls, "peer", &config.listen_peer_urls)?;
    let dialer = Dialer::new(tls.client_options(identity.clone()));
    let acceptor = match identity {
        Some(identity) => {
            // A broken CA file is to be noticed now and not when the first peer is called.
            dialer.prepare().context("peer TLS")?;
            let options = tls.server_options(identity);
            Some(Arc::new(Acceptor::new(options, PEER_PROTOCOLS).context("peer TLS")?))
        }
        None => None,
    };
    let mut listeners = Vec::new();
    for (address, urls) in by_address(&config.listen_peer_urls)? {
        warn_of_http(tls, "peer", &urls);
        let socket =
            match bind("--listen-peer-urls", urls[0], &address, config.serving.reuse_port).await? {
                Listener::Tcp(listener) => PeerSocket::Tcp(listener.into_std()?),
                Listener::Unix(listener) => PeerSocket::Unix(listener.into_std()?),
            };
        listeners.push(PeerListener { socket, door: door(&urls, acceptor.as_ref(), true) });
    }
    Ok((listeners, dialer))
}

fn client_urls(config: &Config) -> Vec<Url> {
    let both = config.listen_client_urls.iter().chain(&config.serving.listen_client_http_urls);
    both.cloned().collect()
}

/// The certificate to show: the one given, or one made for the hosts of `urls`.
fn identity(
    config: &Config,
    tls: &Tls,
    side: &str,
    urls: &[Url],
) -> Result<Option<(PathBuf, PathBuf)>> {
    if let Some(identity) = &tls.identity {
        if tls.auto {
            tracing::warn!(side, "ignoring auto tls since certificates are given");
        }
        return Ok(Some(identity.clone()));
    }
    if !tls.auto {
        return Ok(None);
    }
    let mut hosts: Vec<_> = urls.iter().filter_map(|url| url.host_port()).collect();
    hosts.retain(|(host, _)| !host.is_empty());
    let mut hosts: Vec<String> = hosts.into_iter().map(|(host, _)| host.to_owned()).collect();
    hosts.dedup();
    let dir = std::path::absolute(config.data_dir.join("fixtures").join(side))?;
    let (years, now) = (config.self_signed_cert_validity, Clock::system().unix_ms());
    let made = self_signed(&dir, &hosts, years, now)
        .with_context(|| format!("no certificate can be made for {side}s"))?;
    Ok(Some((made.cert_file, made.key_file)))
}

/// Each address once, with the URLs that name it: one port may serve both schemes.
fn by_address(urls: &[Url]) -> Result<Vec<(Address, Vec<&Url>)>> {
    let mut all: Vec<(Address, Vec<&Url>)> = Vec::new();
    for url in urls {
        let address: Address = url.as_str().parse()?;
        match all.iter_mut().find(|(known, _)| *known == address) {
            Some((_, urls)) => urls.push(url),
            None => all.push((address, vec![url])),
        }
    }
    Ok(all)
}

/// gRPC alone and HTTP alone cannot share an address; etcd's text.
fn check_apart(config: &Config) -> Result<()> {
    let grpc = by_address(&config.listen_client_urls)?;
    for (address, urls) in by_address(&config.serving.listen_client_http_urls)? {
        if grpc.iter().any(|(other, _)| *other == address) {
            bail!(
                "cannot bind both --listen-client-urls and --listen-client-http-urls on the same \
                 url {}",
                urls[0]
            );
        }
    }
    Ok(())
}

fn door(urls: &[&Url], acceptor: Option<&Arc<Acceptor>>, peers: bool) -> Door {
    let (secure, plain) =
        (urls.iter().any(|url| url.is_secure()), urls.iter().any(|url| !url.is_secure()));
    Door { acceptor: acceptor.filter(|_| secure).cloned(), plain, peers }
}

fn warn_of_http(tls: &Tls, side: &str, urls: &[&Url]) {
    for url in urls.iter().filter(|url| !url.is_secure()) {
        if tls.serves() {
            tracing::warn!(
                %url,
                side,
                "scheme is http or unix while key and cert files are present; ignoring key and \
                 cert files"
            );
        }
        if tls.client_cert_auth {
            tracing::warn!(
                %url,
                side,
                "scheme is http or unix while client cert auth is enabled; ignoring client cert \
                 auth for this url"
            );
        }
    }
}

async fn bind(flag: &str, url: &Url, address: &Address, reuse_port: bool) -> Result<Listener> {
    let bound = Listener::bind(address, reuse_port).await;
    bound.with_context(|| {
        format!("cannot listen on {flag} {url}: stop what listens there, or name another address")
    })
}
