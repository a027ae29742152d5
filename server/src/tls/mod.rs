//! TLS, for clients and between members: which certificates are shown and trusted, what the other
//! side must prove, and connections that did. The only user of rustls.
//!
//! Files are read again when they change ([`Acceptor`], [`Connector`]): connections made from then
//! on use what they hold now. What is open stays as it is. Nothing here knows what is spoken over a
//! connection.

mod acceptor;
mod authority;
mod certificate;
mod connection;
mod connector;
mod files;
mod incoming;
mod options;
mod origin;
mod refusal;
mod self_signed;
mod suites;
mod target;
mod verify;
mod watched;

pub use acceptor::Acceptor;
pub use connection::{Caller, Connection, Socket};
pub use connector::{Connector, Dialer};
pub use files::{LoadError, common_name};
pub use incoming::{Door, Incoming};
pub use options::{ClientOptions, ServerOptions, Versions};
pub use self_signed::{SelfSigned, self_signed};
pub use suites::{Suite, suite};
pub use target::{Target, TargetError};

#[cfg(test)]
mod tls_test;
