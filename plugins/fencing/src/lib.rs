//! Refuses writes whose fencing token is older than the lock's: a write policy for what a lock
//! protects. A holder that was paused, and whose lock has meanwhile gone to another, can do no harm
//! when it wakes.
//!
//! A token is the create revision of the holder's key under the lock, as etcd's own lock recipes
//! have it, or any other number that only grows. A write names its token by a put of the key
//! `PREFIX.token` in the same transaction, whose value is the number:
//!
//! ```text
//! txn: put app/state "..."; put app/.token "1207"
//! ```
//!
//! That key so holds the newest token that ever wrote, and a write without it, or with an older
//! one, is refused. The setting
//!
//! - `lock`: the lock's name, as given to `etcdctl lock`, which has to be granted for reading
//!
//! refuses as well whoever has an older token than the present holder, even if that has not
//! written yet, and any token while nobody holds the lock.
//!
//! ```sh
//! portunus plugin deploy builtin:fencing --write-policy app/ --config lock=locks/app \
//!     --grant-read locks/app/
//! ```

use portunus_sdk::prelude::*;

const TOKEN: &str = ".token";

#[write_policy]
fn fencing(cx: &Context, writes: &[Write]) -> Result {
    let key = cx.key(TOKEN);
    let Some(named) = writes.iter().find(|write| write.key() == key) else {
        let key = String::from_utf8_lossy(&key).into_owned();
        return refuse(format!("no token: put {key} in the same transaction"));
    };
    let Some(value) = named.value() else {
        return refuse(format!("{} cannot be deleted", named.key_text()));
    };
    let token =
        number(value).or_refuse(format!("the token in {} is no number", named.key_text()))?;
    let newest = named.previous().and_then(|item| number(&item.value)).unwrap_or(0);
    if token < newest {
        return refuse(format!("token {token} is older than {newest}, which has written"));
    }
    let Some(lock) = cx.config::<String>("lock") else { return Ok(()) };
    match holder(cx, &lock) {
        None => refuse(format!("nobody holds {lock}")),
        Some(held) if token != held => {
            refuse(format!("token {token} is not that of the holder of {lock}, {held}"))
        }
        Some(_) => Ok(()),
    }
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// Of the keys under a lock the first that was made holds it.
fn holder(cx: &Context, lock: &str) -> Option<i64> {
    cx.prefix(format!("{}/", lock.trim_end_matches('/'))).map(|item| item.create_revision).min()
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::fencing;

    fn deployed(configuration: &str) -> Client {
        let cluster = Cluster::new();
        let plugin = Plugin::new("fencing").under("app/").may_read("locks/app/");
        cluster.deploy(plugin.config(configuration).write_policy(fencing));
        cluster.anonymous()
    }

    fn write(client: &Client, token: &str) -> Result<(), String> {
        let txn = client.txn().put("app/state", "x").put("app/.token", token);
        txn.commit().map(drop).map_err(|refused| refused.to_string())
    }

    fn lock(client: &Client, who: &str) -> String {
        client.put(format!("locks/app/{who}"), "").expect("a lock key").to_string()
    }

    #[test]
    fn a_token_once_passed_is_never_accepted_again() {
        let client = deployed("");
        assert_eq!(write(&client, "5"), Ok(()));
        assert_eq!(write(&client, "5"), Ok(()));
        assert_eq!(write(&client, "9"), Ok(()));
        let why = "refused by fencing: token 5 is older than 9, which has written";
        assert_eq!(write(&client, "5"), Err(why.to_owned()));
    }

    #[test]
    fn a_write_without_a_token_is_refused() {
        let client = deployed("");
        for refused in [
            client.put("app/state", "x").map(drop),
            client.delete("app/.token").map(drop),
            client.put("app/.token", "many").map(drop),
        ] {
            // Deleting what is not there writes nothing.
            if let Err(refused) = refused {
                assert!(refused.to_string().contains("token"), "{refused}");
            }
        }
        assert_eq!(client.text("app/state"), None);
        write(&client, "1").expect("with a token");
        let gone = client.delete("app/.token").expect_err("refused").to_string();
        assert_eq!(gone, "refused by fencing: app/.token cannot be deleted");
    }

    #[test]
    fn only_the_holder_writes_from_the_moment_the_lock_is_its_own() {
        let client = deployed("lock = locks/app");
        let nobody = write(&client, "5").expect_err("refused");
        assert_eq!(nobody, "refused by fencing: nobody holds locks/app");
        let first = lock(&client, "a");
        let second = lock(&client, "b");
        assert_eq!(write(&client, &first), Ok(()));
        assert!(write(&client, &second).is_err(), "it waits for the lock");
        client.delete("locks/app/a").expect("released");
        let late = write(&client, &first).expect_err("refused");
        let why = format!("token {first} is not that of the holder of locks/app, {second}");
        assert_eq!(late, format!("refused by fencing: {why}"));
        assert_eq!(write(&client, &second), Ok(()));
    }
}
