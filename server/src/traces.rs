//! Traces of calls, sent to an OpenTelemetry collector (`--enable-distributed-tracing`): the only
//! user of OpenTelemetry. A call whose client traces it goes on in the client's trace.

use std::time::Duration;

use http::HeaderMap;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

/// What `--distributed-tracing-sampling-rate` counts in.
const MILLION: f64 = 1_000_000.0;
/// A collector that does not answer holds nothing up but the end of the process, for so long.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Where traces go and how many there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Host and port of a collector that speaks OTLP over gRPC, without TLS as in etcd.
    pub address: String,
    pub service_name: String,
    /// Left out when empty.
    pub instance_id: String,
    /// How many of a million calls are traced on our own account. Calls that come with a trace
    /// are traced when their client does so.
    pub per_million: u32,
}

/// Makes spans and sends them away.
#[derive(Clone, Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// One call under way.
pub struct Span(opentelemetry_sdk::trace::Span);

impl Traces {
    /// Begins to send, in the background. Needs a runtime around it. A collector that is not there
    /// is no error: it may come.
    ///
    /// # Errors
    /// The address is none.
    pub fn start(options: &Options) -> Result<Self, ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(format!("http://{}", options.address))
            .with_timeout(EXPORT_TIMEOUT)
            .build()?;
        let mut resource = Resource::builder().with_service_name(options.service_name.clone());
        if !options.instance_id.is_empty() {
            let id = KeyValue::new("service.instance.id", options.instance_id.clone());
            resource = resource.with_attribute(id);
        }
        let own = match options.per_million {
            0 => Sampler::AlwaysOff,
            some => Sampler::TraceIdRatioBased(f64::from(some) / MILLION),
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .with_sampler(Sampler::ParentBased(Box::new(own)))
            .build();
        Ok(Self { tracer: provider.tracer("portunus"), provider })
    }

    /// A span for a call of `/service/method`.
    pub fn begin(&self, path: &str, headers: &HeaderMap) -> Span {
        let parent =
            TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let name = path.trim_start_matches('/');
        let (service, method) = name.split_once('/').unwrap_or((name, ""));
        let attributes = [
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service.to_owned()),
            KeyValue::new("rpc.method", method.to_owned()),
        ];
        let span = self.tracer.span_builder(name.to_owned());
        let span = span.with_kind(SpanKind::Server).with_attributes(attributes);
        Span(self.tracer.build_with_context(span, &parent))
    }

    /// Sends what is left. Blocks, [`EXPORT_TIMEOUT`] at most.
    pub fn end(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

impl Span {
    /// Ends the span with the call's gRPC code, and its name where the server is at fault.
    pub fn end(mut self, code: i32, fault: Option<&str>) {
        self.0.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code)));
        if let Some(fault) = fault {
            self.0.set_status(Status::error(fault.to_owned()));
        }
        self.0.end();
    }
}

/// Headers as the propagator reads them.
struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
