//! Member and cluster ids as etcd derives them for the first members of a cluster, so that a
//! cluster keeps its ids when it is set up again with the same flags.

use sha1::{Digest, Sha1};

use crate::types::{ClusterId, MemberId};

/// The id of a first member: a hash of its sorted peer URLs and the cluster's token.
pub fn member_id<U: AsRef<str>>(peer_urls: &[U], token: &str) -> MemberId {
    let mut urls: Vec<&str> = peer_urls.iter().map(AsRef::as_ref).collect();
    urls.sort_unstable();
    let mut hash = Sha1::new();
    for url in urls {
        hash.update(url.as_bytes());
    }
    hash.update(token.as_bytes());
    MemberId(leading_u64(hash))
}

/// The id of a cluster: a hash of its first members' ids in order.
pub fn cluster_id(members: &[MemberId]) -> ClusterId {
    let mut members = members.to_vec();
    members.sort_unstable();
    let mut hash = Sha1::new();
    for member in members {
        hash.update(member.0.to_be_bytes());
    }
    ClusterId(leading_u64(hash))
}

fn leading_u64(hash: Sha1) -> u64 {
    let digest: [u8; 20] = hash.finalize().into();
    let (head, _) = digest.split_first_chunk().expect("a SHA-1 digest has 20 bytes");
    u64::from_be_bytes(*head)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an etcd 3.4 reports when started without flags.
    #[test]
    fn the_default_member_has_etcds_ids() {
        let member = member_id(&["http://localhost:2380"], "etcd-cluster");
        assert_eq!(member.to_string(), "8e9e05c52164694d");
        assert_eq!(cluster_id(&[member]).to_string(), "cdf818194e3a8c32");
    }

    /// What an etcd 3.4 logs for `a=http://127.0.0.1:1`, `b` with two URLs, and token `tok`.
    #[test]
    fn members_with_several_urls_have_etcds_ids() {
        let a = member_id(&["http://127.0.0.1:1"], "tok");
        let b = member_id(&["http://127.0.0.1:2382", "http://127.0.0.1:2380"], "tok");
        assert_eq!(
            (a.to_string(), b.to_string()),
            ("b647f29678b82df".into(), "3bbd388e7076920e".into())
        );
        assert_eq!(cluster_id(&[a, b]).to_string(), "3b7c171ba193af01");
    }

    #[test]
    fn the_order_of_urls_and_members_does_not_matter() {
        let ab = member_id(&["http://a:1", "http://b:1"], "t");
        assert_eq!(ab, member_id(&["http://b:1", "http://a:1"], "t"));
        let c = member_id(&["http://c:1"], "t");
        assert_ne!(c, member_id(&["http://c:1"], "u"));
        assert_eq!(cluster_id(&[ab, c]), cluster_id(&[c, ab]));
        assert_ne!(cluster_id(&[ab, c]), cluster_id(&[c]));
    }
}
