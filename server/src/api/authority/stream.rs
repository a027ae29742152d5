//! A connection whose incoming bytes pass the scanner until it is done; from then on they go
//! straight to the reader.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;

use super::scanner::Scanner;

/// Read at once while the scanner looks on.
const CHUNK_BYTES: usize = 4096;

/// A connection whose client may name any authority.
#[derive(Debug)]
pub struct Mended<S> {
    inner: S,
    scanner: Scanner,
    /// Scanned and not yet read, from `read` on.
    out: Vec<u8>,
    read: usize,
}

impl<S> Mended<S> {
    pub fn new(inner: S) -> Self {
        Self { inner, scanner: Scanner::new(), out: Vec::new(), read: 0 }
    }

    fn hand_out(&mut self, buf: &mut ReadBuf<'_>) {
        let now = buf.remaining().min(self.out.len() - self.read);
        buf.put_slice(&self.out[self.read..self.read + now]);
        self.read += now;
        if self.read == self.out.len() {
            self.read = 0;
            self.out.clear();
            if self.scanner.is_done() {
                self.out = Vec::new();
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mended<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.out.is_empty() {
                this.hand_out(buf);
                return Poll::Ready(Ok(()));
            }
            if this.scanner.is_done() {
                return Pin::new(&mut this.inner).poll_read(cx, buf);
            }
            let mut chunk = [0; CHUNK_BYTES];
            let mut chunk = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.inner).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                this.scanner.flush(&mut this.out);
                if this.out.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            this.scanner.feed(chunk.filled(), &mut this.out);
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mended<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(cx)
    }
}

impl<S: Connected> Connected for Mended<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.inner.connect_info()
    }
}

#[cfg(test)]
mod tests {
    use super::Mended;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn bytes_come_through_in_order_and_the_end_is_seen() {
        let (mut client, server) = duplex(64);
        let mut server = Mended::new(server);
        let sent: Vec<u8> = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
            .iter()
            .copied()
            .chain([0, 0, 14, 1, 4, 0, 0, 0, 1, 0x41, 12])
            .chain(*b"http://h:237")
            .chain([0, 0, 3, 0, 1, 0, 0, 0, 1])
            .chain(*b"end")
            .chain([0, 0])
            .collect();
        let writer = tokio::spawn(async move {
            client.write_all(&sent).await.expect("the reader reads");
            sent
        });
        let mut received = Vec::new();
        server.read_to_end(&mut received).await.expect("the writer ends well");
        let mut expected = writer.await.expect("does not panic");
        expected[35..47].copy_from_slice(b"http---h-237");
        assert_eq!(received, expected);
    }
}
