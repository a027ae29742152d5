//! Who a call comes from and whom it is meant for. A member that was rebuilt under another id, or
//! whose address now belongs to another cluster, must not be taken for the one it was.

use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::types::{ClusterId, MemberId};

const CLUSTER: &str = "portunus-cluster-id";
const TARGET: &str = "portunus-target-id";
const SENDER: &str = "portunus-sender-id";

/// A member of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub cluster: ClusterId,
    pub member: MemberId,
}

/// Marks outgoing calls.
#[derive(Clone, Copy)]
pub struct Mark {
    pub sender: Identity,
    pub target: MemberId,
}

impl Interceptor for Mark {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        put(metadata, CLUSTER, self.sender.cluster.0);
        put(metadata, TARGET, self.target.0);
        put(metadata, SENDER, self.sender.member.0);
        Ok(request)
    }
}

fn put(metadata: &mut MetadataMap, name: &'static str, id: u64) {
    let value = format!("{id:x}").parse().expect("hexadecimal digits are ascii");
    metadata.insert(name, value);
}

/// Refuses incoming calls that are meant for another.
#[derive(Clone, Copy)]
pub struct Check(pub Identity);

impl Interceptor for Check {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata();
        let (cluster, target) = (get(metadata, CLUSTER), get(metadata, TARGET));
        let Identity { cluster: own_cluster, member: own_member } = self.0;
        if cluster != Some(own_cluster.0) {
            tracing::warn!(?cluster, own = %own_cluster, "refused a peer of another cluster");
            return Err(Status::failed_precondition("cluster ID mismatch"));
        }
        if target != Some(own_member.0) {
            let sender = get(metadata, SENDER);
            tracing::warn!(?target, ?sender, own = %own_member, "refused a call for another member");
            return Err(Status::failed_precondition(format!(
                "member ID mismatch: this member is {own_member}"
            )));
        }
        Ok(request)
    }
}

/// The member that a call comes from, if it says so.
pub fn sender(metadata: &MetadataMap) -> Option<MemberId> {
    get(metadata, SENDER).map(MemberId)
}

fn get(metadata: &MetadataMap, name: &str) -> Option<u64> {
    u64::from_str_radix(metadata.get(name)?.to_str().ok()?, 16).ok()
}
