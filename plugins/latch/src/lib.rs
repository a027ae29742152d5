//! Countdown latches: recipes. A latch opens for good once so many different things are done.
//!
//! - `create {"name": "load", "count": 3}` makes one, and refuses if there is one;
//! - `down {"name": "load", "id": "part-1"}` says that a thing is done, once however often it is
//!   said, and replies how many are left;
//! - `pass {"name": "load"}` replies when none is left. It reads one key only, which is put with
//!   the last `down`, so those who wait are woken once and not by every step;
//! - `show {"name": "load"}` replies how it stands, `remove {"name": "load"}` takes it away.
//!
//! ```sh
//! portunus plugin deploy builtin:latch --recipe latch/
//! portunus recipe call latch pass '{"name": "load"}'
//! ```

use std::collections::BTreeSet;

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(create, down, pass, show, remove);

/// What the recipes take, each its own part of it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Args {
    name: String,
    count: usize,
    id: String,
}

/// A latch as it is kept and shown.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Latch {
    count: usize,
    done: BTreeSet<String>,
}

#[recipe]
fn create(cx: &Context, args: Args) -> Result {
    if args.name.is_empty() || args.count == 0 {
        return invalid("a latch needs a name, and a count above 0");
    }
    let key = state(cx, &args.name);
    if cx.get(&key).is_some() {
        return refuse(format!("there is a latch {} already", args.name));
    }
    cx.put_json(key, &Latch { count: args.count, done: BTreeSet::new() })
}

#[recipe]
fn down(cx: &Context, args: Args) -> Result<usize> {
    let mut latch = read(cx, &args.name)?;
    if latch.done.len() == latch.count {
        return Ok(0);
    }
    if latch.done.insert(args.id) {
        cx.put_json(state(cx, &args.name), &latch)?;
    }
    let left = latch.count - latch.done.len();
    if left == 0 {
        cx.put(opened(cx, &args.name), "");
    }
    Ok(left)
}

/// Waits for a latch that nobody made yet as well.
#[recipe]
fn pass(cx: &Context, args: Args) -> Result {
    cx.get(opened(cx, &args.name)).map(drop).or_wait()
}

#[recipe]
fn show(cx: &Context, args: Args) -> Result<Latch> {
    read(cx, &args.name)
}

#[recipe]
fn remove(cx: &Context, args: Args) -> Result<bool> {
    cx.delete(opened(cx, &args.name));
    Ok(cx.delete(state(cx, &args.name)))
}

fn state(cx: &Context, name: &str) -> Vec<u8> {
    cx.key(format!("state/{name}"))
}

fn opened(cx: &Context, name: &str) -> Vec<u8> {
    cx.key(format!("open/{name}"))
}

fn read(cx: &Context, name: &str) -> Result<Latch> {
    cx.get_json(state(cx, name))?.or_refuse(format!("there is no latch {name}"))
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, Failure, Plugin};

    use super::{Args, Latch, RECIPES};

    fn deployed(count: usize) -> (Cluster, Client) {
        let cluster = Cluster::new();
        cluster.deploy(Plugin::new("latch").under("latch/").recipes(RECIPES));
        let client = cluster.anonymous();
        let made =
            client.call("latch", "create", &Args { name: "a".into(), count, ..Args::default() });
        made.reply::<()>().expect("made");
        (cluster, client)
    }

    fn down(client: &Client, id: &str) -> Result<usize, Failure> {
        client
            .call("latch", "down", &Args { name: "a".into(), id: id.into(), ..Args::default() })
            .reply()
    }

    fn named() -> Args {
        Args { name: "a".into(), ..Args::default() }
    }

    #[test]
    fn who_waits_is_woken_by_the_last_step_alone() {
        let (cluster, client) = deployed(2);
        let waiting = client.call("latch", "pass", &named());
        assert_eq!(down(&client, "x"), Ok(1));
        assert_eq!(down(&client, "x"), Ok(1), "a step that is told twice counts once");
        assert!(waiting.is_parked() && !waiting.is_woken());
        assert_eq!(down(&client, "y"), Ok(0));
        assert!(waiting.is_woken());
        cluster.settle();
        assert_eq!(waiting.reply(), Ok(()));
        assert_eq!(waiting.runs(), 2);
    }

    #[test]
    fn it_stays_open() {
        let (_, client) = deployed(1);
        assert_eq!(down(&client, "x"), Ok(0));
        assert_eq!(down(&client, "late"), Ok(0));
        assert_eq!(client.call("latch", "pass", &named()).reply(), Ok(()));
        let shown: Latch = client.call("latch", "show", &named()).reply().expect("shown");
        assert_eq!((shown.count, shown.done.len()), (1, 1));
    }

    #[test]
    fn one_may_wait_before_it_is_made_and_after_it_was_removed() {
        let (cluster, client) = deployed(1);
        let other = Args { name: "b".into(), ..Args::default() };
        let waiting = client.call("latch", "pass", &other);
        let made =
            client.call("latch", "create", &Args { name: "b".into(), count: 1, ..Args::default() });
        made.reply::<()>().expect("made");
        let step = Args { name: "b".into(), id: "x".into(), ..Args::default() };
        assert_eq!(client.call("latch", "down", &step).reply(), Ok(0));
        cluster.settle();
        assert_eq!(waiting.reply(), Ok(()));
        assert_eq!(client.call("latch", "remove", &other).reply(), Ok(true));
        assert!(client.call("latch", "pass", &other).is_parked());
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        let (_, client) = deployed(1);
        let again =
            client.call("latch", "create", &Args { name: "a".into(), count: 2, ..Args::default() });
        let why = again.reply::<()>().expect_err("one is there").to_string();
        assert!(why.contains("there is a latch a already"), "{why}");
        let none =
            client.call("latch", "create", &Args { name: "z".into(), count: 0, ..Args::default() });
        assert!(none.reply::<()>().is_err());
        let step = Args { name: "z".into(), id: "x".into(), ..Args::default() };
        let why = client.call("latch", "down", &step).reply::<usize>().expect_err("none");
        assert!(why.to_string().contains("there is no latch z"), "{why}");
    }
}
