//! Which path answers what, for requests that are not gRPC.

use std::borrow::Cow;

use http::{Method, Request, Response, StatusCode};
use tonic::body::Body;

use super::cors::Cors;
use super::gateway::{self, Gateway};
use super::health::{self, Probe};
use super::hosts::Hosts;
use super::{exposition, profile, reply};
use crate::api::version;
use crate::node::Node;

/// Where the gateway describes itself.
const OPENAPI: &str = "/openapi.json";

/// The HTTP side of a port.
pub struct Surface {
    node: Node,
    cors: Cors,
    hosts: Hosts,
    /// None on a port for metrics alone.
    gateway: Option<Gateway>,
    /// Serve profiles of the process (`--enable-pprof`).
    profiles: bool,
}

impl Surface {
    pub fn new(node: Node, (cors, hosts): (Cors, Hosts), gateway: Option<Gateway>) -> Self {
        health::register();
        Self { node, cors, hosts, gateway, profiles: false }
    }

    /// Has it serve profiles of the process, or not.
    pub fn with_profiles(self, profiles: bool) -> Self {
        Self { profiles, ..self }
    }

    /// Answers a request. Every answer says which pages may see it.
    pub async fn answer(&self, request: Request<Body>) -> Response<Body> {
        if let Some(refusal) = self.hosts.refuse(&request) {
            return refusal;
        }
        let allowed = self.cors.allow(request.headers());
        let mut answer = match *request.method() {
            Method::OPTIONS => Response::new(Body::empty()),
            _ => self.route(request).await,
        };
        Cors::mark(allowed, answer.headers_mut());
        answer
    }

    async fn route(&self, request: Request<Body>) -> Response<Body> {
        let request = match &self.gateway {
            None => request,
            Some(gateway) => match gateway.answer(request).await {
                Ok(answer) => return answer,
                Err(request) => request,
            },
        };
        let (parts, _body) = request.into_parts();
        let path = parts.uri.path();
        if parts.method != Method::GET {
            return if is_known(path) || self.profile(path).is_some() {
                reply::only_get()
            } else {
                reply::not_found()
            };
        }
        let query = Query(parts.uri.query().unwrap_or(""));
        if let Some(name) = self.profile(path) {
            return profile::answer(name, &query).await;
        }
        match path {
            "/metrics" => exposition::scrape(&self.node).await,
            "/health" => health::health(&self.node, &query).await,
            "/version" => reply::json(StatusCode::OK, versions()),
            OPENAPI if self.gateway.is_some() => {
                reply::json(StatusCode::OK, gateway::document().to_string())
            }
            _ => match probe(path) {
                Some((probe, rest)) => health::probe(&self.node, probe, rest, &query).await,
                None => reply::not_found(),
            },
        }
    }
}

impl Surface {
    fn profile<'a>(&self, path: &'a str) -> Option<&'a str> {
        profile::name(path).filter(|_| self.profiles)
    }
}

fn is_known(path: &str) -> bool {
    matches!(path, "/metrics" | "/health" | "/version" | OPENAPI) || probe(path).is_some()
}

/// The probe of a path and the name of the sub-check behind it.
fn probe(path: &str) -> Option<(Probe, &str)> {
    let (probe, rest) = match path.strip_prefix("/livez") {
        Some(rest) => (Probe::Live, rest),
        None => (Probe::Ready, path.strip_prefix("/readyz")?),
    };
    match rest {
        "" => Some((probe, "")),
        _ => rest.strip_prefix('/').filter(|rest| !rest.is_empty()).map(|rest| (probe, rest)),
    }
}

fn versions() -> String {
    format!(
        r#"{{"etcdserver":"{}","etcdcluster":"{}","storage":"{}"}}"#,
        version::ETCD,
        version::ETCD_CLUSTER,
        version::ETCD_STORAGE
    )
}

/// What stands behind the question mark.
pub struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    #[cfg(test)]
    pub fn of(text: &'a str) -> Self {
        Self(text)
    }

    fn pairs(&self) -> impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)> + use<'a> {
        self.0.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescaped(name), unescaped(value))
        })
    }

    /// The values given for `name`.
    pub fn all(&self, name: &'static str) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        self.pairs().filter(move |(given, _)| given == name).map(|(_, value)| value)
    }

    pub fn has(&self, name: &'static str) -> bool {
        self.all(name).next().is_some()
    }
}

/// Undoes `%20` and `+`; what is no escape stays as it is.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
                at += 1;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Probe, Query, probe, unescaped, versions};

    #[test]
    fn a_query_is_taken_apart() {
        let query = Query("exclude=NOSPACE&verbose&exclude=a%20b&x=%zz%4");
        assert_eq!(query.all("exclude").collect::<Vec<_>>(), ["NOSPACE", "a b"]);
        assert!(query.has("verbose") && !query.has("serializable"));
        assert_eq!(query.all("x").collect::<Vec<_>>(), ["%zz%4"]);
        assert_eq!(unescaped("a+b%e4%"), "a b\u{fffd}%");
    }

    #[test]
    fn probes_have_sub_paths_and_nothing_else_has() {
        assert_eq!(probe("/readyz"), Some((Probe::Ready, "")));
        assert_eq!(probe("/livez/serializable_read"), Some((Probe::Live, "serializable_read")));
        assert_eq!((probe("/livezx"), probe("/readyz/"), probe("/")), (None, None, None));
    }

    #[test]
    fn the_versions_are_etcds() {
        assert_eq!(versions(), r#"{"etcdserver":"3.7.1","etcdcluster":"3.7.0","storage":"3.7.0"}"#);
    }
}
