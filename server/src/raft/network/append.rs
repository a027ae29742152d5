//! Replicates the log to one peer: a bidirectional stream with many requests on their way, and
//! single calls for heartbeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::{Stream, StreamExt};
use openraft::errors::RPCError;
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::AppendEntriesRequest;
use portunus_proto::portunus::peer::v1 as wire;
use tonic::Streaming;

use super::client::{AppendStream, Route, nonsense};
use super::convert;
use super::pool::Use;
use super::tuning::APPEND_RESPONSE_TIMEOUT;
use crate::raft::metrics;
use crate::raft::types::{EntryPayload, TypeConfig};

pub type Responses<'s> = Result<AppendStream<'s>, RPCError<TypeConfig>>;

/// Sends each request as a call of its own; ends at the first refusal, as a stream does.
pub async fn heartbeats<'s, S>(route: &'s Route, input: S, option: RPCOption) -> Responses<'s>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    let responses = futures::stream::unfold(Some(input), move |input| {
        let limit = option.soft_ttl();
        async move {
            let mut input = input?;
            let request = convert::append_to_wire(input.next().await?);
            let response = match route.client(Use::Control) {
                Ok(mut client) => timed(route, client.heartbeat(request), limit).await,
                Err(error) => Err(error),
            };
            let result = response
                .and_then(|response| convert::append_result_from_wire(response).map_err(nonsense));
            let go_on = matches!(result, Ok(Ok(_))).then_some(input);
            Some((result, go_on))
        }
    });
    Ok(Box::pin(responses))
}

/// One heartbeat, which is also how the way to the peer is measured.
async fn timed(
    route: &Route,
    call: impl Future<Output = Result<tonic::Response<wire::AppendResponse>, tonic::Status>>,
    limit: Duration,
) -> Result<wire::AppendResponse, RPCError<TypeConfig>> {
    let clock = &route.pool.clock;
    let started = clock.now();
    let response = route.call(RPCTypes::AppendEntries, limit, call).await;
    let label = metrics::label(route.target.member);
    match &response {
        Ok(_) => {
            let took = clock.now().since(started).as_secs_f64();
            metrics::ROUND_TRIP_SECONDS.with_label_values(&[&label]).observe(took);
        }
        Err(_) => metrics::HEARTBEAT_FAILURES.inc(),
    }
    response
}

/// Sends all requests over one stream without waiting for answers. A peer that leaves a request
/// unanswered for too long ends it: openraft sets no limit of its own, and the peer may be at the
/// other end of a connection that is open on this side only.
///
/// The first request is taken before the peer is called: openraft's pause after a failure lies in
/// its request stream, and a peer that is down would otherwise be called again at once, for ever.
pub async fn stream<'s, S>(route: &'s Route, mut input: S) -> Responses<'s>
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Send + Unpin + 'static,
{
    let Some(first) = input.next().await else { return Ok(Box::pin(futures::stream::empty())) };
    let input = futures::stream::once(std::future::ready(first)).chain(input);
    let mut client = route.client(Use::Log)?;
    let sent = Arc::new(AtomicU64::new(0));
    let bytes = metrics::SENT_BYTES.with_label_values(&[&metrics::label(route.target.member)]);
    let counter = sent.clone();
    let requests = input.map(move |request| {
        bytes.inc_by(payload_bytes(&request) as u64);
        counter.fetch_add(1, Ordering::Relaxed);
        convert::append_to_wire(request)
    });
    // The response's head comes at once, whether or not there is anything to replicate.
    let opening = tokio::time::timeout(APPEND_RESPONSE_TIMEOUT, client.append(requests)).await;
    let inbound = match opening {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => return Err(route.failed(&status)),
        Err(_) => return Err(silent(route)),
    };
    let state = Some(Watched { route, inbound, sent, answered: 0 });
    let responses = futures::stream::unfold(state, |state| async move {
        let mut watched = state?;
        let result = watched.next().await?;
        let go_on = matches!(result, Ok(Ok(_))).then_some(watched);
        Some((result, go_on))
    });
    Ok(Box::pin(responses))
}

type Answer = Result<openraft::raft::StreamAppendResult<TypeConfig>, RPCError<TypeConfig>>;

/// Responses with an eye on how long they take.
struct Watched<'s> {
    route: &'s Route,
    inbound: Streaming<wire::AppendResponse>,
    sent: Arc<AtomicU64>,
    answered: u64,
}

impl Watched<'_> {
    async fn next(&mut self) -> Option<Answer> {
        loop {
            let due = self.sent.load(Ordering::Relaxed) > self.answered;
            let message =
                match tokio::time::timeout(APPEND_RESPONSE_TIMEOUT, self.inbound.message()).await {
                    Ok(message) => message,
                    // Nothing was owed when the wait began.
                    Err(_) if !due => continue,
                    Err(_) => return Some(Err(silent(self.route))),
                };
            self.answered += 1;
            return match message {
                Ok(response) => Some(convert::append_result_from_wire(response?).map_err(nonsense)),
                Err(status) => Some(Err(self.route.failed(&status))),
            };
        }
    }
}

fn silent(route: &Route) -> RPCError<TypeConfig> {
    tracing::warn!(member = %route.target.member, "a member does not answer appends");
    route.failed(&tonic::Status::deadline_exceeded("no answer to an append in time"))
}

fn payload_bytes(request: &AppendEntriesRequest<TypeConfig>) -> usize {
    let payloads = request.entries.iter().map(|entry| match &entry.payload {
        EntryPayload::Normal(proposal) => proposal.0.len(),
        _ => 0,
    });
    payloads.sum()
}

#[cfg(test)]
#[path = "append_test.rs"]
mod tests;
