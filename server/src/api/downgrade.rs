//! What may be asked of a downgrade, in etcd's words. Nothing here is downgraded by asking: what a
//! cluster may write follows from what its members say they know, and a member of another minor
//! version simply joins. So the questions are answered, and only an order to begin is refused.

use tonic::Status;

use super::{status, version};

/// The version that a downgrade would go to: one minor version below the cluster's.
pub fn check_target(text: &str) -> Result<(), Status> {
    let target = numbers(text).ok_or_else(status::wrong_downgrade_format)?;
    let cluster = numbers(version::ETCD_CLUSTER).expect("the cluster's version is one");
    match target == (cluster.0, cluster.1 - 1) {
        true => Ok(()),
        false => Err(status::invalid_downgrade_target()),
    }
}

/// `3.7` of `3.7.0`, as etcd names its cluster's version in these answers.
pub fn cluster_version() -> String {
    let (major, minor) = numbers(version::ETCD_CLUSTER).expect("the cluster's version is one");
    format!("{major}.{minor}")
}

/// Major and minor of a version with or without its patch; etcd drops the rest too.
fn numbers(text: &str) -> Option<(u64, u64)> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let core = text.split(['-', '+']).next()?;
    let mut parts = core.split('.').map(|part| part.parse::<u64>().ok());
    let (major, minor) = (parts.next()??, parts.next().unwrap_or(Some(0))?);
    let patch = parts.next().unwrap_or(Some(0));
    (patch.is_some() && parts.next().is_none()).then_some((major, minor))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::{check_target, cluster_version};

    #[test]
    fn one_minor_version_below_is_the_target_that_could_be() {
        assert_eq!(cluster_version(), "3.7");
        for target in ["3.6", "3.6.0", "v3.6.14", "3.6.0-rc.1"] {
            assert!(check_target(target).is_ok(), "{target}");
        }
        for target in ["3.7", "3.5.0", "4.6", "3"] {
            let refused = check_target(target).expect_err("refused");
            let text = "etcdserver: invalid downgrade target version";
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, text));
        }
        for target in ["", "next", "3.x", "3.6.0.1", "3.6.-1"] {
            let refused = check_target(target).expect_err("refused");
            let text = "etcdserver: wrong downgrade target version format";
            assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, text));
        }
    }
}
