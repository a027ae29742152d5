//! One connection, plain or encrypted, over TCP or a socket file; and who is at its other end.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsStream;
use tonic::transport::server::Connected;

/// Who calls; in the extensions of each request of the connection.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    /// `None` over a socket file.
    pub remote: Option<SocketAddr>,
    /// The common name of the verified certificate, where the side that serves asks for one by
    /// `client-cert-auth` and it is not empty.
    pub name: Option<Arc<str>>,
    /// Over TLS.
    pub secure: bool,
}

/// A connected socket.
#[derive(Debug)]
pub struct Socket {
    wire: Wire,
    /// Read already, see [`Socket::first_byte`].
    first: Option<u8>,
}

#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl From<TcpStream> for Socket {
    fn from(stream: TcpStream) -> Self {
        Self { wire: Wire::Tcp(stream), first: None }
    }
}

impl From<UnixStream> for Socket {
    fn from(stream: UnixStream) -> Self {
        Self { wire: Wire::Unix(stream), first: None }
    }
}

impl Socket {
    /// The address of the other end; `None` over a socket file.
    pub fn remote(&self) -> Option<SocketAddr> {
        match &self.wire {
            Wire::Tcp(stream) => stream.peer_addr().ok(),
            Wire::Unix(_) => None,
        }
    }

    /// Waits for the first byte, which stays to be read; `None` when the other end is gone.
    pub async fn first_byte(&mut self) -> io::Result<Option<u8>> {
        if self.first.is_none() {
            let mut byte = [0];
            if self.read(&mut byte).await? == 1 {
                self.first = Some(byte[0]);
            }
        }
        Ok(self.first)
    }
}

/// A connection that may be used.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    caller: Caller,
}

#[derive(Debug)]
enum Stream {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

impl Connection {
    pub fn plain(socket: Socket) -> Self {
        let caller = Caller { remote: socket.remote(), ..Caller::default() };
        Self { stream: Stream::Plain(socket), caller }
    }

    pub(super) fn secure(stream: TlsStream<Socket>, name: Option<Arc<str>>) -> Self {
        let remote = stream.get_ref().0.remote();
        let caller = Caller { remote, name, secure: true };
        Self { stream: Stream::Tls(Box::new(stream)), caller }
    }
}

impl Connected for Connection {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

/// Does the same with whichever of two streams it is.
macro_rules! either {
    ($of:expr, $first:path, $second:path, $stream:ident => $do:expr) => {
        match $of {
            $first($stream) => $do,
            $second($stream) => $do,
        }
    };
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.first.is_some() && buf.remaining() > 0 {
            buf.put_slice(&this.first.take().map_or([0], |byte| [byte]));
            return Poll::Ready(Ok(()));
        }
        either!(&mut this.wire, Wire::Tcp, Wire::Unix, wire => Pin::new(wire).poll_read(cx, buf))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut self.get_mut().wire;
        either!(wire, Wire::Tcp, Wire::Unix, wire => Pin::new(wire).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut self.get_mut().wire;
        either!(wire, Wire::Tcp, Wire::Unix, wire => Pin::new(wire).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut self.get_mut().wire;
        either!(wire, Wire::Tcp, Wire::Unix, wire => Pin::new(wire).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = &mut self.get_mut().wire;
        either!(wire, Wire::Tcp, Wire::Unix, wire => Pin::new(wire).poll_shutdown(cx))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().stream;
        either!(stream, Stream::Plain, Stream::Tls, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.get_mut().stream;
        either!(stream, Stream::Plain, Stream::Tls, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut self.get_mut().stream;
        either!(stream, Stream::Plain, Stream::Tls,
            stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        either!(&self.stream, Stream::Plain, Stream::Tls, stream => stream.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().stream;
        either!(stream, Stream::Plain, Stream::Tls, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = &mut self.get_mut().stream;
        either!(stream, Stream::Plain, Stream::Tls, stream => Pin::new(stream).poll_shutdown(cx))
    }
}
