//! The URLs members listen on and advertise: etcd's rules (scheme, `host:port`, no path), and no
//! name is resolved here.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// A checked URL; shows as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url {
    text: String,
    secure: bool,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Place {
    /// `host` without brackets.
    Tcp { host: String, port: u16 },
    /// The part after `unix://`, `host:port` included, as etcd takes it.
    Unix(PathBuf),
}

impl Url {
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(scheme_reason(text));
        };
        let place = match scheme {
            "http" | "https" => tcp(rest, text)?,
            "unix" | "unixs" if rest.is_empty() => {
                return Err(format!("URL names no socket: {text}"));
            }
            "unix" | "unixs" => Place::Unix(PathBuf::from(rest)),
            _ => return Err(scheme_reason(text)),
        };
        let secure = matches!(scheme, "https" | "unixs");
        Ok(Self { text: text.to_owned(), secure, place })
    }

    /// Comma-separated URLs, sorted and each once, as etcd keeps them.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let mut urls = text.split(',').map(Self::parse).collect::<Result<Vec<_>, _>>()?;
        urls.sort();
        urls.dedup();
        Ok(urls)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether TLS is spoken there.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host (an IPv6 address without its brackets) and port; `None` for a unix socket.
    pub fn host_port(&self) -> Option<(&str, u16)> {
        match &self.place {
            Place::Tcp { host, port } => Some((host, *port)),
            Place::Unix(_) => None,
        }
    }

    /// The socket's path when this is a unix URL.
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.place {
            Place::Tcp { .. } => None,
            Place::Unix(path) => Some(path),
        }
    }

    /// Whether one can listen here: an address or `localhost`, never a name that resolves
    /// differently tomorrow.
    pub fn check_bind(&self) -> Result<(), String> {
        match &self.place {
            Place::Tcp { host, .. } if host != "localhost" && host.parse::<IpAddr>().is_err() => {
                Err(format!("expected IP in URL for binding ({self})"))
            }
            _ => Ok(()),
        }
    }

    /// Whether others can be told to come here.
    pub fn check_advertise(&self) -> Result<(), String> {
        match &self.place {
            Place::Tcp { host, .. } if host.is_empty() => {
                Err(format!("unexpected empty host ({self})"))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Joins URLs with commas, as etcd prints lists of them.
pub fn join(urls: &[Url]) -> String {
    urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",")
}

fn scheme_reason(text: &str) -> String {
    format!("URL scheme must be http, https, unix, or unixs: {text}")
}

fn tcp(rest: &str, text: &str) -> Result<Place, String> {
    let (authority, path) = match rest.find(['/', '?', '#']) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let form = || format!("URL address does not have the form \"host:port\": {text}");
    let (host, port) = authority.rsplit_once(':').ok_or_else(form)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or_else(form)?,
        None if host.contains([':', '@']) => return Err(form()),
        None => host,
    };
    let port = port.parse().map_err(|_| form())?;
    if !path.is_empty() {
        return Err(format!("URL must not contain a path: {text}"));
    }
    Ok(Place::Tcp { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        let url = Url::parse(" http://127.0.0.1:2379 ").expect("valid");
        assert_eq!(
            (url.as_str(), url.host_port()),
            ("http://127.0.0.1:2379", Some(("127.0.0.1", 2379)))
        );
        let url = Url::parse("http://[::1]:2379").expect("valid");
        assert_eq!(url.host_port(), Some(("::1", 2379)));
        assert_eq!(url.check_bind(), Ok(()));
        let url = Url::parse("unix://localhost:20000").expect("valid");
        assert_eq!(url.socket_path(), Some(Path::new("localhost:20000")));
        assert_eq!((url.host_port(), url.is_secure()), (None, false));
        let url = Url::parse("https://localhost:2379").expect("valid");
        assert_eq!((url.host_port(), url.is_secure()), (Some(("localhost", 2379)), true));
    }

    #[test]
    fn refuses_with_etcds_words() {
        let cases = [
            ("localhost:2379", "URL scheme must be http, https, unix, or unixs: localhost:2379"),
            ("ftp://a:1", "URL scheme must be http, https, unix, or unixs: ftp://a:1"),
            ("", "URL scheme must be http, https, unix, or unixs: "),
            ("http://a", "URL address does not have the form \"host:port\": http://a"),
            ("http://a:x", "URL address does not have the form \"host:port\": http://a:x"),
            ("http://a:70000", "URL address does not have the form \"host:port\": http://a:70000"),
            (
                "http://::1:2379",
                "URL address does not have the form \"host:port\": http://::1:2379",
            ),
            ("http://a:1/b", "URL must not contain a path: http://a:1/b"),
            ("http://a:1/", "URL must not contain a path: http://a:1/"),
            ("https://a", "URL address does not have the form \"host:port\": https://a"),
            ("unixs://", "URL names no socket: unixs://"),
            ("unix://", "URL names no socket: unix://"),
        ];
        for (text, expected) in cases {
            assert_eq!(Url::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn lists_are_sorted_and_unique() {
        let urls = Url::parse_list("http://b:2,http://a:1,http://b:2").expect("valid");
        assert_eq!(join(&urls), "http://a:1,http://b:2");
    }

    #[test]
    fn binding_needs_an_address_and_advertising_a_host() {
        let name = Url::parse("http://example.com:2379").expect("valid");
        let reason = "expected IP in URL for binding (http://example.com:2379)";
        assert_eq!(name.check_bind(), Err(reason.to_owned()));
        assert_eq!(name.check_advertise(), Ok(()));
        let empty = Url::parse("http://:2379").expect("valid");
        assert_eq!(empty.check_advertise(), Err("unexpected empty host (http://:2379)".to_owned()));
    }
}
