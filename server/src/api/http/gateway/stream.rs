//! Methods that answer with a stream: each answer is a line `{"result":{...}}`, and an error ends
//! it as a line of its own. Where the client streams too, its messages are taken as they come.

use std::convert::Infallible;

use bytes::Bytes;
use futures::future::{BoxFuture, pending};
use futures::stream::{self, Stream};
use http::header::HeaderMap;
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use prost_reflect::{MessageDescriptor, MethodDescriptor};
use tokio::sync::oneshot;
use tonic::Status;
use tonic::body::Body;

use super::call::{self, Answers, Services};
use super::splitter::{Rubbish, Splitter};
use super::{failure, json, serve};
use crate::api::http::reply;

/// Opens the stream; its head leaves with the first answer, since until then it may still fail.
pub async fn serve(
    services: &Services,
    method: &MethodDescriptor,
    request: Request<Body>,
    bytes_max: usize,
) -> Result<Response<Body>, Status> {
    let (parts, body) = request.into_parts();
    let (answers, failed) = match method.is_client_streaming() {
        true => converse(services, method, &parts.headers, body, bytes_max).await?,
        false => {
            let text = serve::collect(body, bytes_max).await?;
            let message = json::to_wire(&method.input(), &text)?;
            let body = Body::new(Full::new(call::framed(&message)));
            let answers = call::open(services, method, &parts.headers, body).await?;
            (answers, Box::pin(pending()) as Failed)
        }
    };
    let mut lines = Lines { answers, failed, first: None, kind: method.output(), ended: false };
    lines.first = lines.answer().await.transpose()?;
    lines.ended = lines.first.is_none();
    let mut response = reply::json(StatusCode::OK, Bytes::new());
    *response.body_mut() = Body::new(StreamBody::new(lines.into_stream()));
    Ok(response)
}

/// Resolves once what the client sends has become rubbish, and else never.
type Failed = BoxFuture<'static, Status>;

/// A conversation: the first message must be one; a later one that is none ends it.
async fn converse(
    services: &Services,
    method: &MethodDescriptor,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<(Answers, Failed), Status> {
    let kind = method.input();
    let mut messages = Messages { body, splitter: Splitter::new(bytes_max), kind };
    let first = messages.next().await?;
    let (fail, failed) = oneshot::channel();
    let state = (messages, first, Some(fail));
    let frames = stream::unfold(state, |(mut messages, first, mut fail)| async move {
        let next = match first {
            Some(first) => Ok(Some(first)),
            None => messages.next().await,
        };
        match next {
            Ok(message) => {
                let frame = Ok::<_, Infallible>(Frame::data(call::framed(&message?)));
                Some((frame, (messages, None, fail)))
            }
            Err(status) => {
                // The answering side is gone when nobody listens.
                let _ = fail.take()?.send(status);
                None
            }
        }
    });
    let body = Body::new(StreamBody::new(frames));
    let failed = Box::pin(async {
        match failed.await {
            Ok(status) => status,
            // The client has said all it wanted.
            Err(_) => pending().await,
        }
    });
    Ok((call::open(services, method, headers, body).await?, failed))
}

/// The messages in a request's body.
struct Messages {
    body: Body,
    splitter: Splitter,
    kind: MessageDescriptor,
}

impl Messages {
    async fn next(&mut self) -> Result<Option<Bytes>, Status> {
        let rubbish = |rubbish: Rubbish| match rubbish {
            Rubbish::TooLong(_) => Status::resource_exhausted(rubbish.to_string()),
            _ => Status::invalid_argument(rubbish.to_string()),
        };
        loop {
            if let Some(text) = self.splitter.next().map_err(rubbish)? {
                return json::to_wire(&self.kind, &text).map(Some);
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.splitter.feed(data);
                    }
                }
                Some(Err(status)) => return Err(status),
                None => {
                    self.splitter.end().map_err(rubbish)?;
                    return Ok(None);
                }
            }
        }
    }
}

/// The lines of an answer.
struct Lines {
    answers: Answers,
    failed: Failed,
    first: Option<Bytes>,
    kind: MessageDescriptor,
    ended: bool,
}

impl Lines {
    fn into_stream(self) -> impl Stream<Item = Result<Frame<Bytes>, Infallible>> {
        stream::unfold(self, |mut lines| async move {
            let line = lines.next().await?;
            Some((Ok(Frame::data(line)), lines))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let answer = match self.first.take() {
            Some(first) => Ok(first),
            None => self.answer().await?,
        };
        let line = answer.and_then(|wire| json::from_wire(&self.kind, wire));
        Some(match line {
            Ok(text) => [b"{\"result\":", &text[..], b"}\n"].concat().into(),
            Err(status) => {
                self.ended = true;
                format!("{}\n", failure::in_stream(&status)).into()
            }
        })
    }

    async fn answer(&mut self) -> Option<Result<Bytes, Status>> {
        tokio::select! {
            biased;
            status = &mut self.failed => Some(Err(status)),
            answer = self.answers.next() => answer,
        }
    }
}
