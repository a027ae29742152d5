//! Counters and ids: recipes. Each counter is a key under the prefix that holds a number.
//!
//! - `add {"name": "visits", "by": 1}` adds, which may be negative, and replies the new total;
//! - `get {"name": "visits"}` replies the total, 0 for a counter that was never added to;
//! - `block {"name": "orders", "size": 100}` hands out that many ids nobody else gets, and replies
//!   `{"first": 1, "last": 100}`. Settings bound what a counter may reach: `min` and `max`.
//!
//! ```sh
//! portunus plugin deploy builtin:counter --recipe count/
//! portunus recipe call counter add '{"name": "visits", "by": 1}'
//! ```

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(add, get, block);

/// What `add` takes.
#[derive(Serialize, Deserialize)]
struct Add {
    name: String,
    by: i64,
}

/// What `get` takes.
#[derive(Serialize, Deserialize)]
struct Get {
    name: String,
}

/// What `block` takes.
#[derive(Serialize, Deserialize)]
struct Block {
    name: String,
    size: u32,
}

/// Ids, both ends included.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Ids {
    first: i64,
    last: i64,
}

#[recipe]
fn add(cx: &Context, args: Add) -> Result<i64> {
    let (key, before) = read(cx, &args.name)?;
    step(cx, &key, before, args.by)
}

#[recipe]
fn get(cx: &Context, args: Get) -> Result<i64> {
    Ok(read(cx, &args.name)?.1)
}

#[recipe]
fn block(cx: &Context, args: Block) -> Result<Ids> {
    if args.size == 0 {
        return invalid("size is 0: ask for one id at least");
    }
    let (key, before) = read(cx, &args.name)?;
    let last = step(cx, &key, before, i64::from(args.size))?;
    Ok(Ids { first: before + 1, last })
}

fn read(cx: &Context, name: &str) -> Result<(Vec<u8>, i64)> {
    if name.is_empty() {
        return invalid("name is empty: a counter needs one");
    }
    let key = cx.key(name);
    let total = cx.get_json(&key)?.unwrap_or(0);
    Ok((key, total))
}

fn step(cx: &Context, key: &[u8], before: i64, by: i64) -> Result<i64> {
    let total = before.checked_add(by).or_refuse("the counter is at its end")?;
    let (min, max) = (cx.config("min").unwrap_or(i64::MIN), cx.config("max").unwrap_or(i64::MAX));
    if total < min || total > max {
        return refuse(format!("it would be {total}, and stays from {min} to {max}"));
    }
    cx.put_json(key, &total)?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Call, Client, Cluster, Plugin};

    use super::{Add, Block, Get, Ids, RECIPES};

    fn deployed(configuration: &str) -> Client {
        let cluster = Cluster::new();
        let plugin = Plugin::new("counter").under("count/").config(configuration);
        cluster.deploy(plugin.recipes(RECIPES));
        cluster.anonymous()
    }

    fn add(client: &Client, by: i64) -> Call {
        client.call("counter", "add", &Add { name: "a".into(), by })
    }

    #[test]
    fn a_total_is_a_key_that_anybody_can_read() {
        let client = deployed("");
        assert_eq!(add(&client, 5).reply(), Ok(5));
        assert_eq!(add(&client, -2).reply(), Ok(3));
        assert_eq!(client.call("counter", "get", &Get { name: "a".into() }).reply(), Ok(3));
        assert_eq!(client.call("counter", "get", &Get { name: "b".into() }).reply(), Ok(0));
        assert_eq!(client.text("count/a").as_deref(), Some("3"));
    }

    #[test]
    fn blocks_follow_each_other_without_a_gap() {
        let client = deployed("");
        let block = |size| client.call("counter", "block", &Block { name: "ids".into(), size });
        assert_eq!(block(100).reply(), Ok(Ids { first: 1, last: 100 }));
        assert_eq!(block(1).reply(), Ok(Ids { first: 101, last: 101 }));
        let none = block(0).reply::<Ids>().expect_err("refused").to_string();
        assert!(none.contains("size is 0"), "{none}");
    }

    #[test]
    fn a_total_stays_within_its_bounds_and_what_a_number_can_be() {
        let client = deployed("min = 0\nmax = 10");
        assert_eq!(add(&client, 10).reply(), Ok(10));
        for by in [1, -11, i64::MAX] {
            assert!(add(&client, by).reply::<i64>().is_err(), "{by}");
        }
        assert_eq!(add(&client, -10).reply(), Ok(0));
    }

    #[test]
    fn what_is_no_number_is_told() {
        let client = deployed("");
        client.put("count/a", "many").expect("a plain key");
        let why = add(&client, 1).reply::<i64>().expect_err("refused").to_string();
        assert!(why.contains("the value of count/a does not parse"), "{why}");
        let why = client.call_bytes("counter", "add", b"{").reply::<i64>().expect_err("refused");
        assert!(why.to_string().contains("EOF"), "{why}");
    }
}
