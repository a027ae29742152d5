//! Where clients reach this member: addresses as URLs, and the sockets bound to them. A socket is
//! bound early, so that a port in use is noticed before anything else is touched.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;

use crate::tls::Socket;

/// Probes of an idle connection, so that a client that vanished without a word is noticed.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// How long accepting rests after it failed for want of something (files, memory): the next try
/// would fail at once, and trying all the time would take a core from those who are connected.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections that the system keeps until they are accepted; it may keep fewer.
const BACKLOG: u32 = 1024;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// A host (an IP address or a name; empty for all interfaces) and a port.
    Tcp { host: String, port: u16 },
    /// A socket file, relative to the working directory unless it begins with a slash.
    Unix(PathBuf),
}

/// Why a URL names no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("{0:?} is not a listen url: write http://HOST:PORT, https://HOST:PORT or unix://PATH")]
    Malformed(String),
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    /// Understands `http://host:port` and `unix://path`, also with the `s` of TLS, which makes no
    /// difference to where it is; a trailing slash is ignored, as by etcd.
    fn from_str(url: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "http" | "https" => {
                let authority = rest.strip_suffix('/').unwrap_or(rest);
                let (host, port) = authority.rsplit_once(':').ok_or_else(malformed)?;
                let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
                let host = match bare {
                    Some(v6) => v6,
                    None if host.contains([':', '/', '@']) => return Err(malformed()),
                    None => host,
                };
                let port = port.parse().map_err(|_| malformed())?;
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            "unix" | "unixs" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            _ => Err(malformed()),
        }
    }
}

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Binds `address`; with `reuse_port` beside others who ask for the same. Of a name's addresses the first IPv4 one is taken before any IPv6 one, as
    /// Go does, since that is where clients configured for etcd will look.
    ///
    /// # Errors
    /// The address is taken, not local, or its name is unknown.
    pub async fn bind(address: &Address, reuse_port: bool) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let addresses = resolve(host, *port).await?;
                let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
                for address in addresses {
                    match bind_tcp(address, reuse_port) {
                        Ok(listener) => return Ok(Self::Tcp(listener)),
                        Err(error) => failure = error,
                    }
                }
                Err(failure)
            }
            Address::Unix(path) => {
                remove_stale(path).await?;
                Ok(Self::Unix(UnixListener::bind(path)?))
            }
        }
    }

    /// The address in use, which tells the port when 0 was asked for; `None` for a socket file.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl Listener {
    /// What is accepted, slowly while accepting fails.
    pub fn sockets(self) -> BoxStream<'static, io::Result<Socket>> {
        match self {
            Self::Tcp(listener) => TcpIncoming::from(listener)
                .with_nodelay(Some(true))
                .with_keepalive(Some(TCP_KEEPALIVE))
                .then(paced)
                .map(|accepted| accepted.map(Socket::from))
                .boxed(),
            Self::Unix(listener) => UnixListenerStream::new(listener)
                .then(paced)
                .map(|accepted| accepted.map(Socket::from))
                .boxed(),
        }
    }
}

/// Passes on what accepting brought, slowly while it fails.
async fn paced<T>(accepted: io::Result<T>) -> io::Result<T> {
    if let Err(error) = &accepted
        && !is_the_clients(error)
    {
        tracing::warn!(%error, "cannot accept a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
    accepted
}

/// The client went away before it was accepted; nothing is wrong here.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}

fn bind_tcp(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = match address.is_ipv4() {
        true => TcpSocket::new_v4()?,
        false => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    if reuse_port {
        socket.set_reuseport(true)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if host.is_empty() {
        // All interfaces, of both families where the system has both.
        return Ok(vec![([0u16; 8], port).into(), ([0u8; 4], port).into()]);
    }
    let mut addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    addresses.sort_by_key(|address| address.is_ipv6());
    Ok(addresses)
}

/// A member that was killed leaves its socket file behind. It is removed only when it is a socket
/// and nobody answers there any more.
async fn remove_stale(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        // Nothing is there, or something that binding will refuse to replace.
        _ => return Ok(()),
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("a server already listens on {}", path.display()),
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "listen_test.rs"]
mod tests;
