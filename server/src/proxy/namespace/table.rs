//! What the prefix does to each method: changes its messages, leaves them as they are because they
//! name no keys, or cannot be had under a prefix at all.

use bytes::Bytes;
use portunus_proto::etcdserverpb as etcd;
use portunus_proto::portunus::v1;
use portunus_proto::{v3electionpb as election, v3lockpb as lock};
use prost::Message;
use tonic::Status;

use super::kv::through;
use super::space::Namespace;

/// A request whose keys can be put under the prefix.
pub trait Enter {
    /// # Errors
    /// A key that must be there is not, or what is asked cannot be had under a prefix.
    fn enter(&mut self, space: &Namespace) -> Result<(), Status>;
}

/// An answer whose keys can be taken from under the prefix.
pub trait Leave {
    /// # Errors
    /// A key is not under it.
    fn leave(&mut self, space: &Namespace) -> Result<(), Status>;
}

/// Changes one message.
pub type Map = fn(&Namespace, Bytes) -> Result<Bytes, Status>;

/// What is done to a method's messages.
#[derive(Clone, Copy, Default)]
pub struct Passage {
    pub request: Option<Map>,
    pub answer: Option<Map>,
}

fn enter<M: Message + Default + Enter>(space: &Namespace, message: Bytes) -> Result<Bytes, Status> {
    through::<M>(message, |message| message.enter(space))
}

fn leave<M: Message + Default + Leave>(space: &Namespace, message: Bytes) -> Result<Bytes, Status> {
    through::<M>(message, |message| message.leave(space))
}

const AS_IT_IS: Passage = Passage { request: None, answer: None };

fn entering<M: Message + Default + Enter>() -> Passage {
    Passage { request: Some(enter::<M>), answer: None }
}

fn leaving<M: Message + Default + Leave>() -> Passage {
    Passage { request: None, answer: Some(leave::<M>) }
}

fn both<M: Message + Default + Enter, A: Message + Default + Leave>() -> Passage {
    Passage { request: Some(enter::<M>), answer: Some(leave::<A>) }
}

impl Passage {
    /// What is done to the messages of the method at `path`.
    ///
    /// # Errors
    /// The method cannot be kept to a prefix.
    pub fn of(path: &str) -> Result<Self, Status> {
        let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        let found = match service {
            "etcdserverpb.KV" => of_kv(method),
            "etcdserverpb.Lease" => of_lease(method),
            "etcdserverpb.Auth" => of_auth(method),
            "etcdserverpb.Maintenance" if method != "Snapshot" => Some(AS_IT_IS),
            "etcdserverpb.Cluster" | "grpc.health.v1.Health" => Some(AS_IT_IS),
            "grpc.reflection.v1.ServerReflection" | "grpc.reflection.v1alpha.ServerReflection" => {
                Some(AS_IT_IS)
            }
            "v3lockpb.Lock" => of_lock(method),
            "v3electionpb.Election" => of_election(method),
            "portunus.v1.Lock" => of_own_lock(method),
            "portunus.v1.Queue" => of_queue(method),
            _ => None,
        };
        found.ok_or_else(|| {
            Status::unimplemented(format!(
                "portunus proxy: {service}/{method} cannot be kept to a prefix: ask a member, or a \
                 proxy without --namespace"
            ))
        })
    }
}

fn of_kv(method: &str) -> Option<Passage> {
    Some(match method {
        "Range" => both::<etcd::RangeRequest, etcd::RangeResponse>(),
        "RangeStream" => both::<etcd::RangeRequest, etcd::RangeStreamResponse>(),
        "Put" => both::<etcd::PutRequest, etcd::PutResponse>(),
        "DeleteRange" => both::<etcd::DeleteRangeRequest, etcd::DeleteRangeResponse>(),
        "Txn" => both::<etcd::TxnRequest, etcd::TxnResponse>(),
        "Compact" => AS_IT_IS,
        _ => return None,
    })
}

fn of_lease(method: &str) -> Option<Passage> {
    Some(match method {
        "LeaseTimeToLive" => leaving::<etcd::LeaseTimeToLiveResponse>(),
        "LeaseGrant" | "LeaseRevoke" | "LeaseKeepAlive" | "LeaseLeases" => AS_IT_IS,
        _ => return None,
    })
}

