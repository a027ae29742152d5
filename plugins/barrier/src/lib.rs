//! Barriers: recipes. Who arrives may hang on a lease, so that the dead are not counted.
//!
//! - A simple one: `hold {"name": "a"}` closes it, `release {"name": "a"}` opens it, and
//!   `pass {"name": "a"}` replies while it is open.
//! - A double one, for a computation of several: `enter {"name": "a", "who": "x", "parties": 3,
//!   "lease": 7}`, then `entered {"name": "a"}`, which replies once all are in; at the end
//!   `leave {"name": "a", "who": "x"}`, then `left {"name": "a"}`, which replies once all are out.
//! - A cyclic one: `arrive {"name": "a", "who": "x", "parties": 3, "lease": 7}` replies the round
//!   and whether it is complete, and `round {"name": "a", "after": 4}` replies once round 4 is.
//!
//! To arrive is a write and to wait writes nothing, so they are two calls, however many the parties
//! are. A wait reads one key, and is woken once.
//!
//! ```sh
//! portunus plugin deploy builtin:barrier --recipe barrier/
//! portunus recipe call barrier enter '{"name": "a", "who": "x", "parties": 3}'
//! ```

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(hold, release, pass, enter, entered, leave, left, arrive, round);

/// What the recipes take, each its own part of it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Args {
    name: String,
    who: String,
    parties: u64,
    /// 0 is none: then only `leave` takes the arrival back.
    lease: i64,
    after: u64,
}

/// What `arrive` replies.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Round {
    round: u64,
    complete: bool,
}

#[recipe]
fn hold(cx: &Context, args: Args) -> Result {
    cx.put(held(cx, &args.name)?, "");
    Ok(())
}

/// Replies whether it was closed.
#[recipe]
fn release(cx: &Context, args: Args) -> Result<bool> {
    Ok(cx.delete(held(cx, &args.name)?))
}

#[recipe]
fn pass(cx: &Context, args: Args) -> Result {
    match cx.get(held(cx, &args.name)?) {
        Some(_) => wait(),
        None => Ok(()),
    }
}

/// Replies how many are in. What the last meeting left behind is cleared by the first to come.
#[recipe]
fn enter(cx: &Context, args: Args) -> Result<u64> {
    let (inside, met) = (place(cx, "in", &args.name)?, mark(cx, "met", &args.name)?);
    if cx.get(&met).is_some() {
        match cx.prefix(&inside).limit(1).next() {
            Some(_) if cx.get(join(&inside, &args.who)).is_some() => return Ok(args.parties),
            Some(_) => return refuse(format!("{} has met: wait until all have left", args.name)),
            None => drop(cx.delete(&met)),
        }
    }
    let count = come(cx, &inside, &args)?;
    if count >= args.parties {
        cx.put(met, "");
    }
    Ok(count)
}

#[recipe]
fn entered(cx: &Context, args: Args) -> Result {
    cx.get(mark(cx, "met", &args.name)?).map(drop).or_wait()
}

/// Replies how many are still in.
#[recipe]
fn leave(cx: &Context, args: Args) -> Result<u64> {
    let inside = place(cx, "in", &args.name)?;
    cx.delete(join(&inside, &args.who));
    let count = cx.count_prefix(&inside);
    if count == 0 {
        cx.delete(mark(cx, "met", &args.name)?);
    }
    Ok(count)
}

/// Waits for the first that is still in, then for the next: nobody's leaving wakes in vain.
#[recipe]
fn left(cx: &Context, args: Args) -> Result {
    match cx.prefix(place(cx, "in", &args.name)?).limit(1).next() {
        Some(_) => wait(),
        None => Ok(()),
    }
}

#[recipe]
fn arrive(cx: &Context, args: Args) -> Result<Round> {
    let (here, rounds) = (place(cx, "here", &args.name)?, mark(cx, "round", &args.name)?);
    let round = cx.get_json::<u64>(&rounds)?.unwrap_or(0) + 1;
    let complete = come(cx, &here, &args)? >= args.parties;
    if complete {
        cx.delete_prefix(&here);
        cx.put_json(rounds, &round)?;
    }
    Ok(Round { round, complete })
}

/// Replies the last complete round, once it is `after` or a later one.
#[recipe]
fn round(cx: &Context, args: Args) -> Result<u64> {
    let last = cx.get_json::<u64>(mark(cx, "round", &args.name)?)?.unwrap_or(0);
    if last < args.after { wait() } else { Ok(last) }
}

fn come(cx: &Context, place: &[u8], args: &Args) -> Result<u64> {
    if args.parties == 0 || args.who.is_empty() {
        return invalid("say who comes, and how many parties there are");
    }
    let key = join(place, &args.who);
    if cx.get(&key).is_none() {
        cx.put_with_lease(key, "", args.lease);
    }
    Ok(cx.count_prefix(place))
}

fn held(cx: &Context, name: &str) -> Result<Vec<u8>> {
    mark(cx, "held", name)
}

