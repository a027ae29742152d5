//! A semaphore that packs: a request takes as much of the capacity as it weighs, and a small one
//! may pass a big one that does not fit yet. So that the big one is not starved, the first in line
//! may be passed only so often; then all wait until it has its place.
//!
//! - `capacity`: what the holders may weigh together, 1 unless it is given;
//! - `passes`: how often the first in line may be passed, 8 unless it is given.
//!
//! How often it was passed is kept under `PREFIX.passed/`, on its lease. A request that could never
//! fit is refused.
//!
//! ```sh
//! portunus plugin deploy builtin:capacity --lock-admission gpu/ --config capacity=80
//! ```

use portunus_sdk::prelude::*;

#[lock_admission]
fn capacity(cx: &Context, lock: &Lock) -> Result<Admission> {
    let capacity = cx.config::<u64>("capacity").unwrap_or(1);
    let passes = cx.config::<u64>("passes").unwrap_or(8);
    let weight = u64::from(lock.place().weight);
    if weight > capacity {
        refuse(format!("{weight} is more than the capacity of {capacity}"))?;
    }
    if lock.weight_with_request() > capacity {
        return Ok(Wait);
    }
    let free = capacity - (lock.weight_with_request() - weight);
    let ahead = lock.ahead();
    let Some(first) = ahead.first() else {
        cx.delete(passed_key(cx, lock, lock.place()));
        return Ok(Admit);
    };
    // What came before and fits goes before.
    if ahead.iter().any(|place| u64::from(place.weight) <= free) {
        return Ok(Wait);
    }
    let key = passed_key(cx, lock, first);
    let passed = passed(cx, &key, first) + 1;
    if passed > passes {
        return Ok(Wait);
    }
    cx.put_with_lease(&key, format!("{} {passed}", first.entered), first.lease);
    Ok(Admit)
}

fn passed_key(cx: &Context, lock: &Lock, place: &Place) -> Vec<u8> {
    [&cx.key(".passed/")[..], lock.name(), format!("/{:x}", place.lease).as_bytes()].concat()
}

/// How often it was passed since it entered the line; an earlier stay of its lease does not count.
fn passed(cx: &Context, key: &[u8], place: &Place) -> u64 {
    let Some(item) = cx.get(key) else { return 0 };
    let text = String::from_utf8_lossy(&item.value).into_owned();
    let Some((entered, passed)) = text.split_once(' ') else { return 0 };
    if entered == place.entered.to_string() { passed.parse().unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, LockCall, Plugin};

    use super::capacity;

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("capacity").under("gpu/").config(configuration);
        cluster.deploy(plugin.lock_admission(capacity));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn ask(client: &Client, weight: u32) -> LockCall {
        client.lock("gpu/a").weight(weight).acquire()
    }

    #[test]
    fn a_small_one_passes_a_big_one_that_does_not_fit() {
        let (cluster, client) = deployed("capacity = 10");
        let six = ask(&client, 6);
        let big = ask(&client, 8);
        let small = ask(&client, 4);
        assert!(six.is_held() && big.is_waiting() && small.is_held());
        six.release();
        cluster.settle();
        assert!(big.is_waiting());
        small.release();
        cluster.settle();
        assert!(big.is_held());
        assert!(client.prefix("gpu/.passed/").is_empty(), "its count is gone with its wait");
    }

    #[test]
    fn the_first_in_line_is_passed_so_often_and_no_more() {
        let (cluster, client) = deployed("capacity = 10\npasses = 3");
        let holder = ask(&client, 5);
        let big = ask(&client, 10);
        let mut passed = 0;
        for _ in 0..10 {
            let small = ask(&client, 1);
            passed += usize::from(small.is_held());
            small.release();
            cluster.settle();
        }
        assert_eq!(passed, 3);
        let behind = ask(&client, 1);
        holder.release();
        cluster.settle();
        assert!(big.is_held() && behind.is_waiting());
        big.release();
        cluster.settle();
        assert!(behind.is_held());
    }

    #[test]
    fn the_next_first_in_line_has_a_count_of_its_own() {
        let (cluster, client) = deployed("capacity = 10\npasses = 1");
        let holder = ask(&client, 5);
        let (big, bigger) = (ask(&client, 8), ask(&client, 9));
        assert!(ask(&client, 1).is_held() && ask(&client, 1).is_waiting());
        big.expire();
        cluster.settle();
        assert!(bigger.is_waiting() && holder.is_held());
        assert_eq!(client.prefix("gpu/.passed/").len(), 1, "the waiting one could pass again");
    }

    #[test]
    fn who_fits_and_came_first_goes_first() {
        let (cluster, client) = deployed("capacity = 4");
        let full = ask(&client, 4);
        let line = [ask(&client, 3), ask(&client, 2), ask(&client, 1)];
        full.release();
        let newcomer = ask(&client, 1);
        assert!(newcomer.is_waiting(), "it would take what the first waits for");
        cluster.settle();
        let held: Vec<bool> = line.iter().map(LockCall::is_held).collect();
        assert_eq!(held, [true, false, true], "three and one fill it");
        assert!(newcomer.is_waiting());
    }

    #[test]
    fn what_never_fits_is_refused() {
        let (_, client) = deployed("capacity = 4");
        let refused = ask(&client, 5).token().expect_err("refused").to_string();
        assert_eq!(refused, "refused by capacity: 5 is more than the capacity of 4");
    }
}
