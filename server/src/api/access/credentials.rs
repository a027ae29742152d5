//! From a request's headers and its connection to a [`Caller`]. A few look-ups per request; what a
//! credential is worth is found out where the request is decided.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tonic::codegen::http::header::AUTHORIZATION;
use tonic::codegen::http::{Extensions, HeaderMap, HeaderName};

use super::{Scheme, digest};
use crate::api::caller::ClientName;
use crate::auth::Caller;
use crate::decide::AuthAsk;
use crate::node::Node;

static TOKEN: HeaderName = HeaderName::from_static("token");
const BEARER: &str = "Bearer ";

/// Reads credentials. The node is the server's own handle.
#[derive(Clone)]
pub struct Credentials {
    node: Node,
    scheme: Arc<Scheme>,
    /// Tokens whose renewal is under way.
    renewing: Arc<Mutex<HashSet<Bytes>>>,
}

impl Credentials {
    pub fn new(node: Node, scheme: Arc<Scheme>) -> Self {
        Self { node, scheme, renewing: Arc::default() }
    }

    /// Notes in the request's extensions who makes it. A token counts before a certificate.
    pub fn note(&self, headers: &HeaderMap, extensions: &mut Extensions) {
        let caller = match token(headers) {
            Some(Ok(token)) => self.of_token(token),
            Some(Err(())) => Caller::Invalid,
            None => match extensions.get::<ClientName>() {
                Some(ClientName(name)) => Caller::Named(name.to_string()),
                None => Caller::Nobody,
            },
        };
        extensions.insert(caller);
    }

    fn of_token(&self, token: &str) -> Caller {
        match &*self.scheme {
            Scheme::Signed(signer) => match signer.read(token, self.node.unix_ms()) {
                Some((user, revision)) => Caller::Signed { user, revision },
                None => Caller::Invalid,
            },
            Scheme::Simple { ttl } => self.simple(digest(token), *ttl),
        }
    }

    /// The handle for the next request of a stream: a token is used by it as by any other.
    pub fn again(&self, node: &Node) -> Node {
        match (node.caller(), &*self.scheme) {
            (Caller::Token(digest), Scheme::Simple { ttl }) => {
                node.acting(self.simple(digest.clone(), *ttl))
            }
            _ => node.clone(),
        }
    }

    fn simple(&self, digest: Bytes, ttl: Duration) -> Caller {
        let until = self.node.auth(|auth| auth.tokens.get(&digest).map(|token| token.until_ms));
        // One that is not known here may be known where the request is decided.
        let Some(until) = until else { return Caller::Token(digest) };
        let (now, ttl) = (self.node.unix_ms(), ttl.as_millis() as u64);
        if until <= now {
            return Caller::Invalid;
        }
        // Renewed when half of its time is over: two writes in that time, however often it is used.
        if until - now < ttl / 2 {
            self.renew(&digest, now + ttl);
        }
        Caller::Token(digest)
    }

    fn renew(&self, digest: &Bytes, until_ms: u64) {
        if !self.renewing.lock().insert(digest.clone()) {
            return;
        }
        let (node, renewing, digest) = (self.node.clone(), self.renewing.clone(), digest.clone());
        tokio::spawn(async move {
            let renew = AuthAsk::Renew { digest: digest.clone(), until_ms };
            if let Err(error) = node.change_auth(renew).await {
                tracing::debug!(?error, "a token was not renewed");
            }
            renewing.lock().remove(&digest);
        });
    }
}

/// The token that the headers carry, in etcd's field or the usual one.
fn token(headers: &HeaderMap) -> Option<Result<&str, ()>> {
    let value = headers.get(&TOKEN).or_else(|| headers.get(AUTHORIZATION))?;
    let text = value.to_str().map(|text| text.strip_prefix(BEARER).unwrap_or(text));
    Some(text.map_err(|_| ()))
}

#[cfg(test)]
mod tests {
    use tonic::codegen::http::HeaderMap;

    use super::token;

    #[test]
    fn a_token_comes_in_either_field() {
        let headers = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a value"));
            headers
        };
        assert_eq!(token(&HeaderMap::new()), None);
        assert_eq!(token(&headers("token", "abc.1")), Some(Ok("abc.1")));
        assert_eq!(token(&headers("authorization", "abc.1")), Some(Ok("abc.1")));
        assert_eq!(token(&headers("authorization", "Bearer abc.1")), Some(Ok("abc.1")));
    }
}
