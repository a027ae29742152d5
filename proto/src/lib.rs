//! The wire contracts of Portunus as Rust types: etcd's v3 API and our own services, with their
//! clients and servers. Only generated code and its module tree; no behaviour.
//!
//! `KeyValue`s in answers and events are kept encoded: `RangeResponse::kvs`, for example, is a list
//! of encoded [`mvccpb::KeyValue`] messages and `WatchResponse::events` one of encoded
//! [`mvccpb::Event`]s. The server copies such bytes instead of building messages; a client decodes
//! them. An absent message is empty bytes.

macro_rules! generated {
    ($($module:ident = $package:tt),*) => {$(
        #[allow(missing_docs, clippy::all, clippy::pedantic, reason = "generated code")]
        pub mod $module {
            tonic::include_proto!($package);
        }
    )*};
}

generated!(
    authpb = "authpb",
    etcdserverpb = "etcdserverpb",
    mvccpb = "mvccpb",
    v3electionpb = "v3electionpb",
    v3lockpb = "v3lockpb"
);

/// Services of Portunus' own.
pub mod portunus {
    generated!(v1 = "portunus.v1");

    /// What entries, rows and members' questions hold about plugins.
    pub mod record {
        generated!(v1 = "portunus.record.v1");
    }

    /// What members of one cluster say to each other.
    pub mod peer {
        generated!(v1 = "portunus.peer.v1");
    }
}

/// Descriptors of all services, for gRPC reflection: an encoded `FileDescriptorSet`.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portunus.fds"));

#[cfg(test)]
mod tests;
