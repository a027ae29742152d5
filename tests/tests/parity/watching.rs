//! Watches of both servers: what each watch is told, in order. How events are gathered into
//! messages is the server's affair, as long as those of one revision stay together.
//!
//! When a watch has told all is not visible from outside. So after the watches are made, a key
//! within each one's range is put and deleted until its watch tells the last of it.

use std::collections::BTreeMap;
use std::time::Duration;

use pb::watch_create_request::FilterType;
use pb::watch_request::RequestUnion;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Rpc, events};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::render::{self, Shown};

/// Reached only when an answer is missing.
const PATIENCE: Duration = Duration::from_secs(10);

struct Conversation {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
    /// What each watch was told, with the revision where it is an event.
    told: BTreeMap<i64, Vec<(i64, String)>>,
    /// Where each watch's last event is; far beyond all of them once it is cancelled.
    reached: BTreeMap<i64, i64>,
    /// The ids of the watches in the order in which they were asked for.
    created: Vec<i64>,
}

/// The id in answers that refuse a watch.
const NO_WATCH: i64 = -1;

impl Conversation {
    async fn open(rpc: &mut Rpc, creates: &[pb::WatchCreateRequest]) -> Result<Self, String> {
        let (requests, receiver) = mpsc::channel(16);
        for create in creates {
            let request = RequestUnion::CreateRequest(create.clone());
            let request = pb::WatchRequest { request_union: Some(request) };
            requests.send(request).await.expect("the stream is not open yet");
        }
        let answers = rpc.watch.watch(ReceiverStream::new(receiver)).await;
        let answers = answers.map_err(|status| render::refused(&status))?.into_inner();
        let (told, reached) = Default::default();
        let mut this = Self { requests, answers, told, reached, created: Vec::new() };
        while this.created.len() < creates.len() {
            this.next().await?;
        }
        Ok(this)
    }

    async fn next(&mut self) -> Result<i64, String> {
        let answer = tokio::time::timeout(PATIENCE, self.answers.message()).await;
        let answer = match answer {
            Ok(Ok(Some(answer))) => answer,
            Ok(Ok(None)) => return Err(format!("ended after {:?}", self.told)),
            Ok(Err(status)) => return Err(render::refused(&status)),
            Err(_) => return Err(format!("silent after {:?}", self.told)),
        };
        let told = self.told.entry(answer.watch_id).or_default();
        if answer.created || answer.canceled || answer.events.is_empty() {
            let pb::WatchResponse { created, canceled, compact_revision, cancel_reason, .. } =
                &answer;
            let head = render::header(&answer.header);
            let line = format!(
                "{head} created={created} canceled={canceled} {compact_revision} {cancel_reason:?}"
            );
            told.push((0, line));
            if answer.created {
                self.created.push(answer.watch_id);
            }
            if answer.canceled {
                self.reached.insert(answer.watch_id, i64::MAX);
            }
        }
        for event in events(&answer.events) {
            self.reached.insert(answer.watch_id, event.kv.mod_revision);
            let kind = if event.deleted { "delete" } else { "put" };
            let (kv, prev) =
                (Shown(std::slice::from_ref(&event.kv)), Shown(event.prev_kv.as_slice()));
            told.push((event.kv.mod_revision, format!("{kind} {kv:?} prev={prev:?}")));
        }
        Ok(answer.watch_id)
    }

    fn report(&self) -> String {
        let lines = |told: &[(i64, String)]| told.iter().map(|(_, line)| line.clone()).collect();
        let told: Vec<(i64, Vec<String>)> =
            self.told.iter().map(|(id, told)| (*id, lines(told))).collect();
        format!("{told:#?}")
    }
}

/// What a set of watches is told until they have told all there is.
pub async fn watch(rpc: &mut Rpc, creates: Vec<pb::WatchCreateRequest>) -> String {
    let mut conversation = match Conversation::open(rpc, &creates).await {
        Ok(conversation) => conversation,
        Err(why) => return why,
    };
    let wanted = match finish(rpc, &creates).await {
        Ok(wanted) => wanted,
        Err(why) => return why,
    };
    let ids = conversation.created.clone();
    for (id, wanted) in ids.iter().zip(&wanted) {
        while conversation.reached.get(id).is_none_or(|reached| reached < wanted) {
            if let Err(why) = conversation.next().await {
                return why;
            }
        }
    }
    // What the ends of the other watches brought may have come or not.
    for (id, wanted) in ids.iter().zip(&wanted).filter(|(id, _)| **id != NO_WATCH) {
        if let Some(told) = conversation.told.get_mut(id) {
            told.retain(|(revision, _)| revision <= wanted);
        }
    }
    conversation.report()
}

/// Writes and deletes the first key of each watch, past the revision at which it begins. Returns
/// the last revision each watch will be told of.
async fn finish(rpc: &mut Rpc, creates: &[pb::WatchCreateRequest]) -> Result<Vec<i64>, String> {
    let mut last = Vec::new();
    for create in creates {
        let key = if create.key.is_empty() { crate::call::FROM_KEY } else { create.key.clone() };
        loop {
            let put = pb::PutRequest { key: key.clone(), ..Default::default() };
            let put = rpc.kv.put(put).await.map_err(|status| render::refused(&status))?;
            let delete = pb::DeleteRangeRequest { key: key.clone(), ..Default::default() };
            let delete = rpc.kv.delete_range(delete).await;
            let delete = delete.map_err(|status| render::refused(&status))?;
            let revision = |header: Option<pb::ResponseHeader>| header.map_or(0, |h| h.revision);
            let (put, delete) =
                (revision(put.into_inner().header), revision(delete.into_inner().header));
            if put >= create.start_revision {
                let no_delete = create.filters.contains(&FilterType::Nodelete.into());
                last.push(if no_delete { put } else { delete });
                break;
            }
        }
    }
    Ok(last)
}

/// Makes watches, asks for progress, cancels the first of them and tells what came back.
pub async fn progress(rpc: &mut Rpc, creates: Vec<pb::WatchCreateRequest>) -> String {
    let mut conversation = match Conversation::open(rpc, &creates).await {
        Ok(conversation) => conversation,
        Err(why) => return why,
    };
    let ask = pb::WatchRequest {
        request_union: Some(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})),
    };
    let cancel = |watch_id| pb::WatchRequest {
        request_union: Some(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id })),
    };
    let first = conversation.told.keys().copied().find(|id| *id >= 0).unwrap_or_default();
    let nothing = pb::WatchRequest { request_union: None };
    let requests = [(ask, true), (cancel(777), false), (nothing, false), (cancel(first), true)];
    for (request, answered) in requests {
        if conversation.requests.send(request).await.is_err() {
            return "the requests are not taken".to_owned();
        }
        if answered && let Err(why) = conversation.next().await {
            return why;
        }
    }
    conversation.report()
}