/// Users are those of the whole cluster, and so are the ranges that roles name.
fn of_auth(method: &str) -> Option<Passage> {
    match method {
        "RoleGet" | "RoleGrantPermission" | "RoleRevokePermission" => None,
        _ => Some(AS_IT_IS),
    }
}

fn of_lock(method: &str) -> Option<Passage> {
    Some(match method {
        "Lock" => both::<lock::LockRequest, lock::LockResponse>(),
        "Unlock" => entering::<lock::UnlockRequest>(),
        _ => return None,
    })
}

fn of_election(method: &str) -> Option<Passage> {
    Some(match method {
        "Campaign" => both::<election::CampaignRequest, election::CampaignResponse>(),
        "Leader" | "Observe" => both::<election::LeaderRequest, election::LeaderResponse>(),
        "Proclaim" => entering::<election::ProclaimRequest>(),
        "Resign" => entering::<election::ResignRequest>(),
        _ => return None,
    })
}

fn of_own_lock(method: &str) -> Option<Passage> {
    Some(match method {
        "Acquire" => both::<v1::LockAcquireRequest, v1::LockAcquireResponse>(),
        "Release" => entering::<v1::LockReleaseRequest>(),
        "Describe" => both::<v1::LockDescribeRequest, v1::LockDescribeResponse>(),
        "RequestRevocation" => entering::<v1::LockRevocationRequest>(),
        "Follow" => both::<v1::LockFollowRequest, v1::LockNotice>(),
        _ => return None,
    })
}

fn of_queue(method: &str) -> Option<Passage> {
    Some(match method {
        "Enqueue" => entering::<v1::QueueEnqueueRequest>(),
        "Dequeue" => entering::<v1::QueueDequeueRequest>(),
        "Consume" => entering::<v1::QueueConsumeRequest>(),
        "Ack" => both::<v1::QueueAckRequest, v1::QueueAckResponse>(),
        "Nack" => entering::<v1::QueueNackRequest>(),
        "Extend" => entering::<v1::QueueExtendRequest>(),
        "Peek" => entering::<v1::QueuePeekRequest>(),
        "Stats" => entering::<v1::QueueStatsRequest>(),
        "Remove" => entering::<v1::QueueRemoveRequest>(),
        "Purge" => entering::<v1::QueuePurgeRequest>(),
        "Configure" => entering::<v1::QueueConfigureRequest>(),
        "Explain" => entering::<v1::QueueExplainRequest>(),
        "PutSequential" => both::<v1::PutSequentialRequest, v1::PutSequentialResponse>(),
        "Redrive" => entering::<v1::QueueRedriveRequest>(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use prost_reflect::DescriptorPool;
    use tonic::Code;

    use super::Passage;

    /// Those that are refused under a prefix. Watch is handled before it comes here.
    const REFUSED: &[&str] = &[
        "etcdserverpb.Watch/Watch",
        "etcdserverpb.Maintenance/Snapshot",
        "etcdserverpb.Auth/RoleGet",
        "etcdserverpb.Auth/RoleGrantPermission",
        "etcdserverpb.Auth/RoleRevokePermission",
    ];

    #[test]
    fn a_new_method_is_refused_until_somebody_has_looked_at_it() {
        let set = portunus_proto::FILE_DESCRIPTOR_SET;
        let pool = DescriptorPool::decode(set).expect("described");
        for method in pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()) {
            let service = method.parent_service().full_name().to_owned();
            let name = format!("{service}/{}", method.name());
            let whole = ["portunus.v1.Plugin", "portunus.v1.Recipe"];
            // What members ask each other is no business of a proxy.
            let refused = REFUSED.contains(&name.as_str())
                || whole.contains(&service.as_str())
                || service.starts_with("portunus.peer.v1.");
            let found = Passage::of(&format!("/{name}"));
            assert_eq!(found.is_err(), refused, "{name}");
            // Methods without keys leave everything as it is; what has keys is changed.
            if let (Ok(passage), "KV" | "Queue") = (&found, method.parent_service().name()) {
                assert_eq!(passage.request.is_some(), method.name() != "Compact", "{name}");
            }
        }
        let refused = Passage::of("/portunus.v1.Plugin/Deploy").err().expect("refused");
        assert_eq!(refused.code(), Code::Unimplemented);
        assert!(refused.message().contains("portunus.v1.Plugin/Deploy"), "{refused}");
    }
}
