//! What a request shows of who makes it. Only a state can tell who that is: the same credential
//! may mean less, or nothing, on a newer one.

use bytes::Bytes;

/// The credential of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Caller {
    /// This cluster itself: its duties, and what members ask each other on their own account.
    Server,
    /// A client that shows nothing.
    #[default]
    Nobody,
    /// A client whose token is none, or no longer.
    Invalid,
    /// The digest of a simple token.
    Token(Bytes),
    /// A signed token that says who holds it, and the auth revision it was made at.
    Signed { user: String, revision: u64 },
    /// The common name of a verified client certificate.
    Named(String),
}

impl Caller {
    pub fn is_server(&self) -> bool {
        *self == Self::Server
    }
}
