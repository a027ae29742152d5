//! While a key exists, locks under the prefix are refused and nothing leaves the queues that name
//! the plugin. Who holds a lock keeps it, and what is in flight can be acknowledged: the key closes
//! the door, and the house empties.
//!
//! - `key`: the key, `maintenance` unless it is given; the binding has to be granted to read it;
//! - `locks = wait`: requests for locks wait for the end instead of being refused.
//!
//! The key's value is the reason as text, or `{"reason": "upgrade", "until": MILLISECONDS}` with a
//! moment since 1970 in UTC at which the window ends by itself. Otherwise deleting the key ends it.
//! Outside the window locks follow their own rules, as without a plugin, and queues are open.
//!
//! ```sh
//! portunus plugin deploy builtin:maintenance-window --lock-admission jobs/ \
//!     --queue-condition work/ --config key=ops/maintenance --grant-read ops/
//! etcdctl put work/mail/condition 'plugin maintenance-window'
//! etcdctl put ops/maintenance 'moving house'
//! ```

use portunus_sdk::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Window {
    #[serde(default)]
    reason: String,
    until: Option<Time>,
}

/// The window that is open now.
fn window(cx: &Context) -> Result<Option<Window>> {
    let key = cx.config::<String>("key").unwrap_or_else(|| "maintenance".to_owned());
    let Some(item) = cx.get(key) else { return Ok(None) };
    let window = match item.value.trim_ascii_start().first() {
        Some(b'{') => item.json::<Window>()?,
        _ => Window { reason: String::from_utf8_lossy(&item.value).into_owned(), until: None },
    };
    let is_over = window.until.is_some_and(|until| until <= cx.now());
    Ok((!is_over).then_some(window))
}

#[lock_admission]
fn locks(cx: &Context, lock: &Lock) -> Result<Admission> {
    let Some(Window { reason, until }) = window(cx)? else { return Ok(lock.native()) };
    if cx.config::<String>("locks").as_deref() == Some("wait") {
        return until.map_or_else(wait, wait_until);
    }
    let reason = if reason.is_empty() { "no reason given" } else { &reason };
    refuse(format!("maintenance: {reason}"))
}

#[queue_condition]
fn queues(cx: &Context, _queue: &Queue) -> Result {
    match window(cx)? {
        None => Ok(()),
        Some(Window { until, .. }) => until.map_or_else(wait, wait_until),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::{locks, queues};

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("window").config(configuration).may_read("ops/");
        cluster.deploy(
            plugin.under("jobs/").lock_admission(locks).under("work/").queue_condition(queues),
        );
        let client = cluster.anonymous();
        client.put("work/q/condition", "plugin window").expect("no policy");
        client.enqueue("work/q", "item").expect("no policy");
        (cluster, client)
    }

    const KEY: &str = "key = ops/m";

    #[test]
    fn locks_are_refused_and_those_who_hold_keep_them() {
        let (_, client) = deployed(KEY);
        let before = client.lock("jobs/a").acquire();
        let waiting = client.lock("jobs/a").acquire();
        assert!(before.is_held() && waiting.is_waiting(), "the lock's own rules");
        client.put("ops/m", "moving house").expect("no policy");
        assert!(before.is_held() && waiting.is_woken());
        waiting.run();
        let refused = waiting.token().expect_err("refused").to_string();
        assert_eq!(refused, "refused by window: maintenance: moving house");
        assert!(client.lock("jobs/b").shared().acquire().token().is_err());
        client.delete("ops/m").expect("no policy");
        assert!(client.lock("jobs/b").acquire().is_held());
    }

    #[test]
    fn locks_may_wait_for_the_end() {
        let (cluster, client) = deployed("key = ops/m\nlocks = wait");
        client.put("ops/m", "").expect("no policy");
        let waiting = [client.lock("jobs/a").acquire(), client.lock("jobs/a").acquire()];
        client.put("ops/other", "").expect("no policy");
        assert!(!waiting[0].is_woken());
        client.delete("ops/m").expect("no policy");
        cluster.settle();
        assert!(waiting[0].is_held() && waiting[1].is_waiting());
    }

    #[test]
    fn a_queue_is_held_and_goes_on() {
        let (cluster, client) = deployed(KEY);
        client.put("ops/m", "moving house").expect("no policy");
        let dequeue = client.dequeue("work/q", 1);
        assert!(dequeue.is_waiting());
        client.put("ops/other", "").expect("no policy");
        assert!(!dequeue.is_woken());
        client.delete("ops/m").expect("no policy");
        cluster.settle();
        assert_eq!(dequeue.texts(), Ok(vec!["item".to_owned()]));
    }

    #[test]
    fn a_window_with_an_end_ends_by_itself() {
        let (cluster, client) = deployed(KEY);
        let end = cluster.now() + Duration::from_secs(9);
        let value = format!(r#"{{"reason": "upgrade", "until": {}}}"#, end.as_millis());
        client.put("ops/m", value).expect("no policy");
        let dequeue = client.dequeue("work/q", 1);
        assert_eq!(dequeue.waits_until(), Some(end));
        let refused = client.lock("jobs/a").acquire().token().expect_err("refused").to_string();
        assert_eq!(refused, "refused by window: maintenance: upgrade");
        cluster.advance(Duration::from_secs(9));
        cluster.settle();
        assert!(dequeue.items().is_ok() && client.lock("jobs/a").acquire().is_held());
    }

    #[test]
    fn a_value_that_is_half_an_object_opens_nothing() {
        let (_, client) = deployed(KEY);
        client.put("ops/m", "{\"until\": soon}").expect("no policy");
        assert!(client.lock("jobs/a").acquire().token().is_err());
        assert!(client.dequeue("work/q", 1).items().is_err());
    }
}
