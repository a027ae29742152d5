//! Where to connect to, read from a URL.

use std::fmt;
use std::path::PathBuf;

/// A place to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Over TLS.
    pub secure: bool,
    pub place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `host` without brackets.
    Tcp {
        host: String,
        port: u16,
    },
    Unix(PathBuf),
}

/// A URL that names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no url of a server: write http://HOST:PORT, https://HOST:PORT or unix://PATH")]
pub struct TargetError(pub String);

impl std::str::FromStr for Target {
    type Err = TargetError;

    /// Understands the URLs that etcd's flags take; a trailing slash is ignored.
    fn from_str(url: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError(url.to_owned());
        let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
        let secure = matches!(scheme, "https" | "unixs");
        match scheme {
            "http" | "https" => {
                let authority = rest.strip_suffix('/').unwrap_or(rest);
                let (host, port) = authority.rsplit_once(':').ok_or_else(malformed)?;
                let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                    Some(v6) => v6,
                    None if host.is_empty() || host.contains([':', '/', '@', '?', '#']) => {
                        return Err(malformed());
                    }
                    None => host,
                };
                let port = port.parse().map_err(|_| malformed())?;
                Ok(Self { secure, place: Place::Tcp { host: host.to_owned(), port } })
            }
            "unix" | "unixs" if !rest.is_empty() => {
                Ok(Self { secure, place: Place::Unix(rest.into()) })
            }
            _ => Err(malformed()),
        }
    }
}

impl Target {
    /// The host that a certificate must be for. Of a socket file what etcd takes for one: the path up
    /// to a colon.
    pub fn host(&self) -> String {
        match &self.place {
            Place::Tcp { host, .. } => host.clone(),
            Place::Unix(path) => {
                let path = path.to_string_lossy();
                path.split(':').next().unwrap_or_default().to_owned()
            }
        }
    }

    /// What requests call the server.
    pub fn authority(&self) -> String {
        match &self.place {
            Place::Tcp { host, port } if host.contains(':') => format!("[{host}]:{port}"),
            Place::Tcp { host, port } => format!("{host}:{port}"),
            Place::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let s = if self.secure { "s" } else { "" };
        match &self.place {
            Place::Tcp { .. } => write!(f, "http{s}://{}", self.authority()),
            Place::Unix(path) => write!(f, "unix{s}://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_put_together() {
        for url in ["http://127.0.0.1:2379", "https://[::1]:1", "unix://localhost:1", "unixs:///s"]
        {
            assert_eq!(url.parse::<Target>().map(|target| target.to_string()), Ok(url.to_owned()));
        }
        let target: Target = "unixs://localhost:20000".parse().expect("valid");
        assert_eq!((target.host(), target.secure), ("localhost".to_owned(), true));
        let refused = ["", "127.0.0.1:1", "ftp://a:1", "http://a", "http://:1", "http://::1:1"];
        for url in refused {
            assert_eq!(url.parse::<Target>(), Err(TargetError(url.to_owned())), "{url}");
        }
    }
}
