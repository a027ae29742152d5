//! Watches: what may not be read may not be watched, and the answer is a watch that never was.

use anyhow::{Context, Result};
use futures::StreamExt;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::watch_request::RequestUnion;
use portunus_tests::events;
use tokio_stream::wrappers::ReceiverStream;

use crate::fixture::{Token, World, login, put};

/// A stream on which watches are asked for.
struct Watching {
    ask: tokio::sync::mpsc::Sender<pb::WatchRequest>,
    answers: tonic::Streaming<pb::WatchResponse>,
}

impl Watching {
    async fn open(world: &mut World, token: &Token) -> Result<Self> {
        let (ask, asked) = tokio::sync::mpsc::channel(8);
        let requests = token.with(ReceiverStream::new(asked));
        // A stream has no deadline.
        let (metadata, _, requests) = requests.into_parts();
        let mut open = tonic::Request::new(requests);
        if let Some(entry) = metadata.get("token") {
            open.metadata_mut().insert("token", entry.clone());
        }
        let answers = world.rpc.watch.watch(open).await?.into_inner();
        Ok(Self { ask, answers })
    }

    async fn watch(&mut self, key: &'static str, end: &'static str) -> Result<pb::WatchResponse> {
        let create =
            pb::WatchCreateRequest { key: key.into(), range_end: end.into(), ..Default::default() };
        let request = pb::WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        self.ask.send(request).await?;
        self.next().await
    }

    async fn next(&mut self) -> Result<pb::WatchResponse> {
        Ok(self.answers.next().await.context("the stream has ended")??)
    }
}

fn assert_refused(what: &str, answer: &pb::WatchResponse, reason: &str) {
    assert!(answer.created && answer.canceled, "{what}: {answer:?}");
    assert_eq!((answer.watch_id, answer.cancel_reason.as_str()), (-1, reason), "{what}");
    assert!(answer.header.is_some());
}

const DENIED: &str = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";

#[tokio::test]
async fn only_what_may_be_read_is_watched() -> Result<()> {
    let (mut world, root) = World::guarded(&[]).await?;
    let ada = login(&mut world.rpc, "ada", "secret").await?;
    let mut watching = Watching::open(&mut world, &ada).await?;
    let own = watching.watch("a/", "a0").await?;
    assert!(own.created && !own.canceled && own.watch_id == 0, "{own:?}");
    // An end of a zero byte is everything from the key on, an empty key the first there is.
    for (key, end) in
        [("b", ""), ("w/k", ""), ("a/", "b"), ("a/", "\0"), ("", ""), ("", "\0"), ("r/", "\0")]
    {
        assert_refused(&format!("{key} to {end:?}"), &watching.watch(key, end).await?, DENIED);
    }
    let other = watching.watch("r/k", "").await?;
    assert!(other.created && !other.canceled && other.watch_id == 1, "{other:?}");
    // What was refused leaves the others as they were.
    world.rpc.kv.put(root.with(put("b"))).await?;
    world.rpc.kv.put(root.with(put("r/k"))).await?;
    let seen = watching.next().await?;
    let keys: Vec<_> = events(&seen.events).into_iter().map(|seen| seen.kv.key).collect();
    assert_eq!((seen.watch_id, keys), (1, vec!["r/k".into()]));
    Ok(())
}

#[tokio::test]
async fn who_is_not_known_watches_nothing() -> Result<()> {
    let (mut world, _) = World::guarded(&[]).await?;
    let nobody = "rpc error: code = InvalidArgument desc = etcdserver: user name is empty";
    let mut watching = Watching::open(&mut world, &Token::none()).await?;
    assert_refused("nobody", &watching.watch("a/k", "").await?, nobody);
    let bad = "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token";
    let made_up = Token("abcdefghijklmnop.7".into());
    let mut watching = Watching::open(&mut world, &made_up).await?;
    assert_refused("made up", &watching.watch("a/k", "").await?, bad);
    Ok(())
}
