//! Where clients reach this member: addresses as URLs, and the sockets bound to them. A socket is
//! bound early, so that a port in use is noticed before anything else is touched.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener, UnixStream, lookup_host};

/// Probes of an idle connection, so that a client that vanished without a word is noticed.
pub const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// How long accepting rests after it failed for want of something (files, memory): the next try
/// would fail at once, and trying all the time would take a core from those who are connected.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A host (an IP address or a name; empty for all interfaces) and a port.
    Tcp { host: String, port: u16 },
    /// A socket file, relative to the working directory unless it begins with a slash.
    Unix(PathBuf),
}

/// Why a URL names no address to listen on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("{0:?} is not a listen url: write http://HOST:PORT or unix://PATH")]
    Malformed(String),
    #[error("{0:?} asks for tls, which is not supported yet: use http")]
    Tls(String),
}

impl std::str::FromStr for Address {
    type Err = AddressError;

    /// Understands `http://host:port` and `unix://path`; a trailing slash is ignored, as by etcd.
    fn from_str(url: &str) -> Result<Self, AddressError> {
        let malformed = || AddressError::Malformed(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        match scheme {
            "http" => {
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
            "unix" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            "https" | "unixs" => Err(AddressError::Tls(url.to_owned())),
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
    /// Binds `address`. Of a name's addresses the first IPv4 one is taken before any IPv6 one, as
    /// Go does, since that is where clients configured for etcd will look.
    ///
    /// # Errors
    /// The address is taken, not local, or its name is unknown.
    pub async fn bind(address: &Address) -> io::Result<Self> {
        match address {
            Address::Tcp { host, port } => {
                let listener = TcpListener::bind(resolve(host, *port).await?.as_slice()).await?;
                Ok(Self::Tcp(listener))
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

/// Passes on what accepting brought, slowly while it fails.
pub async fn paced<T>(accepted: io::Result<T>) -> io::Result<T> {
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
