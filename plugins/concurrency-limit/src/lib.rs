//! A queue of which at most so many items of one group are in flight: a customer with a thousand
//! items does not take every worker, and the items behind them pass.
//!
//! - `limit`: items of one group in flight, 1 unless it is given;
//! - `header`: the header that names the group, `group` unless it is given. Items without it are
//!   not bounded;
//! - `scan`: how many ready items are looked at, 1000 unless it is given.
//!
//! Within a group items leave in the queue's order; with `limit = 1` they are also done in it.
//!
//! ```sh
//! portunus plugin deploy builtin:concurrency-limit --queue-condition mail/ --config limit=2
//! etcdctl put mail/out/condition 'plugin concurrency-limit'
//! portunus queue enqueue mail/out hello --header group=customer-7
//! ```

use std::collections::BTreeMap;

use portunus_sdk::prelude::*;

#[queue_condition]
fn concurrency_limit(cx: &Context, queue: &Queue) -> Readiness {
    let limit = cx.config("limit").unwrap_or(1);
    let header = cx.config::<String>("header").unwrap_or_else(|| "group".to_owned());
    let scan = cx.config("scan").unwrap_or(1000);
    let mut flying: BTreeMap<String, u64> = BTreeMap::new();
    for item in queue.in_flight(u32::MAX) {
        if let Some(group) = item.header(&header) {
            *flying.entry(group.to_owned()).or_default() += 1;
        }
    }
    let mut leaving = Vec::new();
    for item in queue.items().take(scan) {
        let count = item.header(&header).map(|group| flying.entry(group.to_owned()).or_default());
        match count {
            Some(count) if *count >= limit => continue,
            Some(count) => *count += 1,
            None => {}
        }
        leaving.push(item.id);
        if leaving.len() == queue.wanted() {
            break;
        }
    }
    if leaving.is_empty() { Readiness::Wait } else { Readiness::Items(leaving) }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, NewItem, Plugin};

    use super::concurrency_limit;

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("limit").under("m/").config(configuration);
        cluster.deploy(plugin.queue_condition(concurrency_limit));
        let client = cluster.anonymous();
        client.put("m/q/condition", "plugin limit").expect("no policy");
        (cluster, client)
    }

    fn enqueue(client: &Client, text: &str, group: &str) -> u64 {
        client.enqueue("m/q", NewItem::new(text).header("group", group)).expect("no policy")
    }

    fn taken(client: &Client, wanted: u32) -> Vec<String> {
        client.dequeue("m/q", wanted).texts().expect("served")
    }

    #[test]
    fn a_group_at_its_limit_is_passed_by_others() {
        let (_, client) = deployed("limit = 2");
        for text in ["a1", "a2", "a3", "a4"] {
            enqueue(&client, text, "a");
        }
        enqueue(&client, "b1", "b");
        client.enqueue("m/q", "free").expect("no policy");
        assert_eq!(taken(&client, 3), ["a1", "a2", "b1"], "also within one dequeue");
        assert_eq!(taken(&client, 3), ["free"]);
    }

    #[test]
    fn what_is_acknowledged_or_comes_back_makes_room_in_order() {
        let (cluster, client) = deployed("");
        let first = enqueue(&client, "a1", "a");
        enqueue(&client, "a2", "a");
        let taken_first = client.dequeue("m/q", 9);
        assert_eq!(taken_first.texts(), Ok(vec!["a1".to_owned()]));
        let next = client.dequeue("m/q", 9);
        assert!(next.is_waiting());
        taken_first.expire();
        cluster.settle();
        assert_eq!(next.texts(), Ok(vec!["a1".to_owned()]), "the same again, before the second");
        let last = client.dequeue("m/q", 9);
        client.ack("m/q", first).expect("no policy");
        cluster.settle();
        assert_eq!(last.texts(), Ok(vec!["a2".to_owned()]));
    }

    #[test]
    fn the_header_can_have_another_name() {
        let (_, client) = deployed("header = customer");
        for text in ["1", "2"] {
            let item = NewItem::new(text).header("customer", "x").header("group", text);
            client.enqueue("m/q", item).expect("no policy");
        }
        assert_eq!(taken(&client, 9), ["1"]);
        assert!(client.dequeue("m/q", 1).is_waiting());
    }
}
