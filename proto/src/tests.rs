//! The patched types must stay what the contract says on the wire.

use bytes::Bytes;
use prost::Message;

use crate::etcdserverpb::{PutResponse, RangeResponse, ResponseHeader, WatchResponse};
use crate::mvccpb;

/// `RangeResponse` as every etcd client sees it.
#[derive(Clone, PartialEq, Message)]
struct TrueRangeResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<ResponseHeader>,
    #[prost(message, repeated, tag = "2")]
    kvs: Vec<TrueKeyValue>,
    #[prost(bool, tag = "3")]
    more: bool,
    #[prost(int64, tag = "4")]
    count: i64,
}

#[derive(Clone, PartialEq, Message)]
struct TrueKeyValue {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
    #[prost(int64, tag = "2")]
    create_revision: i64,
    #[prost(int64, tag = "3")]
    mod_revision: i64,
    #[prost(int64, tag = "4")]
    version: i64,
    #[prost(bytes = "vec", tag = "5")]
    value: Vec<u8>,
    #[prost(int64, tag = "6")]
    lease: i64,
}

#[derive(Clone, PartialEq, Message)]
struct TruePutResponse {
    #[prost(message, optional, tag = "2")]
    prev_kv: Option<TrueKeyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct TrueWatchResponse {
    #[prost(int64, tag = "2")]
    watch_id: i64,
    #[prost(message, repeated, tag = "11")]
    events: Vec<TrueEvent>,
}

#[derive(Clone, PartialEq, Message)]
struct TrueEvent {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(message, optional, tag = "2")]
    kv: Option<TrueKeyValue>,
    #[prost(message, optional, tag = "3")]
    prev_kv: Option<TrueKeyValue>,
}

fn key_value(key: &str, value: &str) -> mvccpb::KeyValue {
    mvccpb::KeyValue {
        key: Bytes::copy_from_slice(key.as_bytes()),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        value: Bytes::copy_from_slice(value.as_bytes()),
        lease: -9,
    }
}

fn true_key_value(key: &str, value: &str) -> TrueKeyValue {
    TrueKeyValue {
        key: key.into(),
        create_revision: 2,
        mod_revision: 5,
        version: 3,
        value: value.into(),
        lease: -9,
    }
}

fn encoded(message: impl Message) -> Bytes {
    message.encode_to_vec().into()
}

#[test]
fn a_range_of_encoded_items_is_a_range_of_messages() {
    let patched = RangeResponse {
        header: Some(ResponseHeader { cluster_id: 1, member_id: 2, revision: 5, raft_term: 4 }),
        kvs: vec![encoded(key_value("a", "1")), encoded(key_value("b", ""))],
        more: true,
        count: 7,
    };
    let wire = patched.encode_to_vec();
    let seen = TrueRangeResponse::decode(&wire[..]).expect("a client can decode it");
    assert_eq!(seen.kvs, [true_key_value("a", "1"), true_key_value("b", "")]);
    assert_eq!((&seen.header, seen.more, seen.count), (&patched.header, true, 7));
    assert_eq!(seen.encode_to_vec(), wire);
    assert_eq!(RangeResponse::decode(&wire[..]).expect("and so can we"), patched);
}

#[test]
fn an_empty_previous_item_is_absent() {
    let none = PutResponse { header: None, prev_kv: Bytes::new() };
    let seen = TruePutResponse::decode(&none.encode_to_vec()[..]).expect("decodes");
    assert_eq!(seen.prev_kv, None);

    let some = PutResponse { header: None, prev_kv: encoded(key_value("a", "1")) };
    let seen = TruePutResponse::decode(&some.encode_to_vec()[..]).expect("decodes");
    assert_eq!(seen.prev_kv, Some(true_key_value("a", "1")));
}

#[test]
fn encoded_events_are_events() {
    let event = mvccpb::Event {
        r#type: mvccpb::event::EventType::Delete.into(),
        kv: encoded(key_value("a", "")),
        prev_kv: encoded(key_value("a", "old")),
    };
    let patched = WatchResponse { watch_id: 3, events: vec![encoded(event)], ..Default::default() };
    let seen = TrueWatchResponse::decode(&patched.encode_to_vec()[..]).expect("decodes");
    let expected = TrueEvent {
        kind: 1,
        kv: Some(true_key_value("a", "")),
        prev_kv: Some(true_key_value("a", "old")),
    };
    assert_eq!(seen, TrueWatchResponse { watch_id: 3, events: vec![expected] });
}

#[test]
fn reflection_keeps_the_true_types() {
    let set = prost_types::FileDescriptorSet::decode(crate::FILE_DESCRIPTOR_SET).expect("decodes");
    let kvs = set
        .file
        .iter()
        .flat_map(|file| &file.message_type)
        .find(|message| message.name() == "RangeResponse")
        .and_then(|message| message.field.iter().find(|field| field.name() == "kvs"))
        .expect("the field is described");
    assert_eq!(kvs.type_name(), ".mvccpb.KeyValue");
}
