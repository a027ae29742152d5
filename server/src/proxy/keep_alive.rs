//! Leases that are kept alive through the proxy. The stream to the member may break without the
//! client's: what it had not answered is asked again of another, which does no harm.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::stream;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::body::Body;
use tonic::{Code, Status};

use super::asked::Asked;
use super::passage;
use super::passed::{Passed, trailers};
use super::upstream::Upstream;

pub const PATH: &str = "/etcdserverpb.Lease/LeaseKeepAlive";

/// Requests of one stream that may wait for their answers; more are not read.
const OUTSTANDING_MAX: usize = 1024;
/// Between attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// A client hears that nobody serves it after this long: it may know another way.
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers a call of [`PATH`].
pub async fn serve(upstream: Arc<Upstream>, request: Request<Body>) -> Response<Body> {
    let (mut head, requests) = request.into_parts();
    head.headers.remove("grpc-accept-encoding");
    let keeper = Keeper {
        upstream,
        head,
        requests,
        held: BytesMut::new(),
        open: true,
        outstanding: VecDeque::new(),
        way: None,
        broken_since: None,
    };
    let frames = stream::unfold(Some(keeper), |keeper| async move {
        let mut keeper = keeper?;
        match keeper.next().await {
            Ok(message) => {
                let mut framed = BytesMut::new();
                passage::put(&message, &mut framed);
                Some((Ok::<_, Infallible>(Frame::data(framed.freeze())), Some(keeper)))
            }
            Err(status) => Some((Ok(Frame::trailers(trailers(&status))), None)),
        }
    });
    let mut answer = Response::new(Body::new(StreamBody::new(frames)));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    answer
}

/// One client's stream.
struct Keeper {
    upstream: Arc<Upstream>,
    head: Parts,
    requests: Body,
    held: BytesMut,
    /// The client may still ask.
    open: bool,
    /// What no member has answered, the oldest first.
    outstanding: VecDeque<Bytes>,
    way: Option<Way>,
    broken_since: Option<Instant>,
}

/// A stream to a member.
struct Way {
    ask: mpsc::UnboundedSender<Bytes>,
    answers: Passed,
    held: BytesMut,
}

enum Wake {
    Asked(Result<Option<Bytes>, Status>),
    Answered(Result<Bytes, Status>),
}

impl Keeper {
    /// The next answer.
    ///
    /// # Errors
    /// The stream ends with this; code `Ok` when the client wants nothing more.
    async fn next(&mut self) -> Result<Bytes, Status> {
        loop {
            if !self.open && self.outstanding.is_empty() {
                return Err(Status::new(Code::Ok, ""));
            }
            if self.way.is_none() && !self.outstanding.is_empty() {
                match self.way_to_member().await {
                    Ok(way) => self.way = Some(way),
                    Err(status) => self.broken(status).await?,
                }
                continue;
            }
            let reads = self.open && self.outstanding.len() < OUTSTANDING_MAX;
            let wake = tokio::select! {
                asked = message(&mut self.requests, &mut self.held), if reads => Wake::Asked(asked),
                answered = answer(&mut self.way) => Wake::Answered(answered),
            };
            match wake {
                Wake::Asked(Ok(Some(request))) => {
                    if let Some(way) = &self.way {
                        let _ = way.ask.send(framed(&request));
                    }
                    self.outstanding.push_back(request);
                }
                Wake::Asked(Ok(None)) => self.open = false,
                Wake::Asked(Err(status)) => return Err(status),
                Wake::Answered(Ok(answer)) => {
                    self.broken_since = None;
                    self.outstanding.pop_front();
                    return Ok(answer);
                }
                Wake::Answered(Err(status)) => {
                    self.way = None;
                    if !matches!(status.code(), Code::Unavailable | Code::Ok) {
                        return Err(status);
                    }
                    if !self.outstanding.is_empty() {
                        self.broken(status).await?;
                    }
                }
            }
        }
    }

    /// Waits a little, unless the client has waited long enough.
    async fn broken(&mut self, status: Status) -> Result<(), Status> {
        let since = *self.broken_since.get_or_insert_with(Instant::now);
        if since.elapsed() > PATIENCE || !matches!(status.code(), Code::Unavailable | Code::Ok) {
            return Err(status);
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }

    /// Opens a stream and asks again what is outstanding.
    fn way_to_member(&self) -> impl Future<Output = Result<Way, Status>> + Send + use<> {
        let (ask, asked) = mpsc::unbounded_channel::<Bytes>();
        for request in &self.outstanding {
            let _ = ask.send(framed(request));
        }
        let frames = stream::unfold(asked, |mut asked| async move {
            let frame = asked.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(frame)), asked))
        });
        let body = Body::new(StreamBody::new(frames));
        let request = Request::from_parts(self.head.clone(), body);
        let upstream = self.upstream.clone();
        async move {
            let answer = upstream.ask(Asked::once(request)).await?;
            if let Some(status) = failed(answer.headers()) {
                return Err(status);
            }
            let answers = Passed::new(answer.into_body());
            Ok(Way { ask, answers, held: BytesMut::new() })
        }
    }
}

fn framed(message: &Bytes) -> Bytes {
    let mut framed = BytesMut::new();
    passage::put(message, &mut framed);
    framed.freeze()
}

fn failed(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers).filter(|status| status.code() != Code::Ok)
}

/// The next message of the client; `None` when it will send no more. Cancel-safe.
async fn message(body: &mut Body, held: &mut BytesMut) -> Result<Option<Bytes>, Status> {
    loop {
        if let Some(message) = passage::next(held)? {
            return Ok(Some(message));
        }
        match body.frame().await {
            Some(frame) => held.extend_from_slice(&frame?.into_data().unwrap_or_default()),
            None => return Ok(None),
        }
    }
}

/// The next answer of the member, or how its stream ended. Waits for ever where there is none.
/// Cancel-safe.
async fn answer(way: &mut Option<Way>) -> Result<Bytes, Status> {
    let Some(way) = way else { return std::future::pending().await };
    loop {
        if let Some(message) = passage::next(&mut way.held)? {
            return Ok(message);
        }
        let ended = || Status::unavailable("the member ended the stream");
        match way.answers.frame().await.ok_or_else(ended)??.into_data() {
            Ok(data) => way.held.extend_from_slice(&data),
            Err(last) => {
                let status = last.trailers_ref().and_then(Status::from_header_map);
                return Err(status.unwrap_or_else(ended));
            }
        }
    }
}
