//! Deletes what belongs to a key once the key is gone: a trigger. Who belongs to whom is told by
//! the values: `{"owner": "jobs/7", ...}` under the prefix makes a key a dependent of `jobs/7`.
//!
//! - `field`: the field that names the owner, `owner` unless it is given;
//! - `orphans = keep`: a key whose owner is not there when it is written stays; without it, it is
//!   deleted like any other that lost its owner.
//!
//! It happens soon after the owner's delete, in a transaction of its own, exactly once, and reaches
//! dependents of dependents. Which keys depend on which is kept under `PREFIX.owned/`.
//!
//! ```sh
//! portunus plugin deploy builtin:cascade-delete --trigger jobs/
//! ```

use std::collections::VecDeque;

use portunus_sdk::json::{self, Scalar};
use portunus_sdk::prelude::*;

const OWNED: &str = ".owned/";

#[trigger]
fn cascade_delete(cx: &Context, batch: &Batch) -> Result {
    let family = Family::of(cx);
    if batch.missed().is_some() {
        return family.begin_anew();
    }
    for event in batch {
        if event.key().starts_with(&family.owned) {
            continue;
        }
        let before = event.previous().and_then(|item| family.owner(&item.value));
        let after = event.value().and_then(|value| family.owner(value));
        if let Some(before) = &before
            && after.as_ref() != Some(before)
        {
            cx.delete(family.place(before, event.key()));
        }
        match (event, after) {
            (Event::Put(_), Some(owner)) => family.adopt(&owner, event.key()),
            (Event::Put(_), None) => {}
            (Event::Delete(_), _) => family.end(event.key()),
        }
    }
    Ok(())
}

struct Family<'a> {
    cx: &'a Context,
    /// Where dependents are listed: `<owned><owner>\0<dependent>`.
    owned: Vec<u8>,
    field: String,
    keep_orphans: bool,
}

impl<'a> Family<'a> {
    fn of(cx: &'a Context) -> Self {
        let field = cx.config("field").unwrap_or_else(|| "owner".to_owned());
        let keep_orphans = cx.config::<String>("orphans").is_some_and(|word| word == "keep");
        Self { cx, owned: cx.key(OWNED), field, keep_orphans }
    }

    fn owner(&self, value: &[u8]) -> Option<String> {
        match json::pick(value, &self.field)? {
            Scalar::Text(owner) => Some(owner),
            Scalar::Literal(_) => None,
        }
    }

    fn dependents_of(&self, owner: &[u8]) -> Vec<u8> {
        [&self.owned, owner, b"\0"].concat()
    }

    fn place(&self, owner: &str, dependent: &[u8]) -> Vec<u8> {
        [&self.dependents_of(owner.as_bytes()), dependent].concat()
    }

    /// The events may be behind: what counts is what the store holds now.
    fn adopt(&self, owner: &str, dependent: &[u8]) {
        if self.cx.get(dependent).is_none() {
            return;
        }
        if !self.keep_orphans && self.cx.get(owner).is_none() {
            self.cx.delete(dependent);
            return self.end(dependent);
        }
        let place = self.place(owner, dependent);
        if self.cx.get(&place).is_none() {
            self.cx.put(place, b"");
        }
    }

    /// Deletes everything that depends on a key which is gone, dependents of dependents included.
    fn end(&self, key: &[u8]) {
        // It may have been written again since.
        if self.cx.get(key).is_some() {
            return;
        }
        let mut gone = VecDeque::from([key.to_vec()]);
        while let Some(owner) = gone.pop_front() {
            let list = self.dependents_of(&owner);
            let listed: Vec<Item> = self.cx.prefix(&list).collect();
            for entry in listed {
                let dependent = entry.key[list.len()..].to_vec();
                self.cx.delete(&entry.key);
                if self.cx.delete(&dependent) {
                    gone.push_back(dependent);
                }
            }
        }
    }

