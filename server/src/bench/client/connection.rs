//! Connections to the measured server.

use crate::dial::Channel;
use anyhow::Context;

use crate::bench::time::Duration;
use crate::dial::{Security, Server};

/// A server that does not accept by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Larger than any answer worth asking for here.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Wide windows: the server is to be measured, not HTTP/2's flow control.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;

/// Connects now, so that no measured operation pays for it.
pub async fn connect(security: &Security, endpoint: &str) -> anyhow::Result<Channel> {
    Server::new(security, endpoint)?
        .with(|endpoint| {
            endpoint
                .connect_timeout(CONNECT_TIMEOUT)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        })
        .connect()
        .await
        .with_context(|| {
            let endpoint = security.url(endpoint);
            format!("cannot connect to {endpoint}; start the server or name it with --endpoints")
        })
}
