//! The client port: etcd's v3 API and our own services over gRPC, and HTTP beside it. Translates requests into
//! decisions and reads of the node, and their outcome into answers; decides nothing itself.
//! [`status`] is the only place that knows gRPC codes and etcd's texts.

mod access;
mod answer;
mod auth;
mod authority;
mod caller;
mod cluster;
mod descriptors;
mod downgrade;
mod election;
mod ending;
mod gate;
mod http;
mod kv;
mod lease;
mod listen;
mod lock;
mod locks;
mod maintenance;
mod meter;
mod plugin;
mod queue;
mod reflection;
mod server;
mod snapshot;
mod status;
pub mod version;
mod watch;

pub use access::{Access, TokenError};
pub use authority::Mended;
pub use descriptors::POOL as DESCRIPTORS;
pub use http::{Cors, Gateway, Hosts, gateway_json, is_grpc, reply};
pub use listen::{Address, AddressError, Listener};
pub use meter::{Metered, MeteredBody, MeteredFuture, Table, Timing};
pub use server::{Options, Port, ServeError, Server, Traffic, service_names};
