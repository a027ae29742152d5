//! Watch: what a stream says to each request.

use pb::watch_create_request::FilterType;
use portunus_proto::etcdserverpb as pb;
use portunus_tests::{Seen, events};

use crate::conversation::{Conversation, on};
use crate::fixture::{FROM_KEY, Single, delete, put, revision, text};

fn told(seen: &[Seen]) -> Vec<String> {
    let one = |event: &Seen| {
        let kind = if event.deleted { "delete" } else { "put" };
        let prev = event.prev_kv.as_ref().map(|kv| format!(" was {}", text(&kv.value)));
        format!(
            "{kind} {}={}{}",
            text(&event.kv.key),
            text(&event.kv.value),
            prev.unwrap_or_default()
        )
    };
    seen.iter().map(one).collect()
}

#[tokio::test]
async fn events_follow_the_creation() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    stream.create(on("a")).await;
    let created = stream.answer().await;
    assert_eq!((created.created, created.watch_id, revision(&created.header)), (true, 0, 1));
    assert!(created.events.is_empty());
    single.put("a", "1").await;
    single.put("b", "not watched").await;
    single.rpc.kv.delete_range(delete("a")).await.unwrap();
    let seen = stream.events(2).await;
    assert_eq!(told(&seen), ["put a=1", "delete a="]);
    let (made, gone) = (&seen[0].kv, &seen[1].kv);
    assert_eq!((made.create_revision, made.mod_revision, made.version), (2, 2, 1));
    assert_eq!((gone.create_revision, gone.mod_revision, gone.version), (0, 4, 0));
}

#[tokio::test]
async fn the_events_of_a_revision_come_together_in_order() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    stream.create(pb::WatchCreateRequest { range_end: FROM_KEY.into(), ..on("") }).await;
    assert!(stream.answer().await.created);
    let op = |request| pb::RequestOp { request: Some(request) };
    use pb::request_op::Request::RequestPut;
    let puts = ["c", "a", "b"].map(|key| op(RequestPut(put(key, "1"))));
    let request = pb::TxnRequest { success: puts.into(), ..Default::default() };
    single.rpc.kv.txn(request).await.unwrap();
    let answer = stream.answer().await;
    assert_eq!(told(&events(&answer.events)), ["put c=1", "put a=1", "put b=1"]);
    assert_eq!((revision(&answer.header), answer.fragment), (2, false));
}

#[tokio::test]
async fn filters_and_previous_values() {
    let mut single = Single::start().await;
    single.put("a", "1").await;
    let mut stream = Conversation::open(&single).await;
    let filter = |filter: FilterType| vec![i32::from(filter)];
    stream.create(pb::WatchCreateRequest { prev_kv: true, ..on("a") }).await;
    stream.create(pb::WatchCreateRequest { filters: filter(FilterType::Noput), ..on("a") }).await;
    stream
        .create(pb::WatchCreateRequest { filters: filter(FilterType::Nodelete), ..on("a") })
        .await;
    for id in 0..3 {
        assert_eq!(stream.answer().await.watch_id, id);
    }
    single.put("a", "2").await;
    single.rpc.kv.delete_range(delete("a")).await.unwrap();
    single.put("a", "3").await;
    let mut seen = vec![Vec::new(); 3];
    while seen.iter().map(Vec::len).sum::<usize>() < 6 {
        let answer = stream.answer().await;
        seen[answer.watch_id as usize].extend(told(&events(&answer.events)));
    }
    assert_eq!(seen[0], ["put a=2 was 1", "delete a= was 2", "put a=3"]);
    assert_eq!(seen[1], ["delete a="]);
    assert_eq!(seen[2], ["put a=2", "put a=3"]);
}

#[tokio::test]
async fn a_previous_value_is_that_of_before_the_revision() {
    let mut single = Single::start().await;
    single.put("b", "old").await;
    let mut stream = Conversation::open(&single).await;
    let all = pb::WatchCreateRequest { range_end: FROM_KEY.into(), prev_kv: true, ..on("") };
    stream.create(all.clone()).await;
    assert!(stream.answer().await.created);
    // A delete "from the key on" passes the check for duplicate keys.
    let from_a = pb::DeleteRangeRequest { range_end: FROM_KEY.into(), ..delete("a") };
    use pb::request_op::Request::{RequestDeleteRange, RequestPut};
    let steps = [RequestPut(put("b", "1")), RequestPut(put("c", "1")), RequestDeleteRange(from_a)];
    let success = steps.map(|step| pb::RequestOp { request: Some(step) }).into();
    single.rpc.kv.txn(pb::TxnRequest { success, ..Default::default() }).await.unwrap();
    let expected = ["put b=1 was old", "put c=1", "delete b= was old", "delete c="];
    assert_eq!(told(&stream.events(4).await), expected, "as it happens");
    stream.create(pb::WatchCreateRequest { start_revision: 3, ..all }).await;
    assert!(stream.answer().await.created);
    assert_eq!(told(&stream.events(4).await), expected, "from the history");
}

