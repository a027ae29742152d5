//! Steps over several systems that all happen or are undone: recipes and a trigger. Who coordinates
//! notes how to undo a step before it takes it; when it dies, its lease ends, and whoever asks for
//! work undoes the steps in reverse.
//!
//! - `begin {"saga": "trip-1", "lease": 7}`, then before each step
//!   `step {"saga": "trip-1", "lease": 7, "name": "hotel", "undo": "cancel hotel 9"}`;
//! - `commit {"saga": "trip-1", "lease": 7}` ends it well, `abort` with the same has it undone;
//! - `recover {"lease": 9}` waits for a step to undo, and replies `{"saga": "trip-1", "name":
//!   "hotel", "undo": "cancel hotel 9"}`; then `undone {"saga": "trip-1", "name": "hotel",
//!   "lease": 9}`. If who undoes dies too, another gets the same step: undoing twice must do no harm;
//! - `outcome {"saga": "trip-1"}` replies `"committed"` or `"undone"` once it is one of them, as the
//!   participants of a two-phase commit ask.
//!
//! The trigger hears of leases that end, so bind both:
//!
//! ```sh
//! portunus plugin deploy builtin:saga --recipe sagas/ --trigger sagas/
//! portunus recipe call saga outcome '{"saga": "trip-1"}'
//! ```

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(begin, step, commit, abort, recover, undone, outcome);

/// What the recipes take, each its own part of it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Args {
    saga: String,
    lease: i64,
    name: String,
    undo: String,
}

/// A step and how it is undone.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Step {
    name: String,
    undo: String,
}

/// What `recover` replies.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Work {
    saga: String,
    name: String,
    undo: String,
}

const COMMITTED: &str = "committed";
const UNDONE: &str = "undone";

#[recipe]
fn begin(cx: &Context, args: Args) -> Result {
    if args.saga.is_empty() || args.lease == 0 {
        return invalid("a saga needs a name, and who coordinates it a lease");
    }
    if cx.get(key(cx, "ended", &args.saga)).is_some() {
        return refuse(format!("{} has ended", args.saga));
    }
    match owner(cx, &args.saga)? {
        Some(lease) if lease == args.lease => return Ok(()),
        None if cx.get(key(cx, "steps", &args.saga)).is_none() => {}
        _ => return refuse(format!("{} is under way", args.saga)),
    }
    cx.put_json(key(cx, "steps", &args.saga), &Vec::<Step>::new())?;
    cx.put_with_lease(key(cx, "owner", &args.saga), args.lease.to_string(), args.lease);
    Ok(())
}

/// Replies how many steps there are. A step that is told twice counts once.
#[recipe]
fn step(cx: &Context, args: Args) -> Result<usize> {
    own(cx, &args.saga, args.lease)?;
    let mut steps = steps(cx, &args.saga)?;
    if steps.iter().all(|step| step.name != args.name) {
        steps.push(Step { name: args.name, undo: args.undo });
        cx.put_json(key(cx, "steps", &args.saga), &steps)?;
    }
    Ok(steps.len())
}

#[recipe]
fn commit(cx: &Context, args: Args) -> Result {
    if ended(cx, &args.saga).as_deref() == Some(COMMITTED) {
        return Ok(());
    }
    own(cx, &args.saga, args.lease)?;
    end(cx, &args.saga, COMMITTED);
    Ok(())
}

#[recipe]
fn abort(cx: &Context, args: Args) -> Result {
    own(cx, &args.saga, args.lease)?;
    cx.delete(key(cx, "owner", &args.saga));
    undo(cx, &args.saga)
}

#[recipe]
fn recover(cx: &Context, args: Args) -> Result<Work> {
    if args.lease == 0 {
        return invalid("who undoes needs a lease");
    }
    let all = cx.key("undo/");
    for item in cx.prefix(&all) {
        let saga = String::from_utf8_lossy(&item.key[all.len()..]).into_owned();
        let recovering = key(cx, "recovering", &saga);
        let by = cx.get_json::<i64>(&recovering)?;
        if by.is_some_and(|lease| lease != args.lease) {
            continue;
        }
        let last = steps(cx, &saga)?.pop();
        let Step { name, undo } = last.or_refuse("a saga that is undone has steps")?;
        if by.is_none() {
            cx.put_with_lease(recovering, args.lease.to_string(), args.lease);
        }
        return Ok(Work { saga, name, undo });
    }
    wait()
}

/// Replies how many steps are left to undo.
#[recipe]
fn undone(cx: &Context, args: Args) -> Result<usize> {
    let recovering = key(cx, "recovering", &args.saga);
    if cx.get_json::<i64>(recovering)? != Some(args.lease) {
        return refuse(format!("{} is not undone under lease {:x}", args.saga, args.lease));
    }
    let mut steps = steps(cx, &args.saga)?;
    if steps.last().is_some_and(|step| step.name == args.name) {
        steps.pop();
        cx.put_json(key(cx, "steps", &args.saga), &steps)?;
    }
    if steps.is_empty() {
        end(cx, &args.saga, UNDONE);
    }
    Ok(steps.len())
}

#[recipe]
fn outcome(cx: &Context, args: Args) -> Result<String> {
    ended(cx, &args.saga).or_wait()
}

/// A coordinator that is gone before its saga ended leaves it to be undone.
#[trigger]
fn bereaved(cx: &Context, batch: &Batch) -> Result {
    let owners = cx.key("owner/");
    let name = |key: &[u8], of: &[u8]| String::from_utf8_lossy(&key[of.len()..]).into_owned();
    let gone =
        |event: &Event| matches!(event, Event::Delete(_)) && event.key().starts_with(&owners);
    let mut sagas: Vec<String> =
        batch.iter().filter(|it| gone(it)).map(|it| name(it.key(), &owners)).collect();
    if batch.missed().is_some() {
        let all = cx.key("steps/");
        sagas.extend(cx.prefix(&all).map(|item| name(&item.key, &all)));
    }
    for saga in sagas {
        let is_open = cx.get(key(cx, "steps", &saga)).is_some();
        if is_open && owner(cx, &saga)?.is_none() {
            undo(cx, &saga)?;
        }
    }
    Ok(())
}

fn key(cx: &Context, kind: &str, saga: &str) -> Vec<u8> {
    cx.key(format!("{kind}/{saga}"))
}

fn owner(cx: &Context, saga: &str) -> Result<Option<i64>> {
    cx.get_json(key(cx, "owner", saga))
}

fn own(cx: &Context, saga: &str, lease: i64) -> Result {
    match owner(cx, saga)? {
        Some(owner) if owner == lease => Ok(()),
        _ => refuse(format!("{saga} is not coordinated under lease {lease:x}")),
    }
}

fn steps(cx: &Context, saga: &str) -> Result<Vec<Step>> {
    cx.get_json(key(cx, "steps", saga))?.or_refuse(format!("there is no saga {saga}"))
}

fn ended(cx: &Context, saga: &str) -> Option<String> {
    let item = cx.get(key(cx, "ended", saga))?;
    Some(String::from_utf8_lossy(&item.value).into_owned())
}

fn undo(cx: &Context, saga: &str) -> Result {
    match steps(cx, saga)?.is_empty() {
        true => end(cx, saga, UNDONE),
        false => cx.put(key(cx, "undo", saga), ""),
    }
    Ok(())
}

fn end(cx: &Context, saga: &str, how: &str) {
    for kind in ["owner", "steps", "undo", "recovering"] {
        cx.delete(key(cx, kind, saga));
    }
    cx.put(key(cx, "ended", saga), how);
}

#[cfg(test)]
#[path = "lib_test.rs"]
mod tests;
