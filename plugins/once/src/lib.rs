//! Jobs that run once, such as migrations of a schema: recipes. Who comes first runs the job under
//! a lease, the others wait until it is done; if it dies, the next of them runs it.
//!
//! - `begin {"job": "2026-11-users", "lease": 7}` replies `{"run": true}` to the one who is to do
//!   it, and to all others, once it is done, `{"run": false, "result": "..."}`;
//! - `finish {"job": "2026-11-users", "lease": 7, "result": "ok"}` says that it is done, for good,
//!   and refuses whom it was taken away from. `after` names jobs that must be done before:
//!   `begin {"job": "b", "lease": 7, "after": ["a"]}` waits for them;
//! - `done` replies the jobs that are done, in order of their names.
//!
//! ```sh
//! portunus plugin deploy builtin:once --recipe migrations/
//! portunus recipe call once done
//! ```

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(begin, finish, done);

/// What the recipes take, each its own part of it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Args {
    job: String,
    lease: i64,
    after: Vec<String>,
    result: String,
}

/// What `begin` replies.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Turn {
    run: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<String>,
}

#[recipe]
fn begin(cx: &Context, args: Args) -> Result<Turn> {
    if args.job.is_empty() || args.lease == 0 {
        return invalid("a job needs a name, and who runs it a lease");
    }
    if let Some(item) = cx.get(finished(cx, &args.job)) {
        let result = String::from_utf8_lossy(&item.value).into_owned();
        return Ok(Turn { run: false, result: Some(result) });
    }
    for before in &args.after {
        if cx.get(finished(cx, before)).is_none() {
            return wait();
        }
    }
    let running = running(cx, &args.job);
    match cx.get_json::<i64>(&running)? {
        Some(lease) if lease != args.lease => wait(),
        Some(_) => Ok(Turn { run: true, result: None }),
        None => {
            cx.put_with_lease(running, args.lease.to_string(), args.lease);
            Ok(Turn { run: true, result: None })
        }
    }
}

#[recipe]
fn finish(cx: &Context, args: Args) -> Result {
    let running = running(cx, &args.job);
    if cx.get_json::<i64>(&running)? != Some(args.lease) {
        return refuse(format!("{} is not run under lease {:x}", args.job, args.lease));
    }
    cx.delete(running);
    cx.put(finished(cx, &args.job), args.result);
    Ok(())
}

#[recipe]
fn done(cx: &Context, _: Args) -> Result<Vec<String>> {
    let prefix = finished(cx, "");
    let name = |item: Item| String::from_utf8_lossy(&item.key[prefix.len()..]).into_owned();
    Ok(cx.prefix(&prefix).map(name).collect())
}

fn running(cx: &Context, job: &str) -> Vec<u8> {
    cx.key(format!("running/{job}"))
}

fn finished(cx: &Context, job: &str) -> Vec<u8> {
    cx.key(format!("done/{job}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Call, Client, Cluster, Plugin};

    use super::{Args, RECIPES, Turn};

    fn deployed() -> (Cluster, Client) {
        let cluster = Cluster::new();
        cluster.deploy(Plugin::new("once").under("m/").recipes(RECIPES));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn begin(client: &Client, job: &str, lease: i64, after: &[&str]) -> Call {
        let after = after.iter().map(|job| (*job).to_owned()).collect();
        client.call("once", "begin", &Args { job: job.into(), lease, after, ..Args::default() })
    }

    fn finish(client: &Client, job: &str, lease: i64) -> Call {
        client.call(
            "once",
            "finish",
            &Args { job: job.into(), lease, result: "ok".into(), ..Args::default() },
        )
    }

    fn told() -> Turn {
        Turn { run: false, result: Some("ok".into()) }
    }

    fn mine() -> Turn {
        Turn { run: true, result: None }
    }

    #[test]
    fn one_runs_it_and_all_others_hear_of_its_end() {
        let (cluster, client) = deployed();
        let [a, b] = [(); 2].map(|()| cluster.grant_lease(Duration::from_secs(9)));
        assert_eq!(begin(&client, "x", a, &[]).reply(), Ok(mine()));
        assert_eq!(begin(&client, "x", a, &[]).reply(), Ok(mine()), "a lost reply");
        let waiting = begin(&client, "x", b, &[]);
        assert!(waiting.is_parked());
        assert_eq!(finish(&client, "x", a).reply(), Ok(()));
        cluster.settle();
        assert_eq!(waiting.reply(), Ok(told()));
        assert_eq!(begin(&client, "x", b, &[]).reply(), Ok(told()), "for good");
        assert_eq!(client.call("once", "done", &Args::default()).reply(), Ok(vec!["x".to_owned()]));
    }

    #[test]
    fn if_it_dies_the_next_runs_it_and_the_deposed_cannot_finish() {
        let (cluster, client) = deployed();
        let a = cluster.grant_lease(Duration::from_secs(5));
        let b = cluster.grant_lease(Duration::from_secs(60));
        assert_eq!(begin(&client, "x", a, &[]).reply(), Ok(mine()));
        let waiting = begin(&client, "x", b, &[]);
        cluster.advance(Duration::from_secs(6));
        cluster.settle();
        assert_eq!(waiting.reply(), Ok(mine()));
        let why = finish(&client, "x", a).reply::<()>().expect_err("deposed").to_string();
        assert!(why.contains("x is not run under lease"), "{why}");
        assert_eq!(finish(&client, "x", b).reply(), Ok(()));
    }

    #[test]
    fn a_job_waits_for_those_before_it() {
        let (cluster, client) = deployed();
        let lease = cluster.grant_lease(Duration::from_secs(60));
        let second = begin(&client, "b", lease, &["a"]);
        assert!(second.is_parked());
        assert_eq!(begin(&client, "a", lease, &[]).reply(), Ok(mine()));
        assert_eq!(finish(&client, "a", lease).reply(), Ok(()));
        cluster.settle();
        assert_eq!(second.reply(), Ok(mine()));
    }
}
