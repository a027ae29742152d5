//! Keys that never change once they are written: a write policy.
//!
//! - `deletable = true`: a key may be deleted, and then written once again. Without it nothing
//!   that was written goes away, but with its lease: an expiry cannot be refused.
//!
//! ```sh
//! portunus plugin deploy builtin:write-once --write-policy releases/
//! ```

use portunus_sdk::prelude::*;

#[write_policy]
fn write_once(cx: &Context, writes: &[Write]) -> Result {
    let deletable = cx.config("deletable").unwrap_or(false);
    for write in writes {
        match (write, write.previous()) {
            (Write::Put(_), Some(previous)) => refuse(format!(
                "{} is written once, and was at revision {}",
                write.key_text(),
                previous.create_revision
            ))?,
            (Write::Delete(_), Some(_)) if !deletable => {
                refuse(format!("{} is written once, and stays", write.key_text()))?;
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::write_once;

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("write-once").under("rel/").config(configuration);
        cluster.deploy(plugin.write_policy(write_once));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, portunus_sdk::testing::Failure>) -> String {
        result.expect_err("refused").to_string()
    }

    #[test]
    fn a_key_is_written_once_and_stays() {
        let (_, client) = deployed("");
        client.put("rel/1", "a").expect("the first time");
        client.put("other", "a").expect("elsewhere");
        client.put("other", "b").expect("elsewhere");
        let why = "refused by write-once: rel/1 is written once, and was at revision 2";
        assert_eq!(refusal(client.put("rel/1", "b")), why);
        let why = "refused by write-once: rel/1 is written once, and stays";
        assert_eq!(refusal(client.delete("rel/1")), why);
        assert_eq!(refusal(client.delete_prefix("rel/")), why);
        assert_eq!(client.text("rel/1").as_deref(), Some("a"));
    }

    #[test]
    fn a_refusal_takes_the_whole_transaction_with_it() {
        let (_, client) = deployed("");
        client.put("rel/1", "a").expect("the first time");
        let both = client.txn().put("rel/2", "x").put("rel/1", "y").commit();
        assert!(both.is_err(), "{both:?}");
        assert_eq!(client.text("rel/2"), None);
    }

    #[test]
    fn a_deletable_key_may_be_written_again_when_it_is_gone() {
        let (_, client) = deployed("deletable = true");
        client.put("rel/1", "a").expect("the first time");
        assert!(client.put("rel/1", "b").is_err());
        assert_eq!(client.delete("rel/1"), Ok(1));
        assert!(client.put("rel/1", "b").is_ok());
    }

    #[test]
    fn a_lease_takes_its_keys_along_all_the_same() {
        let (cluster, client) = deployed("");
        let lease = cluster.grant_lease(Duration::from_secs(5));
        client.put_with_lease("rel/1", "a", lease).expect("the first time");
        cluster.advance(Duration::from_secs(6));
        assert_eq!(client.text("rel/1"), None);
    }
}
