//! A group whose feeds are the test: what they bring is told by hand.

use std::sync::Arc;

use bytes::Bytes;
use portunus_proto::etcdserverpb::{ResponseHeader, WatchCreateRequest};
use tokio::sync::mpsc;

use super::*;
use crate::clock::Clock;
use crate::proxy::connection::KeepAlive;
use crate::proxy::endpoint::Dialing;
use crate::proxy::forward::Forwarder;
use crate::proxy::source::Source;
use crate::proxy::upstream::Upstream;
use crate::proxy::watch::mailbox::Mailbox;
use crate::proxy::watch::news::Refusal;
use crate::proxy::watch::share::Bearer;
use crate::tls::{ClientOptions, Dialer};

struct Bench {
    group: Group,
    mailbox: Arc<Mailbox>,
    _news: mpsc::Receiver<(Number, News)>,
}

fn header(revision: i64) -> ResponseHeader {
    ResponseHeader { revision, ..Default::default() }
}

fn events(revisions: &[i64]) -> News {
    let events = revisions.iter().map(|revision| (*revision, Bytes::from_static(b"e"))).collect();
    let last = revisions[revisions.len() - 1];
    News::Events { batch: Arc::new(Batch::new(header(last), events)), next: last + 1 }
}

impl Bench {
    /// Before a member that nobody can reach, so that nothing comes but what the test says.
    async fn new() -> Self {
        let keep_alive =
            KeepAlive { interval: None, timeout: Duration::from_secs(1), while_idle: false };
        let dialer = Dialer::new(ClientOptions::default());
        let dialing = Dialing { dialer, keep_alive, clock: Clock::manual() };
        let source = Source::Fixed(vec!["unix://absent.sock".to_owned()]);
        let upstream = Upstream::new(source, dialing).await.expect("an endpoint");
        let board = Board::new(Forwarder::new(upstream, None, None), None);
        let asked = WatchCreateRequest { key: "k".into(), ..Default::default() };
        let share = Share::new(&asked, &Bearer::default());
        let (sender, news) = mpsc::channel(NEWS_AHEAD);
        let group = Group { board, share, sender, lines: Vec::new(), numbers: 0 };
        Self { group, mailbox: Mailbox::new(), _news: news }
    }

    fn join(&mut self, seat: Seat, from: i64) {
        let mailbox = self.mailbox.clone();
        let (created, progress_notify) = (false, false);
        self.group.join(Member { seat, mailbox, from, created, progress_notify });
    }

    fn begin(&mut self, number: Number, revision: i64, next: i64) {
        self.group.hear(number, News::Begun { header: header(revision), next, attempt: 1 });
    }

    fn mark(&mut self, number: Number, revision: i64) {
        self.group.hear(number, News::Mark { header: header(revision), next: revision + 1 });
    }

    fn feeds(&self) -> Vec<Number> {
        self.group.lines.iter().map(|line| line.number).collect()
    }

    /// What has been told, in short.
    async fn told(&mut self) -> Vec<String> {
        self.mailbox.put(Letter::Ended(tonic::Status::ok("")));
        let mut told = Vec::new();
        loop {
            told.push(match self.mailbox.next().await {
                Letter::Created { seat, header } => {
                    format!("{seat} created at {}", header.revision)
                }
                Letter::Events { seat, batch, from } => {
                    let seen = batch.events.iter().map(|(revision, _)| *revision);
                    let seen: Vec<_> = seen.filter(|revision| *revision >= from).collect();
                    format!("{seat} sees {seen:?}")
                }
                Letter::Reached { seat, header } => format!("{seat} is at {}", header.revision),
                Letter::Refused { seat, .. } => format!("{seat} refused"),
                Letter::Lagging { seat, from } => format!("{seat} lags from {from}"),
                Letter::Progress { seat, .. } => format!("{seat} progress"),
                Letter::Ended(_) => return told,
            });
        }
    }
}

