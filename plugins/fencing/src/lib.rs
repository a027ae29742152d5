//! Refuses writes whose fencing token is older than the lock's: a write policy for what a lock
//! protects. A holder that was paused, and whose lock has meanwhile gone to another, can do no harm
//! when it wakes.
//!
//! A token is the create revision of the holder's key under the lock, as etcd's own lock recipes
//! have it, or that of the holder's own key where a plugin admits, or any other number that only
//! grows. The Lock service tells a holder its token. A write names its token by a put of the key
//! `PREFIX.token` in the same transaction, whose value is the number:
//!
//! ```text
//! txn: put app/state "..."; put app/.token "1207"
//! ```
//!
//! That key so holds the newest token that ever wrote, and a write without it, or with an older
//! one, is refused. The setting
//!
//! - `lock`: the lock's name, as given to `etcdctl lock`; what begins so has to be granted for
//!   reading
//!
//! refuses as well whoever has an older token than the present holder, even if that has not
//! written yet, and any token while nobody holds the lock. Of several holders, as a semaphore has
//! them, each may write until a younger one has written.
//!
//! ```sh
//! portunus plugin deploy builtin:fencing --write-policy app/ --config lock=locks/app \
//!     --grant-read locks/app
//! ```

use std::collections::BTreeSet;

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
    let held = holders(cx, lock.trim_end_matches('/'));
    match &held[..] {
        _ if held.contains(&token) => Ok(()),
        [] => refuse(format!("nobody holds {lock}")),
        [held] => refuse(format!("token {token} is not that of the holder of {lock}, {held}")),
        several => refuse(format!("token {token} is not one of the {} holders'", several.len())),
    }
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// The tokens of all that hold a lock. Whom a plugin let in has a key of its own for it; of the
/// others those hold it whose places say so, or, put by clients of etcd, the first that was made.
fn holders(cx: &Context, lock: &str) -> Vec<i64> {
    let admitted = format!("{lock}!holders/");
    let (mut tokens, mut let_in) = (Vec::new(), BTreeSet::new());
    for item in cx.prefix(&admitted) {
        tokens.push(item.create_revision);
        let_in.insert(item.key[admitted.len()..].to_vec());
    }
    let line = format!("{lock}/");
    let places: Vec<Item> = cx.prefix(&line).collect();
    let first = places.iter().map(|place| place.create_revision).min();
    let holds = |place: &&Item| {
        is_granted(&place.value).unwrap_or(Some(place.create_revision) == first)
            && !let_in.contains(&place.key[line.len()..])
    };
    tokens.extend(places.iter().filter(holds).map(|place| place.create_revision));
    tokens
}

/// What a place of the Lock service says of itself; none for a key that a client put.
fn is_granted(value: &[u8]) -> Option<bool> {
    let mut rest = value.strip_prefix(b"\0lock\x01")?;
    // The fields of a `LockRecord`: numbers and bytes.
    while !rest.is_empty() {
        let tag = varint(&mut rest)?;
        let number = varint(&mut rest)?;
        match tag {
            GRANTED => return Some(number != 0),
            _ if tag & 7 == 2 => rest = rest.get(usize::try_from(number).ok()?..)?,
            _ => {}
        }
    }
    Some(false)
}

/// The field `granted`, a number.
const GRANTED: u64 = 4 << 3;

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use portunus_sdk::prelude::*;
    use portunus_sdk::testing::{Client, Cluster, Plugin};

    use super::{fencing, is_granted};

    fn deployed(configuration: &str) -> Client {
        let cluster = Cluster::new();
        deploy(&cluster, configuration)
    }

    fn deploy(cluster: &Cluster, configuration: &str) -> Client {
        let plugin = Plugin::new("fencing").under("app/").may_read("locks/app");
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

    #[lock_admission]
    fn two(_: &Context, lock: &Lock) -> Admission {
        if lock.is_next() && lock.holders().len() < 2 { Admit } else { Wait }
    }

    #[test]
    fn whom_a_plugin_lets_in_writes_with_its_holders_token() {
        let cluster = Cluster::new();
        cluster.deploy(Plugin::new("two").under("locks/").lock_admission(two));
        let client = deploy(&cluster, "lock = locks/app");
        let calls = [(); 3].map(|()| client.lock("locks/app").acquire());
        let [first, second] = [0, 1].map(|n: usize| calls[n].token().expect("let in").to_string());
        assert_eq!(
            write(&client, "7000"),
            Err("refused by fencing: token 7000 is not one of the 2 holders'".to_owned())
        );
        assert_eq!(write(&client, &first), Ok(()));
        assert_eq!(write(&client, &second), Ok(()));
        assert!(write(&client, &first).is_err(), "a younger one has written");
        calls[1].release();
        cluster.settle();
        assert!(write(&client, &second).is_err(), "it holds nothing");
        assert_eq!(write(&client, &calls[2].token().expect("let in").to_string()), Ok(()));
    }

    #[test]
    fn a_place_of_the_service_says_itself_whether_it_holds() {
        let record = |fields: &[u8]| [b"\0lock\x01", fields].concat();
        assert_eq!(is_granted(b""), None);
        assert_eq!(is_granted(b"a client's"), None);
        // Mode 1, weight 300, granted.
        assert_eq!(is_granted(&record(&[0x08, 1, 0x18, 0xac, 0x02, 0x20, 1])), Some(true));
        assert_eq!(is_granted(&record(&[0x08, 1, 0x18, 0xac, 0x02])), Some(false));
        // Metadata is passed over, whatever is in it.
        assert_eq!(is_granted(&record(&[0x32, 2, 0x20, 1])), Some(false));
        assert_eq!(is_granted(&record(&[0x32, 9, 0x20])), None, "cut off");
    }
}
