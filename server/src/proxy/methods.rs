//! Which calls may be asked of a second member when the first does not answer: those that change
//! nothing. A method that is not known here is held to change something.

/// Methods that change nothing, by service.
const READS: &[(&str, &[&str])] = &[
    ("etcdserverpb.KV", &["Range", "RangeStream"]),
    ("etcdserverpb.Lease", &["LeaseTimeToLive", "LeaseLeases"]),
    ("etcdserverpb.Cluster", &["MemberList"]),
    ("etcdserverpb.Maintenance", &["Status", "Hash", "HashKV", "Snapshot"]),
    // A token that nobody uses ends by itself.
    (
        "etcdserverpb.Auth",
        &["AuthStatus", "Authenticate", "UserGet", "UserList", "RoleGet", "RoleList"],
    ),
    ("v3electionpb.Election", &["Leader", "Observe"]),
    ("portunus.v1.Lock", &["Describe", "Follow"]),
    ("portunus.v1.Queue", &["Peek", "Stats", "Explain"]),
    ("portunus.v1.Plugin", &["List", "Inspect", "Status", "Logs", "Explain", "Blame"]),
    ("grpc.health.v1.Health", &["Check", "Watch"]),
];

/// Whether the method at `path` changes nothing.
pub fn reads(path: &str) -> bool {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else {
        return false;
    };
    READS.iter().any(|(known, methods)| *known == service && methods.contains(&method))
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;

    use super::{READS, reads};

    #[test]
    fn only_methods_that_exist_and_change_nothing_are_asked_again() {
        let set = portunus_proto::FILE_DESCRIPTOR_SET;
        let pool = DescriptorPool::decode(set).expect("described");
        for (service, methods) in READS.iter().filter(|(name, _)| !name.starts_with("grpc.")) {
            let service = pool.get_service_by_name(service).expect(service);
            for method in *methods {
                let found = service.methods().find(|known| known.name() == *method);
                assert!(!found.expect(method).is_client_streaming(), "{method}");
            }
        }
        assert!(reads("/etcdserverpb.KV/Range"));
        for path in ["/etcdserverpb.KV/Put", "/etcdserverpb.KV/Txn", "/other.KV/Range", "Range", ""]
        {
            assert!(!reads(path), "{path}");
        }
    }
}