#[tokio::test]
async fn who_comes_later_begins_where_the_feed_is_then() {
    let mut bench = Bench::new().await;
    bench.join(1, 0);
    bench.join(2, 0);
    bench.begin(1, 10, 11);
    // The question of 2 left with the beginning; 3 must not be given its answer.
    bench.join(3, 0);
    bench.group.hear(1, events(&[11]));
    bench.mark(1, 12);
    assert_eq!(bench.told().await, ["1 created at 10", "1 sees [11]", "2 created at 12"]);
    bench.group.hear(1, events(&[13]));
    bench.mark(1, 13);
    bench.group.hear(1, events(&[14]));
    let expected = [
        "1 sees [13]",
        "2 sees [13]",
        "3 created at 13",
        "1 sees [14]",
        "2 sees [14]",
        "3 sees [14]",
    ];
    assert_eq!(bench.told().await, expected);
    assert_eq!(bench.feeds(), [1], "all share one");
}

#[tokio::test]
async fn a_question_that_was_lost_with_its_connection_is_asked_again() {
    let mut bench = Bench::new().await;
    bench.join(1, 0);
    bench.begin(1, 10, 11);
    bench.join(2, 0);
    bench.group.report(1);
    bench.group.hear(1, News::Begun { header: header(9), next: 11, attempt: 2 });
    bench.join(3, 0);
    bench.mark(1, 11);
    let mut told = bench.told().await;
    told.sort();
    assert_eq!(told, ["1 created at 10", "1 is at 11", "2 created at 11"], "3 waits for the next");
}

#[tokio::test]
async fn a_feed_from_the_past_joins_the_other_when_it_has_caught_up() {
    let mut bench = Bench::new().await;
    bench.join(1, 0);
    bench.begin(1, 10, 11);
    bench.join(2, 5);
    assert_eq!(bench.feeds(), [1, 2]);
    bench.begin(2, 10, 5);
    bench.group.hear(2, events(&[5, 9]));
    bench.group.hear(1, events(&[11]));
    assert_eq!(bench.feeds(), [1, 2], "it may still be reading what was before");
    bench.group.hear(2, events(&[11]));
    bench.mark(2, 12);
    assert_eq!(bench.feeds(), [1], "it is ahead, and waits for the other from now on");
    bench.group.hear(1, events(&[13]));
    let expected = [
        "1 created at 10",
        "2 created at 10",
        "2 sees [5, 9]",
        "1 sees [11]",
        "2 sees [11]",
        "1 sees [13]",
        "2 sees [13]",
    ];
    assert_eq!(bench.told().await, expected);
    // One that begins where the feed is needs none of its own; nor does one in the future.
    bench.join(3, 14);
    bench.join(4, 20);
    assert_eq!(bench.feeds(), [1]);
    bench.group.hear(1, events(&[14, 20]));
    let expected = [
        "3 created at 13",
        "4 created at 13",
        "1 sees [14, 20]",
        "2 sees [14, 20]",
        "3 sees [14, 20]",
        "4 sees [20]",
    ];
    assert_eq!(bench.told().await, expected);
}

#[tokio::test]
async fn a_refusal_is_for_those_who_asked_for_what_was_refused() {
    let mut bench = Bench::new().await;
    bench.join(1, 0);
    bench.begin(1, 10, 11);
    bench.join(2, 0);
    let refusal = Refusal { header: header(0), compact_revision: 30, ..Refusal::default() };
    bench.group.hear(1, News::Refused(refusal));
    assert_eq!(bench.told().await, ["1 created at 10", "1 refused"]);
    assert_eq!(bench.feeds(), [2], "who wanted what comes from now on has a feed");
    bench.begin(2, 40, 41);
    assert_eq!(bench.told().await, ["2 created at 40"]);
    bench.group.leave(2);
    assert_eq!(bench.feeds(), [0; 0]);
}
