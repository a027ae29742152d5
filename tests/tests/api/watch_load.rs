//! Many watches, and clients that do not behave.

use std::path::PathBuf;

use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Rpc, eventually};

use crate::conversation::{Conversation, on};
use crate::fixture::{FROM_KEY, Single, revision};

/// Watches of one client that end at once.
const MANY: usize = 1000;
const EVENTS: usize = 50_000;
const VALUE_BYTES: usize = 512;
/// What the member may take beyond what it took before; all events are 25 MB of values, and every
/// revision of them is held by the store itself besides.
const GROWTH_KIB: u64 = 400 * 1024;

fn all() -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { range_end: FROM_KEY.into(), ..on("") }
}

#[tokio::test]
async fn a_thousand_watches_of_a_stream_all_hear_and_can_all_be_cancelled() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    for _ in 0..MANY {
        stream.create(on("a")).await;
        assert!(stream.answer().await.created);
    }
    single.put("a", "1").await;
    let mut heard = vec![0; MANY];
    while heard.iter().sum::<usize>() < MANY {
        let answer = stream.answer().await;
        heard[answer.watch_id as usize] += answer.events.len();
    }
    assert!(heard.iter().all(|events| *events == 1), "each once");
    for id in 0..MANY {
        stream.cancel(id as i64).await;
        let answer = stream.answer().await;
        assert!(answer.canceled && answer.watch_id == id as i64);
    }
    stream.create(on("a")).await;
    assert!(stream.answer().await.created, "the stream goes on");
}

#[tokio::test]
async fn a_thousand_streams_dropped_at_once_leave_the_connection_alone() {
    let mut single = Single::start().await;
    let mut streams = Vec::new();
    for _ in 0..MANY {
        let mut stream = Conversation::open(&single).await;
        stream.create(on("a")).await;
        streams.push(stream);
    }
    for stream in &mut streams {
        assert!(stream.answer().await.created);
    }
    let mut kept = streams.pop().unwrap();
    drop(streams);
    assert_eq!(single.put("a", "1").await, 2);
    assert_eq!(kept.events(1).await.len(), 1, "a stream beside them goes on");
    single.rpc.kv.range(crate::fixture::range("a")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_costs_nobody_else() {
    let single = Single::start().await;
    // On a connection of its own: what stops is that connection's flow.
    let mut deaf_rpc = Rpc::connect(&single.member.client_url).await.unwrap();
    let mut deaf = Conversation::over(&mut deaf_rpc).await;
    deaf.create(all()).await;
    assert!(deaf.answer().await.created);
    let mut stream = Conversation::open(&single).await;
    stream.create(all()).await;
    assert!(stream.answer().await.created);
    let before = resident_kib(&single);
    let reader = tokio::spawn(async move {
        let mut next = 2;
        while next < 2 + EVENTS as i64 {
            for event in portunus_tests::events(&stream.answer().await.events) {
                assert_eq!(event.kv.mod_revision, next, "each revision once and in order");
                next += 1;
            }
        }
    });
    write_events(&single).await;
    reader.await.unwrap();
    let grown = resident_kib(&single).saturating_sub(before);
    assert!(grown < GROWTH_KIB, "the member grew by {grown} KiB");
    // When it reads again it misses nothing.
    let mut next = 2;
    while next < 2 + EVENTS as i64 {
        for event in portunus_tests::events(&deaf.answer().await.events) {
            assert_eq!(event.kv.mod_revision, next);
            next += 1;
        }
    }
    eventually("progress of a stream that caught up", || async {
        let mut client = single.member.client().await?;
        let at = client.get("none", None).await?.header().map(|header| header.revision());
        anyhow::ensure!(at == Some(1 + EVENTS as i64), "{at:?}");
        Ok(())
    })
    .await;
    deaf.request_progress().await;
    let progress = deaf.answer().await;
    assert_eq!((progress.watch_id, revision(&progress.header)), (-1, 1 + EVENTS as i64));
}

/// Many clients at once, so that many writes share one sync.
async fn write_events(single: &Single) {
    const WRITERS: usize = 50;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let mut kv = single.rpc.kv.clone();
        writers.spawn(async move {
            let value = bytes::Bytes::from(vec![b'x'; VALUE_BYTES]);
            for _ in 0..EVENTS / WRITERS {
                let key = writer.to_string().into();
                let request = pb::PutRequest { key, value: value.clone(), ..Default::default() };
                kv.put(request).await.unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
}

fn resident_kib(single: &Single) -> u64 {
    let pid = single.member.pid().unwrap().to_string();
    let status: PathBuf = ["/proc", &pid, "status"].iter().collect();
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
