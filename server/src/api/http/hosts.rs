//! Which hosts a request may name (`--host-whitelist`), against pages that lead a browser to this
//! port under a name of theirs. Over TLS the certificate answers for the name.

use std::sync::Arc;

use http::header::HOST;
use http::{Request, Response, StatusCode};
use tonic::body::Body;

use super::reply;
use crate::tls::Caller;

/// The hosts that may be named; none, or `*` among them, is any.
#[derive(Clone, Debug, Default)]
pub struct Hosts(Option<Arc<[String]>>);

impl Hosts {
    pub fn new(hosts: Vec<String>) -> Self {
        let any = hosts.is_empty() || hosts.iter().any(|host| host == "*");
        Self((!any).then(|| hosts.into()))
    }

    /// What to answer a request that names another host.
    pub fn refuse(&self, request: &Request<Body>) -> Option<Response<Body>> {
        let allowed = self.0.as_ref()?;
        if request.extensions().get::<Caller>().is_some_and(|caller| caller.secure) {
            return None;
        }
        let host = named(request);
        if allowed.iter().any(|allowed| allowed == host) {
            return None;
        }
        let text = format!(
            "the host {host:?} is not among those that this member answers to: use TLS, or add it \
             to --host-whitelist"
        );
        Some(reply::error(StatusCode::MISDIRECTED_REQUEST, &text))
    }
}

/// The host without its port; empty when none is named.
fn named(request: &Request<Body>) -> &str {
    let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let authority = request.uri().authority().map(|authority| authority.as_str());
    let host = authority.or(header).unwrap_or("");
    if let Some((v6, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return v6;
    }
    host.rsplit_once(':').map_or(host, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(hosts: &Hosts, host: &str, secure: bool) -> Option<StatusCode> {
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert(HOST, host.parse().expect("a header"));
        request.extensions_mut().insert(Caller { secure, ..Caller::default() });
        hosts.refuse(&request).map(|answer| answer.status())
    }

    #[test]
    fn other_hosts_are_refused_where_some_are_listed() {
        let some = Hosts::new(vec!["a.example".into(), "::1".into()]);
        assert_eq!(status(&some, "a.example:2379", false), None);
        assert_eq!(status(&some, "a.example", false), None);
        assert_eq!(status(&some, "[::1]:2379", false), None);
        let refused = Some(StatusCode::MISDIRECTED_REQUEST);
        assert_eq!(status(&some, "b.example", false), refused);
        assert_eq!(status(&some, "b.example", true), None, "tls answers for the name");
        assert_eq!(status(&Hosts::new(vec!["*".into()]), "b.example", false), None);
        assert_eq!(status(&Hosts::default(), "b.example", false), None);
    }
}
