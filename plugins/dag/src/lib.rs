//! A queue whose items leave in the order of their dependencies: an item leaves when the items that
//! its header `after` names are no longer in the queue. They are done then, as an item is in the
//! queue until it is acknowledged; one that became a dead letter still holds up what depends on it.
//!
//! - `header`: the header's name, `after` unless it is given. Its value is the numbers that enqueue
//!   replied, with commas or spaces between them;
//! - `scan`: how many ready items are looked at, 1000 unless it is given.
//!
//! An item whose header does not parse never leaves; the dequeue says so as soon as no other item
//! may leave. Items that wait for each other never leave either.
//!
//! ```sh
//! portunus plugin deploy builtin:dag --queue-condition build/
//! etcdctl put build/app/condition 'plugin dag'
//! portunus queue enqueue build/app compile            # 1
//! portunus queue enqueue build/app link --header after=1
//! ```

use std::collections::BTreeMap;

use portunus_sdk::prelude::*;

#[queue_condition]
fn dag(cx: &Context, queue: &Queue) -> Result<Readiness> {
    let header = cx.config::<String>("header").unwrap_or_else(|| "after".to_owned());
    let scan = cx.config("scan").unwrap_or(1000);
    let mut held = BTreeMap::new();
    let (mut leaving, mut wrong) = (Vec::new(), None);
    for item in queue.items().take(scan) {
        let mut is_free = true;
        for text in item.header(&header).unwrap_or_default().split([',', ' ']) {
            match text.parse() {
                _ if text.is_empty() => {}
                Ok(id) => is_free &= !*held.entry(id).or_insert_with(|| queue.holds(id)),
                Err(_) => {
                    is_free = false;
                    wrong.get_or_insert((item.id, text.to_owned()));
                }
            }
        }
        if is_free {
            leaving.push(item.id);
            if leaving.len() == queue.wanted() {
                break;
            }
        }
    }
    match wrong {
        Some((id, text)) if leaving.is_empty() => {
            refuse(format!("item {id} says {header} = {text}, which is no item's number"))
        }
        _ if leaving.is_empty() => wait(),
        _ => Ok(Readiness::Items(leaving)),
    }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, NewItem, Plugin};

    use super::dag;

    fn deployed() -> (Cluster, Client) {
        let cluster = Cluster::new();
        cluster.deploy(Plugin::new("dag").under("b/").queue_condition(dag));
        let client = cluster.anonymous();
        client.put("b/q/condition", "plugin dag").expect("no policy");
        (cluster, client)
    }

    fn enqueue(client: &Client, text: &str, after: &str) -> u64 {
        client.enqueue("b/q", NewItem::new(text).header("after", after)).expect("no policy")
    }

    fn taken(client: &Client) -> Vec<String> {
        client.dequeue("b/q", 10).texts().expect("served")
    }

    #[test]
    fn a_diamond_leaves_in_topological_order() {
        let (cluster, client) = deployed();
        // The last is put in first, and names numbers that come later.
        let end = enqueue(&client, "end", "3, 4");
        let begin = enqueue(&client, "begin", "");
        let left = enqueue(&client, "left", &begin.to_string());
        let right = enqueue(&client, "right", &format!("{begin} {begin}"));
        assert_eq!((left, right), (3, 4));
        assert_eq!(taken(&client), ["begin"]);
        let next = client.dequeue("b/q", 10);
        assert!(next.is_waiting(), "it is in flight, which is not done");
        client.ack("b/q", begin).expect("no policy");
        cluster.settle();
        assert_eq!(next.texts(), Ok(vec!["left".to_owned(), "right".to_owned()]));
        client.ack("b/q", right).expect("no policy");
        let last = client.dequeue("b/q", 1);
        assert!(last.is_waiting());
        client.ack("b/q", left).expect("no policy");
        cluster.settle();
        assert_eq!(last.items().expect("served")[0].id, end);
    }

    #[test]
    fn an_item_that_comes_back_still_holds_up_the_next() {
        let (cluster, client) = deployed();
        let first = enqueue(&client, "first", "");
        enqueue(&client, "second", &first.to_string());
        client.dequeue("b/q", 1).expire();
        assert_eq!(taken(&client), ["first"]);
        client.ack("b/q", first).expect("no policy");
        cluster.settle();
        assert_eq!(taken(&client), ["second"]);
    }

    #[test]
    fn as_many_leave_as_are_asked_for_and_gone_numbers_hold_up_nobody() {
        let (_, client) = deployed();
        for text in ["a", "b", "c"] {
            enqueue(&client, text, "77");
        }
        assert_eq!(client.dequeue("b/q", 2).texts(), Ok(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn a_header_that_makes_no_sense_is_told_when_nothing_else_is_left() {
        let (_, client) = deployed();
        enqueue(&client, "wrong", "yesterday");
        enqueue(&client, "right", "");
        assert_eq!(taken(&client), ["right"]);
        let refused = client.dequeue("b/q", 1).items().expect_err("refused").to_string();
        let text = "refused by dag: item 1 says after = yesterday, which is no item's number";
        assert_eq!(refused, text);
    }
}
