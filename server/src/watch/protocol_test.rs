//! The watch protocol as etcd's clients meet it, through the awaited stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::fixture_test::Store;
use super::{
    Change, Committed, Create, Ended, Event, Hub, NO_WATCHER, Options, Response, WatchStream,
};

fn hub_with(options: Options) -> (Arc<Store>, Hub) {
    let store = Store::new(3);
    let history: Arc<Store> = Arc::clone(&store);
    let hub = Hub::new(store.revision(), 0, history, options);
    (store, hub)
}

fn hub() -> (Arc<Store>, Hub) {
    hub_with(Options::standard())
}

fn put(store: &Store, hub: &Hub, key: &'static str, value: &'static str) -> i64 {
    let committed = store.commit(&[(key.into(), Some(value.into()))]).expect("a put changes");
    let revision = committed.revision();
    hub.publish([committed]);
    revision
}

fn on(key: &'static str) -> Create {
    Create { key: key.into(), ..Create::default() }
}

async fn next(stream: &mut WatchStream) -> Response {
    tokio::time::timeout(Duration::from_secs(20), stream.next())
        .await
        .expect("an answer is due")
        .expect("the stream goes on")
}

/// True when the stream has nothing to say: everything it can do is done without waiting, since
/// there is no history to read.
async fn silent(stream: &mut WatchStream) -> bool {
    tokio::select! {
        biased;
        _ = stream.next() => false,
        () = async { for _ in 0..100 { tokio::task::yield_now().await } } => true,
    }
}