#[tokio::test]
async fn ids_are_given_or_chosen() {
    let single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    let with_id = |watch_id| pb::WatchCreateRequest { watch_id, ..on("a") };
    for (wanted, given) in [(0, 0), (2, 2), (0, 1), (0, 3), (9, 9)] {
        stream.create(with_id(wanted)).await;
        let answer = stream.answer().await;
        assert_eq!((answer.created, answer.canceled, answer.watch_id), (true, false, given));
    }
    stream.create(with_id(9)).await;
    let refused = stream.answer().await;
    assert_eq!((refused.created, refused.canceled, refused.watch_id), (true, true, -1));
    assert_eq!(refused.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    stream.cancel(2).await;
    let canceled = stream.answer().await;
    assert_eq!((canceled.created, canceled.canceled, canceled.watch_id), (false, true, 2));
    assert_eq!((canceled.compact_revision, canceled.cancel_reason.as_str()), (0, ""));
    stream.cancel(777).await;
    stream.create(with_id(2)).await;
    assert_eq!(stream.answer().await.watch_id, 2, "an unknown id is passed over in silence");
}

#[tokio::test]
async fn refused_watches_leave_the_others_alone() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    stream.create(on("a")).await;
    assert_eq!(stream.answer().await.watch_id, 0);
    let cases = [
        (
            pb::WatchCreateRequest { range_end: "a".into(), ..on("b") },
            "mvcc: watcher range is empty",
        ),
        (
            pb::WatchCreateRequest { start_revision: -1, ..on("b") },
            "etcdserver: mvcc: required revision has been compacted",
        ),
    ];
    for (request, reason) in cases {
        stream.create(request).await;
        let refused = stream.answer().await;
        assert_eq!((refused.created, refused.canceled, refused.watch_id), (true, true, -1));
        assert_eq!(refused.cancel_reason, reason);
    }
    single.put("a", "1").await;
    assert_eq!(told(&stream.events(1).await), ["put a=1"]);
}

#[tokio::test]
async fn progress_is_told_when_asked_for() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    stream.create(on("a")).await;
    stream.create(on("b")).await;
    assert!(stream.answer().await.created && stream.answer().await.created);
    single.put("elsewhere", "1").await;
    stream.request_progress().await;
    let progress = stream.answer().await;
    assert_eq!((progress.watch_id, revision(&progress.header)), (-1, 2));
    assert!(progress.events.is_empty() && !progress.created && !progress.canceled);
}

#[tokio::test]
async fn idle_watches_hear_of_progress_by_themselves() {
    let mut single = Single::with(&["--watch-progress-notify-interval=200ms"]).await;
    let mut stream = Conversation::open(&single).await;
    stream.create(on("quiet")).await;
    stream.create(pb::WatchCreateRequest { progress_notify: true, ..on("a") }).await;
    assert!(stream.answer().await.created && stream.answer().await.created);
    single.put("elsewhere", "1").await;
    loop {
        let progress = stream.answer().await;
        assert_eq!(progress.watch_id, 1, "only the one that asked");
        assert!(progress.events.is_empty());
        if revision(&progress.header) == 2 {
            break;
        }
    }
}

#[tokio::test]
async fn a_large_revision_comes_in_fragments() {
    let mut single = Single::start().await;
    let mut stream = Conversation::open(&single).await;
    let all = pb::WatchCreateRequest { range_end: FROM_KEY.into(), ..on("") };
    stream.create(pb::WatchCreateRequest { fragment: true, prev_kv: true, ..all }).await;
    assert!(stream.answer().await.created);
    let value = bytes::Bytes::from(vec![b'x'; 350_000]);
    let op = |key: &'static str| pb::RequestOp {
        request: Some(pb::request_op::Request::RequestPut(pb::PutRequest {
            value: value.clone(),
            ..put(key, "")
        })),
    };
    let txn = pb::TxnRequest { success: ["a", "b", "c", "d"].map(op).into(), ..Default::default() };
    // The second time the previous values come along and double the size.
    for _ in 0..2 {
        single.rpc.kv.txn(txn.clone()).await.unwrap();
    }
    let (mut seen, mut fragments) = (Vec::new(), 0);
    while seen.len() < 8 {
        let answer = stream.answer().await;
        seen.extend(events(&answer.events));
        fragments += usize::from(answer.fragment);
        let is_last = seen.len() % 4 == 0;
        assert!(answer.fragment != is_last, "the last fragment says that it is");
    }
    assert!(fragments > 0, "more than a message may hold came in one");
    let keys: Vec<String> = seen.iter().map(|event| text(&event.kv.key)).collect();
    assert_eq!(keys, ["a", "b", "c", "d", "a", "b", "c", "d"]);
}
