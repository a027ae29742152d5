//! Watches that begin in the past, beyond what is compacted, or in the future.

use portunus_proto::etcdserverpb as pb;

use crate::conversation::{Conversation, on};
use crate::fixture::{FROM_KEY, Single, revision};

fn from(start_revision: i64) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest { start_revision, range_end: FROM_KEY.into(), ..on("") }
}

#[tokio::test]
async fn the_past_is_told_and_then_the_present() {
    let mut single = Single::start().await;
    for n in 0..300 {
        single.put(&format!("k{}", n % 7), &n.to_string()).await;
    }
    let mut stream = Conversation::open(&single).await;
    stream.create(from(2)).await;
    stream.create(from(200)).await;
    assert!(stream.answer().await.created);
    single.put("last", "1").await;
    let mut next = [2, 200];
    while next != [303, 303] {
        let answer = stream.answer().await;
        for event in portunus_tests::events(&answer.events) {
            let next = &mut next[answer.watch_id as usize];
            assert_eq!(event.kv.mod_revision, *next, "each revision once and in order");
            *next += 1;
        }
    }
}

#[tokio::test]
async fn what_is_compacted_cannot_be_watched() {
    let mut single = Single::start().await;
    for n in 0..9 {
        single.put("a", &n.to_string()).await;
    }
    let compact = pb::CompactionRequest { revision: 6, physical: true };
    single.rpc.kv.compact(compact).await.unwrap();
    let mut stream = Conversation::open(&single).await;
    stream.create(from(5)).await;
    let created = stream.answer().await;
    assert_eq!((created.created, created.canceled, created.watch_id), (true, false, 0));
    let gone = stream.answer().await;
    assert_eq!((gone.created, gone.canceled, gone.watch_id), (false, true, 0));
    assert_eq!((gone.compact_revision, gone.cancel_reason.as_str()), (6, ""));
    stream.create(from(6)).await;
    assert!(stream.answer().await.created);
    let seen = stream.events(5).await;
    assert_eq!(seen[0].kv.mod_revision, 6, "the compacted revision itself is still there");
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn previous_values_end_where_the_past_is_compacted() {
    let mut single = Single::start().await;
    for n in 1..5 {
        single.put("a", &n.to_string()).await;
    }
    let compact = pb::CompactionRequest { revision: 4, physical: true };
    single.rpc.kv.compact(compact).await.unwrap();
    let mut stream = Conversation::open(&single).await;
    stream.create(pb::WatchCreateRequest { prev_kv: true, ..from(4) }).await;
    assert!(stream.answer().await.created);
    let seen = stream.events(2).await;
    assert!(seen[0].prev_kv.is_none(), "revision 3 is compacted");
    assert_eq!(&seen[1].prev_kv.as_ref().unwrap().value[..], b"3");
}

#[tokio::test]
async fn the_future_is_waited_for() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    stream.create(from(4)).await;
    let created = stream.answer().await;
    assert_eq!((created.created, revision(&created.header)), (true, 1));
    for n in 2..6 {
        assert_eq!(single.put("a", "v").await, n);
    }
    let seen = stream.events(2).await;
    let revisions: Vec<i64> = seen.iter().map(|event| event.kv.mod_revision).collect();
    assert_eq!(revisions, [4, 5], "nothing before the start");
}

#[tokio::test]
async fn the_past_outlives_a_restart() {
    let mut single = Single::start().await;
    for n in 0..20 {
        single.put("a", &n.to_string()).await;
    }
    single.member.kill().unwrap();
    single.member.start().unwrap();
    let mut rpc = portunus_tests::Rpc::connect(&single.member.client_url).await.unwrap();
    let mut stream = Conversation::over(&mut rpc).await;
    stream.create(pb::WatchCreateRequest { prev_kv: true, ..from(2) }).await;
    assert!(stream.answer().await.created);
    let seen = stream.events(20).await;
    let revisions: Vec<i64> = seen.iter().map(|event| event.kv.mod_revision).collect();
    assert_eq!(revisions, (2..22).collect::<Vec<_>>());
    assert_eq!(&seen[19].prev_kv.as_ref().unwrap().value[..], b"18");
}
