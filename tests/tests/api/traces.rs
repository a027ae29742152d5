//! Traces of calls reach a collector: those that a client traces, in the client's trace, and as
//! many others as the flag says.

use std::collections::HashMap;

use anyhow::Result;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use portunus_proto::etcdserverpb::{PutRequest, RangeRequest};
use portunus_tests::{Member, Rpc};
use tokio::sync::mpsc;
use tonic::{Request, Response, Status};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A collector that passes on what it is told: the services' names and the spans.
struct Collector(mpsc::UnboundedSender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_one in request.into_inner().resource_spans {
            let attributes = of_one.resource.into_iter().flat_map(|resource| resource.attributes);
            let named: HashMap<_, _> = attributes.map(|pair| (pair.key, pair.value)).collect();
            let text = |name: &str| match named.get(name).cloned().flatten()?.value {
                Some(Value::StringValue(text)) => Some(text),
                _ => None,
            };
            let from =
                [text("service.name"), text("service.instance.id")].map(Option::unwrap_or_default);
            for span in of_one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let _ = self.0.send((from.join("/"), span));
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

async fn collector() -> Result<(String, mpsc::UnboundedReceiver<(String, Span)>)> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (spans, told) = mpsc::unbounded_channel();
    let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let service = TraceServiceServer::new(Collector(spans));
    tokio::spawn(
        tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming),
    );
    Ok((address, told))
}

fn code(span: &Span) -> Option<i64> {
    let pair = span.attributes.iter().find(|pair| pair.key == "rpc.grpc.status_code")?;
    match pair.value.as_ref()?.value {
        Some(Value::IntValue(code)) => Some(code),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_its_client_traces_is_told_in_the_clients_trace() -> Result<()> {
    let (address, mut told) = collector().await?;
    let dir = tempfile::tempdir()?;
    let address = format!("--distributed-tracing-address={address}");
    let named = "--distributed-tracing-instance-id=one";
    let member = Member::single(dir.path(), &["--enable-distributed-tracing", &address, named])?;
    let mut rpc = Rpc::connect(&member.client_url).await?;
    rpc.kv.put(PutRequest { key: "untraced".into(), ..PutRequest::default() }).await?;
    let mut traced =
        Request::new(RangeRequest { revision: 1_000, key: "k".into(), ..RangeRequest::default() });
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    traced.metadata_mut().insert("traceparent", parent.parse()?);
    rpc.kv.range(traced).await.expect_err("a revision to come");
    let (from, span) = told.recv().await.expect("it is sent");
    let trace: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((from.as_str(), trace.as_str()), ("etcd/one", TRACE));
    assert_eq!((span.name.as_str(), code(&span)), ("etcdserverpb.KV/Range", Some(11)));
    assert_eq!(told.try_recv().ok().map(|(_, span)| span.name), None, "nobody asked for the other");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_calls_are_traced_where_all_of_a_million_are() -> Result<()> {
    let (address, mut told) = collector().await?;
    let dir = tempfile::tempdir()?;
    let address = format!("--distributed-tracing-address={address}");
    let all = "--distributed-tracing-sampling-rate=1000000";
    let mut member = Member::single(dir.path(), &["--enable-distributed-tracing", &address, all])?;
    let mut rpc = Rpc::connect(&member.client_url).await?;
    rpc.kv.put(PutRequest { key: "k".into(), ..PutRequest::default() }).await?;
    drop(rpc);
    // What is left when a member stops is sent before it ends.
    member.terminate()?;
    let mut names = Vec::new();
    while let Ok((_, span)) = told.try_recv() {
        names.push(span.name);
    }
    assert!(names.contains(&"etcdserverpb.KV/Put".to_owned()), "{names:?}");
    Ok(())
}
