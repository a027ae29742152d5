//! What is asked of a member rather than of the store: members, status, hashes, health,
//! reflection, metadata.

use std::collections::BTreeSet;

use portunus_proto::etcdserverpb as pb;
use portunus_tests::refusal;
use tonic::{Code, Request};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1 as reflection;
use tonic_reflection::pb::v1alpha as older;

use crate::fixture::{Single, put, range, revision};

#[tokio::test]
async fn the_member_list_names_the_member_and_its_urls() {
    let mut single = Single::start().await;
    for linearizable in [true, false] {
        let request = pb::MemberListRequest { linearizable };
        let answer = single.rpc.cluster.member_list(request).await.unwrap().into_inner();
        let header = answer.header.unwrap();
        assert_eq!(header.revision, 0, "answers about the cluster have no revision");
        let [member] = &answer.members[..] else { panic!("{:?}", answer.members) };
        assert_eq!((member.name.as_str(), member.is_learner), ("m0", false));
        assert_eq!(member.client_urls, [single.member.client_url.as_str()]);
        assert_eq!((member.peer_urls.len(), member.id), (1, header.member_id));
    }
}

#[tokio::test]
async fn the_status_of_a_member() {
    let mut single = Single::start().await;
    single.put("a", "v").await;
    let status = single.rpc.maintenance.status(pb::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(revision(&status.header), 2);
    assert_eq!(status.leader, status.header.as_ref().unwrap().member_id);
    assert_eq!((status.version.as_str(), status.storage_version.as_str()), ("3.7.1", "3.7.0"));
    assert!(status.db_size > 0 && status.db_size_in_use > 0);
    assert!(status.db_size_in_use <= status.db_size);
    assert_eq!(status.db_size_quota, 2 * 1024 * 1024 * 1024);
    assert!(status.raft_applied_index > 0 && status.raft_index >= status.raft_applied_index);
    assert!(status.raft_term > 0 && !status.is_learner && status.errors.is_empty());
}

#[tokio::test]
async fn a_hash_tells_the_data_and_the_revision() {
    let mut single = Single::start().await;
    let hash = async |single: &mut Single, revision| {
        let request = pb::HashKvRequest { revision };
        single.rpc.maintenance.hash_kv(request).await.map(tonic::Response::into_inner)
    };
    single.put("a", "1").await;
    let first = hash(&mut single, 0).await.unwrap();
    single.put("a", "2").await;
    let second = hash(&mut single, 0).await.unwrap();
    assert_ne!(first.hash, second.hash);
    assert_eq!((first.hash_revision, second.hash_revision), (2, 3));
    assert_eq!(hash(&mut single, 2).await.unwrap().hash, first.hash, "of then");
    let text = "etcdserver: mvcc: required revision is a future revision".to_owned();
    assert_eq!(refusal(hash(&mut single, 4).await.map(Request::new)), (Code::OutOfRange, text));
    let compact = pb::CompactionRequest { revision: 3, physical: true };
    single.rpc.kv.compact(compact).await.unwrap();
    assert_eq!(hash(&mut single, 0).await.unwrap().compact_revision, 3);
    let text = "etcdserver: mvcc: required revision has been compacted".to_owned();
    assert_eq!(refusal(hash(&mut single, 2).await.map(Request::new)), (Code::OutOfRange, text));
    let whole = single.rpc.maintenance.hash(pb::HashRequest {}).await.unwrap().into_inner();
    assert_eq!(revision(&whole.header), 3);
}

#[tokio::test]
async fn defragmenting_is_answered_without_a_header() {
    let mut single = Single::start().await;
    let request = pb::DefragmentRequest {};
    let answer = single.rpc.maintenance.defragment(request).await.unwrap().into_inner();
    assert!(answer.header.is_none());
    let request = pb::MoveLeaderRequest { target_id: 12345 };
    let refused = refusal(single.rpc.maintenance.move_leader(request).await);
    let text = "etcdserver: bad leader transferee".to_owned();
    assert_eq!(refused, (Code::FailedPrecondition, text));
}

#[tokio::test]
async fn health_is_told_over_grpc() {
    let single = Single::start().await;
    let mut health = HealthClient::new(single.rpc.channel.clone());
    let whole = HealthCheckRequest { service: String::new() };
    let answer = health.check(whole.clone()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    let mut watch = health.watch(whole).await.unwrap().into_inner();
    let first = watch.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::Serving);
    let unknown = HealthCheckRequest { service: "none".to_owned() };
    assert_eq!(refusal(health.check(unknown).await).0, Code::NotFound);
}

const SERVICES: [&str; 7] = [
    "etcdserverpb.Auth",
    "etcdserverpb.Cluster",
    "etcdserverpb.KV",
    "etcdserverpb.Lease",
    "etcdserverpb.Maintenance",
    "etcdserverpb.Watch",
    "grpc.health.v1.Health",
];

#[tokio::test]
async fn reflection_lists_the_services_in_both_versions() {
    let single = Single::start().await;
    let mut newer = reflection::server_reflection_client::ServerReflectionClient::new(
        single.rpc.channel.clone(),
    );
    use reflection::server_reflection_request::MessageRequest;
    use reflection::server_reflection_response::MessageResponse;
    let ask = |message_request| reflection::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let requests = futures::stream::iter([
        ask(MessageRequest::ListServices(String::new())),
        ask(MessageRequest::FileContainingSymbol("etcdserverpb.KV".to_owned())),
    ]);
    let mut answers = newer.server_reflection_info(requests).await.unwrap().into_inner();
    let listed = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(listed)) = listed else { panic!("{listed:?}") };
    let names: BTreeSet<&str> = listed.service.iter().map(|one| one.name.as_str()).collect();
    for service in SERVICES {
        assert!(names.contains(service), "{service} is missing from {names:?}");
    }
    let file = answers.message().await.unwrap().unwrap().message_response;
    assert!(matches!(file, Some(MessageResponse::FileDescriptorResponse(_))), "{file:?}");

    let mut older =
        older::server_reflection_client::ServerReflectionClient::new(single.rpc.channel.clone());
    let request = older::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(older::server_reflection_request::MessageRequest::ListServices(
            String::new(),
        )),
    };
    let requests = futures::stream::iter([request]);
    let mut answers = older.server_reflection_info(requests).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().unwrap().message_response.is_some());
}

#[tokio::test]
async fn metadata_of_etcds_clients_is_understood() {
    let mut single = Single::start().await;
    let mut request = Request::new(put("a", "v"));
    request.metadata_mut().insert("hasleader", "true".parse().unwrap());
    request.metadata_mut().insert("client-api-version", "3.7".parse().unwrap());
    single.rpc.kv.put(request).await.unwrap();
    let mut request = Request::new(range("a"));
    request.metadata_mut().insert("hasleader", "false".parse().unwrap());
    assert_eq!(single.rpc.kv.range(request).await.unwrap().into_inner().count, 1);
}
