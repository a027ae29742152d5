//! A lock that goes to the waiter with the highest priority, and to the first of those with the
//! same one.
//!
//! - `permits`: how many may hold it at once, 1 unless it is given.
//!
//! The priority is in the request's metadata, as `{"priority": 7}`; 0 unless it is given, and it
//! may be negative. Metadata that is no such JSON is refused. Nobody is taken the lock away from,
//! and low priorities wait for as long as higher ones keep coming: that is what this lock is for.
//!
//! ```sh
//! portunus plugin deploy builtin:priority-lock --lock-admission printers/
//! ```

use portunus_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Wish {
    #[serde(default)]
    priority: i64,
}

fn priority(place: &Place) -> Result<i64> {
    Ok(place.metadata_json::<Wish>()?.map_or(0, |wish| wish.priority))
}

#[lock_admission]
fn by_priority(cx: &Context, lock: &Lock) -> Result<Admission> {
    let own = priority(lock.place())?;
    let permits = cx.config("permits").unwrap_or(1);
    if lock.holders().len() >= permits {
        return Ok(Wait);
    }
    // Those that wait were read before, so their metadata is right.
    let of = |waiter: &Place| priority(waiter).unwrap_or(0);
    let waiters = lock.waiters();
    let mut before = waiters.iter().take_while(|waiter| waiter.lease != lock.place().lease);
    let is_first_of_its_kind = before.all(|waiter| of(waiter) < own);
    let is_highest = waiters.iter().all(|waiter| of(waiter) <= own);
    Ok(if is_first_of_its_kind && is_highest { Admit } else { Wait })
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, LockCall, Plugin};

    use super::by_priority;

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("priority-lock").under("p/").config(configuration);
        cluster.deploy(plugin.lock_admission(by_priority));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn ask(client: &Client, priority: i64) -> LockCall {
        client.lock("p/a").metadata(format!(r#"{{"priority": {priority}}}"#)).acquire()
    }

    #[test]
    fn the_highest_priority_is_next_and_within_one_the_first() {
        let (cluster, client) = deployed("");
        let holder = client.lock("p/a").acquire();
        let calls: Vec<LockCall> = [0, 5, 9, 5, -1].map(|priority| ask(&client, priority)).into();
        let mut order = Vec::new();
        let mut held = &holder;
        for _ in 0..calls.len() {
            held.release();
            cluster.settle();
            let next = calls.iter().position(LockCall::is_held).expect("somebody holds it");
            assert_eq!(calls.iter().filter(|call| call.is_held()).count(), 1);
            order.push(next);
            held = &calls[next];
        }
        assert_eq!(order, [2, 1, 3, 0, 4]);
        let tokens: Vec<_> = order.iter().map(|call| calls[*call].token().ok()).collect();
        assert!(tokens.is_sorted(), "tokens grow with the grants: {tokens:?}");
    }

    #[test]
    fn who_comes_while_it_is_free_for_a_higher_one_waits() {
        let (cluster, client) = deployed("permits = 2");
        let holders = [ask(&client, 0), ask(&client, 0)];
        let (low, high) = (ask(&client, 1), ask(&client, 2));
        holders[0].release();
        let newcomer = ask(&client, 1);
        assert!(newcomer.is_waiting(), "the free permit belongs to the highest that waits");
        cluster.settle();
        assert!(high.is_held() && low.is_waiting() && newcomer.is_waiting());
        holders[1].release();
        cluster.settle();
        assert!(low.is_held() && newcomer.is_waiting());
    }

    #[test]
    fn a_waiter_that_leaves_makes_room_for_the_one_below() {
        let (cluster, client) = deployed("");
        let holder = ask(&client, 0);
        let (low, high) = (ask(&client, 1), ask(&client, 2));
        high.expire();
        holder.release();
        cluster.settle();
        assert!(low.is_held());
    }

    #[test]
    fn metadata_that_says_nothing_is_refused() {
        let (_, client) = deployed("");
        let call = client.lock("p/a").metadata("urgent!").acquire();
        let text = call.token().expect_err("refused").to_string();
        let start = "refused by priority-lock: the lock's metadata does not parse";
        assert!(text.starts_with(start), "{text}");
        assert!(client.lock("p/a").acquire().is_held(), "none is priority 0");
    }
}
