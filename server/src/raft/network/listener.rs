//! Where peers come in: a bound socket, and what it takes to get through.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use futures::StreamExt;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;

use crate::tls::{Door, Incoming, Socket};

/// A bound socket and its door.
pub struct PeerListener {
    pub socket: PeerSocket,
    pub door: Door,
}

#[derive(Debug)]
pub enum PeerSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl From<TcpListener> for PeerListener {
    /// Without TLS.
    fn from(listener: TcpListener) -> Self {
        Self { socket: PeerSocket::Tcp(listener), door: Door::plain() }
    }
}

impl PeerListener {
    /// Connections from here. Must be called on the runtime that is to drive them.
    pub fn incoming(self) -> io::Result<Incoming> {
        match self.socket {
            PeerSocket::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                let sockets = TcpIncoming::from(listener).with_nodelay(Some(true));
                Ok(Incoming::new(sockets.map(|socket| socket.map(Socket::from)), self.door))
            }
            PeerSocket::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                let sockets = UnixListenerStream::new(listener);
                Ok(Incoming::new(sockets.map(|socket| socket.map(Socket::from)), self.door))
            }
        }
    }
}
