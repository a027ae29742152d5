//! Bounds what is stored under a prefix, at the cost of one key read and written for each
//! transaction, however many keys there are: a write policy that keeps a count, and a trigger that
//! counts out what leases take away, which no policy is asked about.
//!
//! - `max-keys`, `max-bytes`: keys and values together; either may be left out.
//!
//! The count is the key `PREFIX.quota`, as `{"keys": 2, "bytes": 11}`, and is not counted itself.
//! It begins with the first write after the deploy: deploy it on an empty prefix. Nobody else may
//! write it. Deleting is always allowed.
//!
//! ```sh
//! portunus plugin deploy builtin:quota --write-policy tenant-a/ --trigger tenant-a/ \
//!     --config max-keys=1000 --config max-bytes=1048576
//! ```

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

/// What is stored.
#[derive(Serialize, Deserialize, Default, Clone, Copy, Debug, PartialEq)]
struct Usage {
    keys: i64,
    bytes: i64,
}

const COUNT: &str = ".quota";

#[write_policy]
fn quota(cx: &Context, writes: &[Write]) -> Result {
    let count = cx.key(COUNT);
    // What this plugin writes itself is not shown to it.
    if let Some(write) = writes.iter().find(|write| write.key() == count) {
        refuse(format!("{} is kept by {}", write.key_text(), cx.name()))?;
    }
    let before: Usage = cx.get_json(&count)?.unwrap_or_default();
    let mut after = before;
    for write in writes {
        match write {
            Write::Put(put) => {
                after.add(&put.key, &put.value);
                if let Some(previous) = &put.previous {
                    after.remove(previous);
                }
            }
            // Deletes of keys on a lease are left to the trigger, which cannot tell them from the
            // lease's end.
            Write::Delete(delete) if delete.previous.lease == 0 => after.remove(&delete.previous),
            Write::Delete(_) => {}
        }
    }
    let max = |name| cx.config::<i64>(name).unwrap_or(i64::MAX);
    for (name, was, now) in
        [("max-keys", before.keys, after.keys), ("max-bytes", before.bytes, after.bytes)]
    {
        let max = max(name);
        if now > max && now > was {
            refuse(format!("{name} is {max}, and there would be {now}"))?;
        }
    }
    if after != before {
        cx.put_json(count, &after)?;
    }
    Ok(())
}

/// Counts out keys that were on a lease when they went.
#[trigger]
fn ended(cx: &Context, batch: &Batch) -> Result {
    if batch.missed().is_some() {
        return recount(cx);
    }
    let mut gone = Usage::default();
    for event in batch {
        if let (Event::Delete(_), Some(previous)) = (event, event.previous())
            && previous.lease != 0
        {
            gone.keys += 1;
            gone.bytes += size(&previous.key, &previous.value);
        }
    }
    if gone == Usage::default() {
        return Ok(());
    }
    let count = cx.key(COUNT);
    let mut usage: Usage = cx.get_json(&count)?.unwrap_or_default();
    usage.keys -= gone.keys;
    usage.bytes -= gone.bytes;
    cx.put_json(count, &usage)
}

/// After a gap in the events only the store itself knows.
fn recount(cx: &Context) -> Result {
    let count = cx.key(COUNT);
    let mut usage = Usage::default();
    for item in cx.prefix(cx.binding_prefix()) {
        if item.key != count {
            usage.add(&item.key, &item.value);
        }
    }
    cx.put_json(count, &usage)
}

impl Usage {
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.keys += 1;
        self.bytes += size(key, value);
    }

    fn remove(&mut self, item: &Item) {
        self.keys -= 1;
        self.bytes -= size(&item.key, &item.value);
    }
}

fn size(key: &[u8], value: &[u8]) -> i64 {
    (key.len() + value.len()) as i64
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Client, Cluster, Failure, Plugin};

    use super::{ended, quota};

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("quota").under("t/").config(configuration);
        cluster.deploy(plugin.write_policy(quota).trigger(ended));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn count(client: &Client) -> String {
        client.text("t/.quota").unwrap_or_default()
    }

    fn why<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        result.expect_err("refused").to_string()
    }

    #[test]
    fn keys_and_bytes_are_counted_as_they_come_and_go() {
        let (_, client) = deployed("");
        client.put("t/a", "12345").expect("new");
        client.put("t/a", "1").expect("smaller");
        client.put("elsewhere", "1").expect("not counted");
        client.txn().put("t/b", "").put("t/c", "").commit().expect("two at once");
        assert_eq!(count(&client), r#"{"keys":3,"bytes":10}"#);
        client.delete("t/a").expect("one less");
        client.delete("t/none").expect("nothing");
        assert_eq!(count(&client), r#"{"keys":2,"bytes":6}"#);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_what_makes_room_is_not() {
        let (_, client) = deployed("max-keys = 2\nmax-bytes = 10");
        client.put("t/a", "1").expect("fits");
        client.put("t/b", "1").expect("fits");
        let full = why(client.put("t/c", ""));
        assert_eq!(full, "refused by quota: max-keys is 2, and there would be 3");
        let large = why(client.put("t/a", "1234567"));
        assert_eq!(large, "refused by quota: max-bytes is 10, and there would be 14");
        let swap = client.txn().delete("t/a").put("t/c", "").commit();
        assert!(swap.is_ok(), "{swap:?}");
    }

    #[test]
    fn a_lower_bound_lets_the_rest_shrink() {
        let (cluster, client) = deployed("");
        for key in ["t/a", "t/b", "t/c"] {
            client.put(key, "12").expect("no bound yet");
        }
        let bounded = Plugin::new("quota").under("t/").config("max-keys = 1");
        cluster.deploy(bounded.write_policy(quota).trigger(ended));
        assert_eq!(client.delete("t/a"), Ok(1));
        assert!(client.put("t/b", "1").is_ok(), "no key more than before");
        assert!(client.put("t/d", "").is_err());
    }

    #[test]
    fn what_a_lease_takes_away_is_counted_out_once() {
        let (cluster, client) = deployed("max-keys = 2");
        let lease = cluster.grant_lease(Duration::from_secs(5));
        client.put_with_lease("t/a", "1", lease).expect("fits");
        client.put_with_lease("t/b", "1", lease).expect("fits");
        client.delete("t/a").expect("by hand, on a lease all the same");
        cluster.advance(Duration::from_secs(6));
        cluster.settle();
        assert_eq!(count(&client), r#"{"keys":0,"bytes":0}"#);
        client.put("t/c", "").expect("there is room again");
    }

    #[test]
    fn the_count_is_nobody_elses() {
        let (_, client) = deployed("");
        let refused = why(client.put("t/.quota", "{}"));
        assert_eq!(refused, "refused by quota: t/.quota is kept by quota");
    }
}