#[tokio::test]
async fn ids_are_counted_chosen_or_refused() {
    let (_, hub) = hub();
    let mut stream = hub.open();
    for create in [on("a"), Create { watch_id: 1, ..on("b") }, on("c")] {
        stream.create(create);
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        let response = next(&mut stream).await;
        assert!(response.created && !response.canceled && response.revision == 1);
        ids.push(response.watch_id);
    }
    assert_eq!(ids, [0, 1, 2], "the server steps over a chosen id");
    stream.create(Create { watch_id: 2, ..on("d") });
    let refused = next(&mut stream).await;
    assert!(refused.created && refused.canceled && refused.watch_id == NO_WATCHER);
    assert_eq!(refused.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    stream.cancel(2);
    let canceled = next(&mut stream).await;
    assert!(canceled.canceled && !canceled.created && canceled.watch_id == 2);
    assert!(canceled.cancel_reason.is_empty() && canceled.compact_revision == 0);
    stream.cancel(2);
    assert!(silent(&mut stream).await, "an unknown id is not answered");
    stream.create(Create { watch_id: 2, ..on("d") });
    assert_eq!(next(&mut stream).await.watch_id, 2, "a cancelled id is free");
    assert_eq!(stream.watchers(), 3);
}

#[tokio::test]
async fn ranges_and_starts_that_cannot_be_are_refused() {
    let (_, hub) = hub();
    let mut stream = hub.open();
    let cases = [
        (Create { range_end: "a".into(), ..on("a") }, "mvcc: watcher range is empty"),
        (Create { range_end: "a".into(), ..on("b") }, "mvcc: watcher range is empty"),
        (
            Create { start_revision: -1, ..on("a") },
            "etcdserver: mvcc: required revision has been compacted",
        ),
    ];
    for (create, reason) in cases {
        stream.create(create);
        let refused = next(&mut stream).await;
        assert!(refused.created && refused.canceled && refused.watch_id == NO_WATCHER);
        assert_eq!(refused.cancel_reason, reason);
        assert_eq!(refused.compact_revision, 0);
    }
    stream.refuse("because");
    assert_eq!(next(&mut stream).await.cancel_reason, "because");
    assert_eq!(hub.stats().watchers, 0);
}

#[tokio::test]
async fn an_empty_key_is_the_byte_zero() {
    let (store, hub) = hub();
    let mut stream = hub.open();
    stream.create(on(""));
    stream.create(Create { range_end: Bytes::from_static(&[0]), ..on("") });
    next(&mut stream).await;
    next(&mut stream).await;
    put(&store, &hub, "k", "v");
    assert_eq!(next(&mut stream).await.watch_id, 1, "only the open range has it");
    put(&store, &hub, "\0", "v");
    let both = [next(&mut stream).await.watch_id, next(&mut stream).await.watch_id];
    assert_eq!(both, [0, 1]);
}

#[tokio::test]
async fn a_future_start_is_silent_until_reached() {
    let (store, hub) = hub();
    let mut stream = hub.open();
    stream.create(Create { start_revision: 4, progress_notify: true, ..on("k") });
    next(&mut stream).await;
    stream.request_progress();
    put(&store, &hub, "k", "2");
    assert!(silent(&mut stream).await, "neither events nor progress before the start");
    put(&store, &hub, "k", "3");
    let progress = next(&mut stream).await;
    assert_eq!((progress.watch_id, progress.revision), (NO_WATCHER, 3));
    put(&store, &hub, "k", "4");
    let response = next(&mut stream).await;
    assert_eq!((response.revision, response.events.len()), (4, 1));
}

#[tokio::test]
async fn a_compacted_start_is_created_then_cancelled() {
    let (store, hub) = hub();
    for value in ["2", "3", "4", "5"] {
        put(&store, &hub, "k", value);
    }
    hub.compact(4);
    let mut stream = hub.open();
    stream.create(Create { start_revision: 3, ..on("k") });
    let created = next(&mut stream).await;
    assert!(created.created && !created.canceled);
    let gone = next(&mut stream).await;
    assert!(gone.canceled && !gone.created && gone.watch_id == created.watch_id);
    assert_eq!((gone.compact_revision, &gone.cancel_reason[..]), (4, ""));
    assert_eq!(stream.watchers(), 0);
    stream.create(Create { start_revision: 4, ..on("k") });
    assert!(next(&mut stream).await.created);
    let events = next(&mut stream).await;
    assert_eq!((events.events.len(), events.revision), (2, 5), "the compacted revision is there");
}

#[tokio::test]
async fn a_snapshot_that_does_not_reach_back_cancels() {
    let (store, hub) = hub();
    let mut stream = hub.open();
    stream.create(on("k"));
    stream.create(Create { start_revision: 9, ..on("k") });
    next(&mut stream).await;
    next(&mut stream).await;
    for value in ["2", "3", "4"] {
        store.commit(&[("k".into(), Some(value.into()))]);
    }
    store.compact(4);
    hub.reset(4, 4);
    let gone = next(&mut stream).await;
    assert!(gone.canceled && gone.watch_id == 0 && gone.compact_revision == 4);
    assert!(silent(&mut stream).await, "the watch on the future is not touched");
    assert_eq!(hub.stats().watchers, 1);
}

#[test]
fn an_idle_watcher_hears_of_progress_and_a_busy_one_does_not() {
    let (store, hub) = hub();
    let mut session = hub.session();
    session.create(Create { progress_notify: true, ..on("idle") });
    session.create(Create { progress_notify: true, ..on("busy") });
    session.create(on("silent"));
    put(&store, &hub, "busy", "1");
    let mut turn = || {
        session.tick();
        session.work();
        let answers: Vec<Response> = std::iter::from_fn(|| session.pop()).collect();
        let progress = answers.iter().filter(|one| one.events.is_empty() && !one.created);
        progress.map(|one| (one.watch_id, one.revision)).collect::<Vec<_>>()
    };
    assert_eq!(turn(), [(0, 2)], "events were sent to the busy one");
    assert_eq!(turn(), [(0, 2), (1, 2)]);
}

#[tokio::test]
async fn the_progress_timer_turns_again_and_again() {
    let options = Options { progress_interval: Duration::from_millis(1), ..Options::standard() };
    let (_, hub) = hub_with(options);
    let mut stream = hub.open();
    stream.create(Create { progress_notify: true, ..on("k") });
    assert!(next(&mut stream).await.created);
    for _ in 0..3 {
        assert_eq!(next(&mut stream).await, Response::progress(0, 1));
    }
}

#[tokio::test]
async fn closing_ends_streams_old_and_new() {
    let (_, hub) = hub();
    let mut old = hub.open();
    hub.close("stopping");
    let why = Err(Ended::Closed("stopping".into()));
    assert_eq!(old.next().await, why);
    assert_eq!(hub.open().next().await, why);
}

#[tokio::test]
async fn a_history_that_fails_ends_the_stream() {
    struct Broken;
    impl super::History for Broken {
        fn scan(
            &self,
            from: i64,
            _to: i64,
            _ranges: &[crate::types::KeyRange],
            _bytes_max: usize,
        ) -> Result<super::Chunk, super::HistoryError> {
            Ok(super::Chunk { revisions: Vec::new(), next: from })
        }

        fn before(
            &self,
            _key: &[u8],
            _revision: i64,
        ) -> Result<Option<crate::types::Item>, super::HistoryError> {
            Ok(None)
        }
    }
    let hub = Hub::new(9, 0, Arc::new(Broken), Options::standard());
    let mut stream = hub.open();
    stream.create(Create { start_revision: 3, ..on("k") });
    assert!(next(&mut stream).await.created);
    let why = stream.next().await.expect_err("it cannot go on");
    assert_eq!(why, Ended::History("no progress at revision 3".to_owned()));
}

#[tokio::test]
async fn dropping_a_stream_takes_its_watchers_along() {
    let (store, hub) = hub();
    let mut stream = hub.open();
    stream.create(on("k"));
    stream.create(Create { range_end: "l".into(), ..on("k") });
    assert_eq!((hub.stats().watchers, hub.stats().slow_watchers), (2, 0));
    drop(stream);
    assert_eq!((hub.stats().watchers, hub.stats().streams), (0, 0));
    put(&store, &hub, "k", "v");
    assert_eq!(hub.stats().events, 0, "nobody is there to be sent anything");
}

#[tokio::test]
async fn a_replayed_revision_is_not_sent_again() {
    let (store, hub) = hub();
    let mut stream = hub.open();
    stream.create(on("k"));
    next(&mut stream).await;
    let committed = store.commit(&[("k".into(), Some("v".into()))]).expect("a put");
    hub.publish([Arc::clone(&committed), committed]);
    assert_eq!(next(&mut stream).await.events.len(), 1);
    assert!(silent(&mut stream).await);
}

#[tokio::test]
async fn a_stream_that_does_not_read_keeps_a_bounded_queue_and_loses_nothing() {
    let options = Options { queue_events_max: 10, ..Options::standard() };
    let (store, hub) = hub_with(options);
    let mut stream = hub.open();
    stream.create(on("k"));
    next(&mut stream).await;
    for _ in 0..1000 {
        put(&store, &hub, "k", "v");
    }
    assert_eq!((hub.stats().slow_watchers, hub.stats().events), (1, 10));
    let mut events = 0;
    while events < 1000 {
        events += next(&mut stream).await.events.len();
    }
    assert_eq!(events, 1000);
    assert!(silent(&mut stream).await);
    assert_eq!(hub.stats().slow_watchers, 0);
}

#[tokio::test]
async fn a_delete_comes_with_key_and_revision_and_prev() {
    let (_, hub) = hub();
    let mut stream = hub.open();
    stream.create(Create { prev_kv: true, ..on("k") });
    next(&mut stream).await;
    let event = || Event::new(Change::Delete { key: "k".into() }, None);
    hub.publish([Arc::new(Committed::new(2, vec![event()]))]);
    let response = next(&mut stream).await;
    assert_eq!(response.events[0][..], event().encoded(2, true)[..]);
}
