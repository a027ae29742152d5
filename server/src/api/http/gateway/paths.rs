//! Which path calls which method. etcd's are its own (`google.api.http` in its .proto files); a
//! method of Portunus' services is found at `/v1/<service>/<method>`, in small letters with dashes.

use std::collections::BTreeMap;

use prost_reflect::MethodDescriptor;

use crate::api::descriptors::POOL;

/// What etcd's paths begin with, now and in older releases.
pub const ETCD_PREFIXES: [&str; 3] = ["/v3/", "/v3beta/", "/v3alpha/"];
/// What the paths of our own services begin with.
pub const OWN_PREFIX: &str = "/v1/";
const OWN_PACKAGE: &str = "portunus.v1";

/// Paths of etcd's methods, below its prefix.
#[rustfmt::skip]
const ETCD_PATHS: &[(&str, &str, &str)] = &[
    ("kv/range", "etcdserverpb.KV", "Range"),
    ("kv/put", "etcdserverpb.KV", "Put"),
    ("kv/deleterange", "etcdserverpb.KV", "DeleteRange"),
    ("kv/txn", "etcdserverpb.KV", "Txn"),
    ("kv/compaction", "etcdserverpb.KV", "Compact"),
    ("watch", "etcdserverpb.Watch", "Watch"),
    ("lease/grant", "etcdserverpb.Lease", "LeaseGrant"),
    ("lease/revoke", "etcdserverpb.Lease", "LeaseRevoke"),
    ("kv/lease/revoke", "etcdserverpb.Lease", "LeaseRevoke"),
    ("lease/keepalive", "etcdserverpb.Lease", "LeaseKeepAlive"),
    ("lease/timetolive", "etcdserverpb.Lease", "LeaseTimeToLive"),
    ("kv/lease/timetolive", "etcdserverpb.Lease", "LeaseTimeToLive"),
    ("lease/leases", "etcdserverpb.Lease", "LeaseLeases"),
    ("kv/lease/leases", "etcdserverpb.Lease", "LeaseLeases"),
    ("cluster/member/add", "etcdserverpb.Cluster", "MemberAdd"),
    ("cluster/member/remove", "etcdserverpb.Cluster", "MemberRemove"),
    ("cluster/member/update", "etcdserverpb.Cluster", "MemberUpdate"),
    ("cluster/member/list", "etcdserverpb.Cluster", "MemberList"),
    ("cluster/member/promote", "etcdserverpb.Cluster", "MemberPromote"),
    ("maintenance/alarm", "etcdserverpb.Maintenance", "Alarm"),
    ("maintenance/status", "etcdserverpb.Maintenance", "Status"),
    ("maintenance/defragment", "etcdserverpb.Maintenance", "Defragment"),
    ("maintenance/hash", "etcdserverpb.Maintenance", "Hash"),
    ("maintenance/hashkv", "etcdserverpb.Maintenance", "HashKV"),
    ("maintenance/snapshot", "etcdserverpb.Maintenance", "Snapshot"),
    ("maintenance/transfer-leadership", "etcdserverpb.Maintenance", "MoveLeader"),
    ("maintenance/downgrade", "etcdserverpb.Maintenance", "Downgrade"),
    ("auth/enable", "etcdserverpb.Auth", "AuthEnable"),
    ("auth/disable", "etcdserverpb.Auth", "AuthDisable"),
    ("auth/status", "etcdserverpb.Auth", "AuthStatus"),
    ("auth/authenticate", "etcdserverpb.Auth", "Authenticate"),
    ("auth/user/add", "etcdserverpb.Auth", "UserAdd"),
    ("auth/user/get", "etcdserverpb.Auth", "UserGet"),
    ("auth/user/list", "etcdserverpb.Auth", "UserList"),
    ("auth/user/delete", "etcdserverpb.Auth", "UserDelete"),
    ("auth/user/changepw", "etcdserverpb.Auth", "UserChangePassword"),
    ("auth/user/grant", "etcdserverpb.Auth", "UserGrantRole"),
    ("auth/user/revoke", "etcdserverpb.Auth", "UserRevokeRole"),
    ("auth/role/add", "etcdserverpb.Auth", "RoleAdd"),
    ("auth/role/get", "etcdserverpb.Auth", "RoleGet"),
    ("auth/role/list", "etcdserverpb.Auth", "RoleList"),
    ("auth/role/delete", "etcdserverpb.Auth", "RoleDelete"),
    ("auth/role/grant", "etcdserverpb.Auth", "RoleGrantPermission"),
    ("auth/role/revoke", "etcdserverpb.Auth", "RoleRevokePermission"),
    ("lock/lock", "v3lockpb.Lock", "Lock"),
    ("lock/unlock", "v3lockpb.Lock", "Unlock"),
    ("election/campaign", "v3electionpb.Election", "Campaign"),
    ("election/proclaim", "v3electionpb.Election", "Proclaim"),
    ("election/leader", "v3electionpb.Election", "Leader"),
    ("election/observe", "v3electionpb.Election", "Observe"),
    ("election/resign", "v3electionpb.Election", "Resign"),
];

/// All paths, etcd's under its newest prefix.
pub fn all() -> BTreeMap<String, MethodDescriptor> {
    let etcds = ETCD_PATHS.iter().map(|(path, service, name)| {
        let service = POOL.get_service_by_name(service).expect("etcd's services are described");
        let method = service.methods().find(|method| method.name() == *name);
        (format!("{}{path}", ETCD_PREFIXES[0]), method.expect("etcd's methods are described"))
    });
    let own = POOL.services().filter(|service| service.package_name() == OWN_PACKAGE);
    let own = own.flat_map(|service| service.methods().collect::<Vec<_>>()).map(|method| {
        let service = dashed(method.parent_service().name());
        (format!("{OWN_PREFIX}{service}/{}", dashed(method.name())), method)
    });
    etcds.chain(own).collect()
}

/// The path as it stands in the table; `None` when it is no path of the gateway's.
pub fn canonical(path: &str) -> Option<String> {
    if path.starts_with(OWN_PREFIX) {
        return Some(path.to_owned());
    }
    let rest = ETCD_PREFIXES.iter().find_map(|prefix| path.strip_prefix(prefix))?;
    Some(format!("{}{rest}", ETCD_PREFIXES[0]))
}

/// `MoveLeader` as `move-leader`.
fn dashed(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{all, canonical, dashed};
    use crate::api::descriptors::{POOL, grpc_path};

    #[test]
    fn every_method_of_etcds_services_has_a_path() {
        let paths = all();
        let reached: BTreeSet<_> = paths.values().map(grpc_path).collect();
        for package in ["etcdserverpb", "v3lockpb", "v3electionpb", "portunus.v1"] {
            let services = POOL.services().filter(|service| service.package_name() == package);
            for method in services.flat_map(|service| service.methods().collect::<Vec<_>>()) {
                let path = grpc_path(&method);
                // etcd has no path for it either.
                let expected = path != "/etcdserverpb.KV/RangeStream";
                assert_eq!(reached.contains(&path), expected, "{path}");
            }
        }
    }

    #[test]
    fn older_prefixes_lead_to_the_same_paths() {
        for path in ["/v3/kv/put", "/v3beta/kv/put", "/v3alpha/kv/put"] {
            assert_eq!(canonical(path).as_deref(), Some("/v3/kv/put"));
        }
        assert_eq!(canonical("/v1/plugin/list").as_deref(), Some("/v1/plugin/list"));
        assert_eq!((canonical("/v2/keys"), canonical("/v3")), (None, None));
        assert_eq!(dashed("ListAll"), "list-all");
    }
}
