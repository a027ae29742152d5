//! Messages as proto3 JSON, by their descriptors. As in etcd, names are those of the .proto files,
//! what is zero is left out, and what is not known on the way in is passed over.

use bytes::Bytes;
use prost::Message as _;
use prost_reflect::{DeserializeOptions, DynamicMessage, MessageDescriptor, SerializeOptions};
use tonic::Status;

const IN: DeserializeOptions = DeserializeOptions::new().deny_unknown_fields(false);
const OUT: SerializeOptions = SerializeOptions::new()
    .use_proto_field_name(true)
    .skip_default_fields(true)
    .stringify_64_bit_integers(true);

/// The encoded message of a JSON text; of nothing at all, an empty message. What follows the first
/// value is not looked at, as etcd does not.
///
/// # Errors
/// The text is no JSON, or does not fit the message.
pub fn to_wire(kind: &MessageDescriptor, text: &[u8]) -> Result<Bytes, Status> {
    if text.trim_ascii().is_empty() {
        return Ok(Bytes::new());
    }
    let mut json = serde_json::Deserializer::from_slice(text);
    let message = DynamicMessage::deserialize_with_options(kind.clone(), &mut json, &IN);
    let message = message.map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(message.encode_to_vec().into())
}

/// The JSON text of an encoded message.
///
/// # Errors
/// The bytes are no such message: one of our services is at fault.
pub fn from_wire(kind: &MessageDescriptor, wire: Bytes) -> Result<Vec<u8>, Status> {
    let unreadable = |error: String| Status::internal(format!("answer of the service: {error}"));
    let message = DynamicMessage::decode(kind.clone(), wire);
    let message = message.map_err(|error| unreadable(error.to_string()))?;
    let mut text = Vec::new();
    let mut json = serde_json::Serializer::new(&mut text);
    let written = message.serialize_with_options(&mut json, &OUT);
    written.map_err(|error| unreadable(error.to_string()))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use portunus_proto::etcdserverpb as pb;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::{from_wire, to_wire};
    use crate::api::descriptors::POOL;

    fn kind(name: &str) -> prost_reflect::MessageDescriptor {
        POOL.get_message_by_name(name).expect("described")
    }

    fn read<M: prost::Message + Default>(name: &str, text: &str) -> M {
        let wire = to_wire(&kind(name), text.as_bytes()).expect("fits");
        M::decode(wire).expect("is that message")
    }

    #[test]
    fn what_protojson_takes_is_taken() {
        let range = |text| read::<pb::RangeRequest>("etcdserverpb.RangeRequest", text);
        let expected = pb::RangeRequest {
            key: vec![0xff, 0xf8].into(),
            limit: 10,
            sort_order: pb::range_request::SortOrder::Descend.into(),
            ..Default::default()
        };
        for text in [
            r#"{"key":"//g=","limit":"10","sort_order":"DESCEND","range_end":null}"#,
            r#"{"key":"__g","limit":10,"sortOrder":2,"nothing":{"x":[1]},"serializable":false}"#,
            r#" {"limit":1e1,"key":"//g","sort_order":"DESCEND"} trailing"#,
        ] {
            assert_eq!(range(text), expected, "{text}");
        }
        assert_eq!(range(""), pb::RangeRequest::default());
        assert_eq!(range(" \n"), pb::RangeRequest::default());
        let lease: pb::LeaseGrantRequest =
            read("etcdserverpb.LeaseGrantRequest", r#"{"TTL":"-1","ID":"9223372036854775807"}"#);
        assert_eq!(lease, pb::LeaseGrantRequest { ttl: -1, id: i64::MAX });
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let put = kind("etcdserverpb.PutRequest");
        for text in
            ["{", "[]", "1", "\"x\"", r#"{"key":1}"#, r#"{"key":"*"}"#, r#"{"lease":"x"}"#, "nope"]
        {
            let refused = to_wire(&put, text.as_bytes()).expect_err(text);
            assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{text}");
        }
        let deep = format!("{}{}", r#"{"success":[{"request_txn":"#.repeat(500), "}]}".repeat(500));
        to_wire(&kind("etcdserverpb.TxnRequest"), deep.as_bytes()).expect_err("too deep");
    }

    #[test]
    fn answers_read_as_etcds() {
        let header =
            pb::ResponseHeader { cluster_id: u64::MAX, member_id: 2, revision: 3, raft_term: 4 };
        let lease = pb::LeaseTimeToLiveResponse {
            header: Some(header),
            id: -1,
            ttl: 5,
            granted_ttl: 60,
            keys: vec![b"foo"[..].into()],
        };
        let text =
            from_wire(&kind("etcdserverpb.LeaseTimeToLiveResponse"), lease.encode_to_vec().into());
        let expected = r#"{"header":{"cluster_id":"18446744073709551615","member_id":"2","#
            .to_owned()
            + r#""revision":"3","raft_term":"4"},"ID":"-1","TTL":"5","grantedTTL":"60","#
            + r#""keys":["Zm9v"]}"#;
        assert_eq!(String::from_utf8(text.expect("is one")).expect("text"), expected);
        let empty = from_wire(&kind("etcdserverpb.DefragmentResponse"), bytes::Bytes::new());
        assert_eq!(empty.expect("is one"), b"{}");
    }

    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|b| b.to_string()),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<f64>().prop_map(|n| n.to_string()),
            "[a-zA-Z0-9+/=_]{0,8}".prop_map(|text| format!("{text:?}")),
        ];
        let name = prop_oneof![
            Just("key"),
            Just("range_end"),
            Just("limit"),
            Just("compare"),
            Just("success"),
            Just("request_put"),
            Just("request_txn"),
            Just("target"),
            Just("value"),
            Just("x"),
        ];
        leaf.prop_recursive(6, 64, 4, move |inner| {
            let name = name.clone();
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(","))),
                prop::collection::vec((name, inner), 0..4).prop_map(|fields| {
                    let fields = fields.iter().map(|(name, value)| format!("{name:?}:{value}"));
                    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn rubbish_is_refused_and_nothing_else_happens(text in prop_oneof![".*", any_json()]) {
            for name in ["etcdserverpb.TxnRequest", "etcdserverpb.WatchRequest"] {
                let kind = kind(name);
                if let Ok(wire) = to_wire(&kind, text.as_bytes()) {
                    // What is taken reads back as it went in.
                    let again = from_wire(&kind, wire.clone()).expect("a message it made");
                    prop_assert_eq!(to_wire(&kind, &again).expect("JSON it wrote"), wire);
                }
            }
        }

        #[test]
        fn a_message_survives_json(
            key in prop::collection::vec(any::<u8>(), 0..20),
            limit in any::<i64>(),
            order in 0..3,
            serializable in any::<bool>(),
        ) {
            let request = pb::RangeRequest {
                key: key.into(), limit, sort_order: order, serializable, ..Default::default()
            };
            let kind = kind("etcdserverpb.RangeRequest");
            let text = from_wire(&kind, request.encode_to_vec().into()).expect("a message");
            let back = pb::RangeRequest::decode(to_wire(&kind, &text).expect("JSON")).expect("wire");
            prop_assert_eq!(back, request);
        }
    }
}
