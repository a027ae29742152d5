//! Accepted sockets become connections: plain, encrypted, or whichever the client begins with where
//! a port serves both. Handshakes run beside each other, so that none holds up the next.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use tokio::task::JoinSet;

use super::acceptor::{Acceptor, Refused};
use super::connection::{Connection, Socket};

/// A client that has not shaken hands by then is not going to; etcd's time.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way on one port; what comes beyond waits in the system's queue. Each that a
/// client leaves unfinished holds a descriptor for [`HANDSHAKE_TIMEOUT`].
const HANDSHAKES_MAX: usize = 1024;
/// How TLS begins: the type of a record that carries a handshake.
const HANDSHAKE_RECORD: u8 = 22;

/// What a port lets in.
#[derive(Clone)]
pub struct Door {
    /// `None` serves no TLS.
    pub acceptor: Option<Arc<Acceptor>>,
    /// Whether what is not encrypted may come in, too. Always without an acceptor.
    pub plain: bool,
    /// Whether peers come in here, or clients; tells which words are logged.
    pub peers: bool,
}

impl Door {
    /// Serves no TLS.
    pub fn plain() -> Self {
        Self { acceptor: None, plain: true, peers: false }
    }

    async fn let_in(self, mut socket: Socket) -> Result<Connection, Refused> {
        let broken = |error: io::Error| Refused { reason: error.to_string(), shown: None };
        let Some(acceptor) = self.acceptor else { return Ok(Connection::plain(socket)) };
        if self.plain {
            match socket.first_byte().await.map_err(broken)? {
                Some(HANDSHAKE_RECORD) => {}
                // One that ends without a word is let in to end there.
                _ => return Ok(Connection::plain(socket)),
            }
        }
        acceptor.accept(socket).await
    }

    /// As [`let_in`](Self::let_in), with a deadline; `None` when it came to nothing, which is
    /// logged.
    async fn admit(self, socket: Socket) -> Option<Connection> {
        let (remote, peers) = (socket.remote(), self.peers);
        let admitted = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.let_in(socket)).await;
        let Refused { reason, shown } = match admitted {
            Ok(Ok(connection)) => return Some(connection),
            Ok(Err(refused)) => refused,
            Err(_) => Refused { reason: "i/o timeout".to_owned(), shown: None },
        };
        let remote = remote.map_or_else(|| "@".to_owned(), |remote| remote.to_string());
        let shown = shown.unwrap_or_default();
        let (addresses, names) = (&shown.addresses, &shown.dns_names);
        match peers {
            true => tracing::warn!(
                "remote-addr" = remote,
                "ip-addresses" = ?addresses,
                "dns-names" = ?names,
                error = reason,
                "rejected connection on peer endpoint"
            ),
            false => tracing::warn!(
                "remote-addr" = remote,
                "ip-addresses" = ?addresses,
                "dns-names" = ?names,
                error = reason,
                "rejected connection on client endpoint"
            ),
        }
        None
    }
}

/// Connections, as they become ready.
pub struct Incoming {
    sockets: BoxStream<'static, io::Result<Socket>>,
    door: Door,
    handshakes: JoinSet<Option<Connection>>,
}

impl Incoming {
    pub fn new(
        sockets: impl Stream<Item = io::Result<Socket>> + Send + 'static,
        door: Door,
    ) -> Self {
        Self { sockets: Box::pin(sockets), door, handshakes: JoinSet::new() }
    }
}

impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            match this.handshakes.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Some(connection)))) => {
                    return Poll::Ready(Some(Ok(connection)));
                }
                // Refused, or the task died, which its panic has told.
                Poll::Ready(Some(_)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            if this.handshakes.len() >= HANDSHAKES_MAX {
                return Poll::Pending;
            }
            let socket = match ready!(this.sockets.as_mut().poll_next(cx)) {
                Some(Ok(socket)) => socket,
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            };
            if this.door.acceptor.is_none() {
                return Poll::Ready(Some(Ok(Connection::plain(socket))));
            }
            this.handshakes.spawn(this.door.clone().admit(socket));
        }
    }
}
