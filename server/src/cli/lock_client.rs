//! How `lock` and `queue` reach a server, and how their commands begin and end.

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use crate::dial::Channel;
use anyhow::bail;
use clap::{Args, Parser};

use crate::cli::dispatch::REFUSED;
use crate::dial::{ConnectError, Security, Server};

/// A server that does not accept by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that does not answer a ping is gone; calls that wait have no deadline of their own.
const PING_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Args)]
pub struct Servers {
    /// Where the cluster listens; the first that accepts is asked
    #[arg(long, global = true, value_delimiter = ',', default_value = "127.0.0.1:2379")]
    pub endpoints: Vec<String>,
    #[command(flatten)]
    pub security: Security,
}

impl Servers {
    /// Connects to the first endpoint that accepts.
    pub async fn connect(&self) -> anyhow::Result<Channel> {
        let mut failures = Vec::new();
        for endpoint in &self.endpoints {
            let server = Server::new(&self.security, endpoint)?.with(|endpoint| {
                endpoint
                    .connect_timeout(CONNECT_TIMEOUT)
                    .http2_keep_alive_interval(PING_EVERY)
                    .keep_alive_timeout(CONNECT_TIMEOUT)
            });
            match server.connect().await {
                Ok(channel) => return Ok(channel),
                Err(error @ ConnectError::Login(_)) => return Err(error.into()),
                Err(error) => {
                    failures.push(format!("{endpoint}: {:#}", anyhow::Error::from(error)));
                }
            }
        }
        bail!(
            "no server answers ({}); start one with: portunus, or name it with --endpoints",
            failures.join("; ")
        )
    }
}

/// Reads options after the words of the command itself; an exit code says that it ends there.
pub fn options<T: Parser>(
    name: &'static str,
    arguments: impl Iterator<Item = OsString>,
) -> Result<T, ExitCode> {
    let words = std::iter::once(OsString::from(name)).chain(arguments);
    T::try_parse_from(words).map_err(|error| {
        let code = if error.use_stderr() { ExitCode::from(REFUSED) } else { ExitCode::SUCCESS };
        let _ = error.print();
        code
    })
}

/// What the server said, and what to do where that is known.
pub fn refused(status: &tonic::Status) -> anyhow::Error {
    let advice = match status.code() {
        tonic::Code::Unimplemented => "; --endpoints must name portunus servers",
        _ => "",
    };
    anyhow::anyhow!("{}{advice}", status.message())
}

/// A span as `500ms`, `10s`, `5m` or `1h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || format!("{text} is not a time as 500ms, 10s, 5m or 1h");
    let number: u64 = text[..unit].parse().map_err(|_| wrong())?;
    match &text[unit..] {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(60 * number)),
        "h" => Ok(Duration::from_secs(3600 * number)),
        _ => Err(wrong()),
    }
}
