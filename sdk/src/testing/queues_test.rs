//! Queues: order, claims, and what a condition lets leave.

use super::{Cluster, Dequeue, NewItem, Plugin};
use crate::prelude::*;

/// Items leave while fewer than two are in flight; `only` names the header that they need.
#[queue_condition]
fn two(cx: &Context, queue: &Queue) -> Result<Readiness> {
    if cx.get("shut").is_some() {
        refuse("shut")?;
    }
    let room = 2usize.saturating_sub(queue.in_flight(2).len()).min(queue.wanted());
    if room == 0 {
        return Ok(Readiness::Wait);
    }
    let marked = queue.items().filter(|item| item.header("go") == Some("1")).take(room);
    Ok(Readiness::Items(marked.map(|item| item.id).collect()))
}

fn rubbish(_cx: &Context, _queue: &Queue) -> Readiness {
    Readiness::Items(vec![99])
}

fn cluster(condition: &str) -> Cluster {
    let cluster = Cluster::new();
    cluster.deploy(Plugin::new("two").under("q").may_read("shut").queue_condition(two));
    cluster.deploy(Plugin::new("rubbish").under("q").queue_condition(rubbish));
    cluster.deploy(Plugin::new("elsewhere").under("r").queue_condition(rubbish));
    if !condition.is_empty() {
        cluster.anonymous().put("q/condition", condition).expect("no policy");
    }
    cluster
}

fn texts(dequeue: &Dequeue) -> Vec<String> {
    dequeue.texts().expect("served")
}

#[test]
fn items_leave_by_priority_and_age_and_come_back() {
    let cluster = cluster("");
    let client = cluster.anonymous();
    for (text, priority) in [("a", 0), ("b", 0), ("c", 7)] {
        client.enqueue("q", NewItem::new(text).priority(priority)).expect("no policy");
    }
    let two = client.dequeue("q", 2);
    assert_eq!(texts(&two), ["c", "a"]);
    two.expire();
    let again = client.dequeue("q", 9);
    assert_eq!(texts(&again), ["c", "a", "b"]);
    assert_eq!(again.items().expect("served")[0].attempts, 2);
    assert_eq!(client.nack("q", 1), Ok(true));
    assert_eq!(client.ack("q", 1), Ok(false));
    let waiting = client.dequeue("q", 1);
    assert_eq!(texts(&waiting), ["a"]);
    let empty = client.dequeue("q", 1);
    assert!(empty.is_waiting());
    client.enqueue("q", "d").expect("no policy");
    cluster.settle();
    assert_eq!(texts(&empty), ["d"]);
}

#[test]
fn the_condition_chooses_and_is_asked_again() {
    let cluster = cluster("plugin two");
    let client = cluster.anonymous();
    client.enqueue("q", "first").expect("no policy");
    let waiting = client.dequeue("q", 9);
    assert!(waiting.is_waiting() && !waiting.is_woken());
    for text in ["a", "b", "c"] {
        client.enqueue("q", NewItem::new(text).header("go", 1)).expect("no policy");
    }
    cluster.settle();
    assert_eq!(texts(&waiting), ["a", "b"], "not the first, and two at most");
    let next = client.dequeue("q", 1);
    assert!(next.is_waiting());
    client.ack("q", 2).expect("no policy");
    cluster.settle();
    assert_eq!(texts(&next), ["c"]);
    client.put("shut", "").expect("no policy");
    let refused = client.dequeue("q", 1).items().expect_err("refused").to_string();
    assert_eq!(refused, "refused by two: shut");
}

#[test]
fn an_answer_that_makes_no_sense_is_named() {
    let client = cluster("plugin rubbish").anonymous();
    client.enqueue("q", "a").expect("no policy");
    let failure = client.dequeue("q", 1).items().expect_err("rubbish").to_string();
    assert_eq!(failure, "refused by rubbish: it lets item 99 leave, which is not ready");
    client.put("q/condition", "plugin elsewhere").expect("no policy");
    assert!(client.dequeue("q", 1).items().is_err(), "it does not cover the queue");
}
