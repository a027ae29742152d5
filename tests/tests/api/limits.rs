//! Requests that are too large, and those that are not.

use portunus_proto::etcdserverpb as pb;
use portunus_tests::{key_values, refusal};
use tonic::Code;

use crate::fixture::{Single, put, range};

const LIMIT: usize = 1536 * 1024;

#[tokio::test]
async fn a_request_may_have_what_the_flag_says() {
    let mut single = Single::start().await;
    let sized = |bytes: usize| {
        let value = bytes::Bytes::from(vec![b'x'; bytes]);
        pb::PutRequest { value, ..put("large", "") }
    };
    single.rpc.kv.put(sized(LIMIT - 1024)).await.unwrap();
    let refused = refusal(single.rpc.kv.put(sized(LIMIT + 1)).await);
    let text = "etcdserver: request is too large".to_owned();
    assert_eq!(refused, (Code::InvalidArgument, text));
    // Beyond what gRPC takes at all, the transport says so in the words of Go's.
    let refused = refusal(single.rpc.kv.put(sized(LIMIT + 600 * 1024)).await);
    assert_eq!(refused.0, Code::ResourceExhausted);
    assert!(refused.1.starts_with("grpc: received message larger than max ("), "{}", refused.1);
    let answer = single.rpc.kv.range(range("large")).await.unwrap().into_inner();
    assert_eq!(key_values(&answer.kvs)[0].value.len(), LIMIT - 1024);
}

#[tokio::test]
async fn the_flag_moves_the_limit() {
    let mut single = Single::with(&["--max-request-bytes=1024"]).await;
    single.put("small", &"x".repeat(900)).await;
    let refused = single.client.put("large", "x".repeat(1100), None).await.expect_err("refused");
    assert!(refused.to_string().contains("etcdserver: request is too large"), "{refused}");
}