/// One key of a barrier.
fn mark(cx: &Context, kind: &str, name: &str) -> Result<Vec<u8>> {
    if name.is_empty() || name.contains('/') {
        return invalid(format!("\"{name}\" is no name: it needs one without a slash"));
    }
    Ok(cx.key(format!("{kind}/{name}")))
}

/// Where those stand who came to a barrier.
fn place(cx: &Context, kind: &str, name: &str) -> Result<Vec<u8>> {
    mark(cx, kind, name).map(|key| join(&key, "/"))
}

fn join(place: &[u8], rest: &str) -> Vec<u8> {
    [place, rest.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Client, Cluster, Failure, Plugin};

    use super::{Args, RECIPES, Round};

    fn deployed() -> (Cluster, Client) {
        let cluster = Cluster::new();
        cluster.deploy(Plugin::new("barrier").under("b/").recipes(RECIPES));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn named() -> Args {
        Args { name: "a".into(), ..Args::default() }
    }

    fn arrival(who: &str, lease: i64) -> Args {
        Args { name: "a".into(), who: who.into(), parties: 2, lease, ..Args::default() }
    }

    fn enter(client: &Client, who: &str) -> Result<u64, Failure> {
        client.call("barrier", "enter", &arrival(who, 0)).reply()
    }

    fn leave(client: &Client, who: &str) -> Result<u64, Failure> {
        client
            .call(
                "barrier",
                "leave",
                &Args { name: "a".into(), who: who.into(), ..Args::default() },
            )
            .reply()
    }

    #[test]
    fn a_held_barrier_lets_nobody_pass_until_it_is_released() {
        let (cluster, client) = deployed();
        assert_eq!(client.call("barrier", "pass", &named()).reply(), Ok(()));
        client.call("barrier", "hold", &named()).reply::<()>().expect("held");
        let waiting = client.call("barrier", "pass", &named());
        assert!(waiting.is_parked());
        assert_eq!(client.call("barrier", "release", &named()).reply(), Ok(true));
        cluster.settle();
        assert_eq!(waiting.reply(), Ok(()));
    }

    #[test]
    fn all_are_in_before_any_begins_and_all_out_before_any_goes() {
        let (cluster, client) = deployed();
        assert_eq!(enter(&client, "x"), Ok(1));
        assert_eq!(enter(&client, "x"), Ok(1), "who says it twice is one");
        let waiting = client.call("barrier", "entered", &named());
        assert!(waiting.is_parked());
        assert_eq!(enter(&client, "y"), Ok(2));
        cluster.settle();
        assert_eq!((waiting.reply(), waiting.runs()), (Ok(()), 2));
        let late = enter(&client, "z").expect_err("late").to_string();
        assert!(late.contains("a has met"), "{late}");
        assert_eq!(leave(&client, "x"), Ok(1));
        let leaving = client.call("barrier", "left", &named());
        assert!(leaving.is_parked());
        assert_eq!(leave(&client, "y"), Ok(0));
        cluster.settle();
        assert_eq!(leaving.reply(), Ok(()));
        assert_eq!(enter(&client, "z"), Ok(1), "the next meeting");
    }

    #[test]
    fn the_dead_neither_come_nor_keep_others_from_leaving() {
        let (cluster, client) = deployed();
        let lease = cluster.grant_lease(Duration::from_secs(5));
        let came = client.call("barrier", "enter", &arrival("x", lease));
        assert_eq!(came.reply(), Ok(1));
        cluster.advance(Duration::from_secs(6));
        assert_eq!(enter(&client, "y"), Ok(1), "x is gone");
        let lease = cluster.grant_lease(Duration::from_secs(5));
        let came = client.call("barrier", "enter", &arrival("z", lease));
        assert_eq!(came.reply(), Ok(2));
        assert_eq!(leave(&client, "y"), Ok(1));
        let leaving = client.call("barrier", "left", &named());
        cluster.advance(Duration::from_secs(6));
        cluster.settle();
        assert_eq!(leaving.reply(), Ok(()));
        assert_eq!(enter(&client, "y"), Ok(1), "what the last meeting left behind is cleared");
        assert!(client.call("barrier", "entered", &named()).is_parked());
    }

    #[test]
    fn rounds_follow_each_other() {
        let (cluster, client) = deployed();
        for expected in 1..4 {
            let come = |who| client.call("barrier", "arrive", &arrival(who, 0)).reply();
            assert_eq!(come("x"), Ok(Round { round: expected, complete: false }));
            let after = Args { name: "a".into(), after: expected, ..Args::default() };
            let waiting = client.call("barrier", "round", &after);
            assert!(waiting.is_parked());
            assert_eq!(come("y"), Ok(Round { round: expected, complete: true }));
            cluster.settle();
            assert_eq!(waiting.reply(), Ok(expected));
        }
        assert!(client.prefix("b/here/").is_empty());
    }

    #[test]
    fn a_name_that_would_lie_within_another_is_refused() {
        let (_, client) = deployed();
        for name in ["", "a/b"] {
            let call =
                client.call("barrier", "hold", &Args { name: name.into(), ..Args::default() });
            let why = call.reply::<()>().expect_err("no name").to_string();
            assert!(why.contains("is no name"), "{why}");
        }
    }
}