    /// After a gap in the events: lists everything once more, and ends what has no owner.
    fn begin_anew(&self) -> Result {
        self.cx.delete_prefix(&self.owned);
        let items: Vec<Item> = self.cx.prefix(self.cx.binding_prefix()).collect();
        for item in items {
            if let Some(owner) = self.owner(&item.value) {
                self.adopt(&owner, &item.key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::cascade_delete;

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("cascade").under("jobs/").config(configuration);
        cluster.deploy(plugin.trigger(cascade_delete));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn owned_by(client: &Client, key: &str, owner: &str) {
        client.put(key, format!(r#"{{"owner": "{owner}"}}"#)).expect("put");
    }

    fn keys(client: &Client) -> Vec<String> {
        client.prefix("jobs/").iter().map(|item| item.key_text().into_owned()).collect()
    }

    #[test]
    fn what_belongs_to_a_key_goes_with_it_down_to_the_last() {
        let (cluster, client) = deployed("");
        client.put("jobs/1", "{}").expect("put");
        client.put("jobs/2", "no JSON").expect("put");
        owned_by(&client, "jobs/1/a", "jobs/1");
        owned_by(&client, "jobs/1/b", "jobs/1");
        owned_by(&client, "jobs/1/b/x", "jobs/1/b");
        owned_by(&client, "jobs/2/a", "jobs/2");
        cluster.settle();
        client.delete("jobs/1").expect("deleted");
        cluster.settle();
        assert_eq!(keys(&client), ["jobs/.owned/jobs/2\0jobs/2/a", "jobs/2", "jobs/2/a"]);
    }

    #[test]
    fn the_end_of_a_lease_is_the_end_of_its_dependents() {
        let (cluster, client) = deployed("");
        let lease = cluster.grant_lease(Duration::from_secs(5));
        client.put_with_lease("jobs/1", "", lease).expect("put");
        owned_by(&client, "jobs/1/a", "jobs/1");
        cluster.settle();
        cluster.advance(Duration::from_secs(6));
        cluster.settle();
        assert!(keys(&client).is_empty(), "{:?}", keys(&client));
    }

    #[test]
    fn a_new_owner_takes_over() {
        let (cluster, client) = deployed("");
        client.put("jobs/1", "").expect("put");
        client.put("jobs/2", "").expect("put");
        owned_by(&client, "jobs/a", "jobs/1");
        owned_by(&client, "jobs/a", "jobs/2");
        cluster.settle();
        client.delete("jobs/1").expect("deleted");
        cluster.settle();
        assert!(client.get("jobs/a").is_some());
        client.delete("jobs/2").expect("deleted");
        cluster.settle();
        assert!(keys(&client).is_empty(), "{:?}", keys(&client));
    }

    #[test]
    fn an_orphan_goes_unless_it_may_stay() {
        let (cluster, client) = deployed("");
        owned_by(&client, "jobs/a", "jobs/none");
        cluster.settle();
        assert!(keys(&client).is_empty());
        let (cluster, client) = deployed("orphans = keep");
        owned_by(&client, "jobs/a", "jobs/none");
        cluster.settle();
        assert!(client.get("jobs/a").is_some());
    }

    #[test]
    fn an_owner_that_came_back_before_the_trigger_saw_keeps_its_own() {
        let (cluster, client) = deployed("");
        client.put("jobs/1", "").expect("put");
        owned_by(&client, "jobs/1/a", "jobs/1");
        cluster.settle();
        client.delete("jobs/1").expect("deleted");
        client.put("jobs/1", "").expect("and back");
        cluster.settle();
        assert!(client.get("jobs/1/a").is_some());
    }

    #[test]
    fn after_a_gap_everything_is_looked_at_once_more() {
        let (cluster, client) = deployed("");
        client.put("jobs/1", "").expect("put");
        owned_by(&client, "jobs/1/a", "jobs/1");
        cluster.settle();
        client.delete("jobs/1").expect("deleted");
        client.put("jobs/2", "").expect("put");
        cluster.compact(cluster.revision());
        cluster.settle();
        assert_eq!(keys(&client), ["jobs/2"]);
    }
}
