//! Who calls over gRPC, as far as the certificate says.

use std::sync::Arc;

use http::Extensions;
use tonic::Request;

use crate::auth;
use crate::node::Node;
use crate::tls::Caller;

/// The common name of the caller's verified certificate, in the extensions of each gRPC request of
/// a connection that has one. Requests through the gateway never carry it: their caller is not who
/// made the connection on which they come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(pub Arc<str>);

impl ClientName {
    /// Puts the name that the connection knows into the extensions of its request.
    pub(super) fn note(extensions: &mut Extensions) {
        let name = extensions.get::<Caller>().and_then(|caller| caller.name.clone());
        if let Some(name) = name {
            extensions.insert(Self(name));
        }
    }
}

/// The node on behalf of whoever makes the request. Who did not come through the gate is nobody.
pub fn acting<T>(node: &Node, request: &Request<T>) -> Node {
    node.acting(request.extensions().get::<auth::Caller>().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_there_when_the_connection_has_one() {
        let mut extensions = Extensions::new();
        ClientName::note(&mut extensions);
        assert_eq!(extensions.get::<ClientName>(), None);
        let caller = Caller { name: Some("ada".into()), ..Caller::default() };
        extensions.insert(caller);
        ClientName::note(&mut extensions);
        assert_eq!(extensions.get(), Some(&ClientName("ada".into())));
    }
}
