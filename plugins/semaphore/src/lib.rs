//! A semaphore: a lock that several may hold at once, each with a weight, in order of arrival.
//!
//! - `permits`: what the holders may weigh together, 1 unless it is given.
//!
//! Nobody passes anybody: a heavy request waits until it fits, and the light ones behind it wait
//! too. `builtin:capacity` packs instead. A request that could never fit is refused.
//!
//! ```sh
//! portunus plugin deploy builtin:semaphore --lock-admission jobs/ --config permits=4
//! portunus lock jobs/render -- make frames
//! ```

use portunus_sdk::prelude::*;

#[lock_admission]
fn semaphore(cx: &Context, lock: &Lock) -> Admission {
    let permits = cx.config::<u64>("permits").unwrap_or(1);
    let weight = lock.place().weight;
    if u64::from(weight) > permits {
        return Admission::refuse(format!(
            "{weight} permits are more than the {permits} there are"
        ));
    }
    if lock.is_next() && lock.weight_with_request() <= permits { Admit } else { Wait }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, LockCall, Plugin};

    use super::semaphore;

    fn deployed(permits: u32) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("semaphore").under("jobs/").config(format!("permits = {permits}"));
        cluster.deploy(plugin.lock_admission(semaphore));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn held(calls: &[LockCall]) -> Vec<bool> {
        calls.iter().map(LockCall::is_held).collect()
    }

    #[test]
    fn as_many_hold_it_as_there_are_permits() {
        let (cluster, client) = deployed(2);
        let calls: Vec<LockCall> = (0..4).map(|_| client.lock("jobs/a").acquire()).collect();
        assert_eq!(held(&calls), [true, true, false, false]);
        calls[1].release();
        cluster.settle();
        assert_eq!(held(&calls), [true, false, true, false]);
        calls[0].expire();
        cluster.settle();
        assert_eq!(held(&calls), [false, false, true, true]);
        assert!(calls[2].token().ok() < calls[3].token().ok());
    }

    #[test]
    fn a_heavy_one_is_not_starved_by_light_ones() {
        let (cluster, client) = deployed(3);
        let first = client.lock("jobs/a").acquire();
        let heavy = client.lock("jobs/a").weight(3).acquire();
        let light: Vec<LockCall> = (0..5).map(|_| client.lock("jobs/a").acquire()).collect();
        assert_eq!(held(&light), [false; 5], "nobody passes it");
        first.release();
        cluster.settle();
        assert!(heavy.is_held());
        assert_eq!(held(&light), [false; 5]);
        heavy.release();
        cluster.settle();
        assert_eq!(held(&light), [true, true, true, false, false]);
    }

    #[test]
    fn somebody_who_gives_up_in_line_wakes_one_alone() {
        let (cluster, client) = deployed(1);
        let calls: Vec<LockCall> = (0..5).map(|_| client.lock("jobs/a").acquire()).collect();
        calls[2].release();
        let woken: Vec<bool> = calls.iter().map(LockCall::is_woken).collect();
        assert_eq!(woken, [false, false, false, true, false]);
        cluster.settle();
        assert_eq!(calls[4].runs(), 1);
        client.lock("jobs/b").acquire().release();
        assert!(!calls[1].is_woken(), "another lock is none of its business");
    }

    #[test]
    fn what_never_fits_is_refused_and_what_does_not_fit_now_leaves_no_trace_of_a_try() {
        let (_, client) = deployed(2);
        let refused = client.lock("jobs/a").weight(3).acquire().token().expect_err("too heavy");
        let text = "refused by semaphore: 3 permits are more than the 2 there are";
        assert_eq!(refused.to_string(), text);
        let first = client.lock("jobs/a").acquire();
        assert!(client.lock("jobs/a").weight(2).try_acquire().token().is_err());
        assert!(client.lock("jobs/a").try_acquire().is_held() && first.is_held());
    }
}
