//! The services as their .proto files describe them, for everything that works by a table of them:
//! metrics for each method, the JSON gateway, and its OpenAPI document.

use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, MethodDescriptor};

/// All services of the client port.
pub static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let mut pool = DescriptorPool::new();
    for set in [portunus_proto::FILE_DESCRIPTOR_SET, tonic_health::pb::FILE_DESCRIPTOR_SET] {
        pool.decode_file_descriptor_set(set).expect("the embedded descriptors are whole");
    }
    pool
});

/// The path of a method's calls.
pub fn grpc_path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

#[cfg(test)]
mod tests {
    use super::{POOL, grpc_path};

    #[test]
    fn methods_are_found_under_the_paths_of_their_calls() {
        let kv = POOL.get_service_by_name("etcdserverpb.KV").expect("described");
        let paths: Vec<_> = kv.methods().map(|method| grpc_path(&method)).collect();
        assert!(paths.contains(&"/etcdserverpb.KV/Range".to_owned()), "{paths:?}");
        assert!(POOL.get_service_by_name("grpc.health.v1.Health").is_some());
    }
}
