//! Admits so many events in a time, for each name: recipes, by the generic cell rate algorithm. It
//! keeps one number for each name, the time by which everything admitted so far is paid for, on a
//! key under the prefix.
//!
//! - `rate`: events in a time, 10 unless it is given;
//! - `per`: that time in seconds, 1 unless it is given;
//! - `burst`: how many may happen at once after a pause, the rate unless it is given.
//!
//! `allow {"name": "alice", "cost": 1}` replies at once
//! `{"allowed": true, "remaining": 9, "retry_after_ms": 0}`; `acquire`, with the same arguments,
//! waits until it may happen. A cost above the burst can never happen and is refused.
//!
//! ```sh
//! portunus plugin deploy builtin:rate-limit --recipe rate/ --config 'rate = 5'
//! portunus recipe call rate-limit allow '{"name": "alice"}'
//! ```

use std::time::Duration;

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(allow, acquire);

/// What `allow` and `acquire` take.
#[derive(Serialize, Deserialize)]
struct Ask {
    name: String,
    #[serde(default = "one")]
    cost: u32,
}

fn one() -> u32 {
    1
}

/// What they reply.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Answer {
    allowed: bool,
    /// Events of cost 1 that could follow at once.
    remaining: u64,
    /// When the same question may succeed; 0 when it did.
    retry_after_ms: u64,
}

#[recipe]
fn allow(cx: &Context, ask: Ask) -> Result<Answer> {
    let limit = Limit::of(cx)?;
    Ok(match limit.take(cx, &ask)? {
        Ok(remaining) => Answer { allowed: true, remaining, retry_after_ms: 0 },
        Err(at) => Answer {
            allowed: false,
            remaining: 0,
            retry_after_ms: at.since(cx.now()).as_millis() as u64,
        },
    })
}

#[recipe]
fn acquire(cx: &Context, ask: Ask) -> Result<Answer> {
    match Limit::of(cx)?.take(cx, &ask)? {
        Ok(remaining) => Ok(Answer { allowed: true, remaining, retry_after_ms: 0 }),
        Err(at) => wait_until(at),
    }
}

/// In microseconds: an event of cost 1 may happen every `interval`, and `burst` of them at once.
struct Limit {
    interval: u64,
    burst: u64,
}

impl Limit {
    fn of(cx: &Context) -> Result<Self> {
        let rate: u64 = cx.config("rate").unwrap_or(10);
        let per: u64 = cx.config("per").unwrap_or(1);
        let burst = cx.config("burst").unwrap_or(rate);
        for (name, value) in [("rate", rate), ("per", per), ("burst", burst)] {
            if value == 0 || value > 1_000_000 {
                return refuse(format!("{name} = {value} must be from 1 to 1000000"));
            }
        }
        Ok(Self { interval: per * 1_000_000 / rate, burst })
    }

    /// Takes what is asked and returns how many more could follow, or when to ask again.
    fn take(&self, cx: &Context, ask: &Ask) -> Result<Result<u64, Time>> {
        if ask.name.is_empty() || ask.cost == 0 {
            return invalid("a name and a cost of 1 at least are needed");
        }
        let cost = u64::from(ask.cost);
        if cost > self.burst {
            return refuse(format!("a cost of {cost} never fits a burst of {}", self.burst));
        }
        let key = cx.key(&ask.name);
        let now = cx.now().as_millis() * 1000;
        let paid: u64 = cx.get_json(&key)?.unwrap_or(0);
        let paid_then = paid.max(now) + cost * self.interval;
        let latest = now + self.burst * self.interval;
        if paid_then > latest {
            let wait = (paid_then - latest).div_ceil(1000);
            return Ok(Err(cx.now() + Duration::from_millis(wait)));
        }
        cx.put_json(&key, &paid_then)?;
        Ok(Ok((latest - paid_then) / self.interval))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use portunus_sdk::testing::{Call, Client, Cluster, Plugin};

    use super::{Answer, Ask, RECIPES};

    fn deployed(configuration: &str) -> (Cluster, Client) {
        let cluster = Cluster::new();
        let plugin = Plugin::new("rate-limit").under("rate/").config(configuration);
        cluster.deploy(plugin.recipes(RECIPES));
        let client = cluster.anonymous();
        (cluster, client)
    }

    fn ask(client: &Client, function: &str, name: &str, cost: u32) -> Call {
        client.call("rate-limit", function, &Ask { name: name.into(), cost })
    }

    fn allow(client: &Client, name: &str, cost: u32) -> Answer {
        ask(client, "allow", name, cost).reply().expect("an answer")
    }

    #[test]
    fn a_burst_passes_then_one_event_each_interval() {
        let (cluster, client) = deployed("rate = 10\nburst = 3");
        for remaining in [2, 1, 0] {
            let answer = Answer { allowed: true, remaining, retry_after_ms: 0 };
            assert_eq!(allow(&client, "a", 1), answer);
        }
        let refused = Answer { allowed: false, remaining: 0, retry_after_ms: 100 };
        assert_eq!(allow(&client, "a", 1), refused);
        assert!(allow(&client, "b", 1).allowed, "each name has its own");
        cluster.advance(Duration::from_millis(99));
        assert_eq!(allow(&client, "a", 1).retry_after_ms, 1);
        cluster.advance(Duration::from_millis(1));
        assert!(allow(&client, "a", 1).allowed);
        assert!(!allow(&client, "a", 1).allowed);
    }

    #[test]
    fn a_long_pause_saves_up_no_more_than_the_burst() {
        let (cluster, client) = deployed("rate = 10\nburst = 3");
        assert!(allow(&client, "a", 3).allowed);
        cluster.advance(Duration::from_secs(3600));
        assert!(allow(&client, "a", 3).allowed);
        assert_eq!(allow(&client, "a", 2).retry_after_ms, 200);
    }

    #[test]
    fn acquire_waits_for_its_turn() {
        let (cluster, client) = deployed("rate = 2\nburst = 1");
        assert!(allow(&client, "a", 1).allowed);
        let waiting = ask(&client, "acquire", "a", 1);
        assert!(waiting.is_parked());
        assert_eq!(waiting.waits_until(), Some(cluster.now() + Duration::from_millis(500)));
        cluster.advance(Duration::from_millis(500));
        cluster.settle();
        assert!(waiting.reply::<Answer>().expect("its turn").allowed);
    }

    #[test]
    fn what_can_never_happen_is_told() {
        let (_, client) = deployed("rate = 10\nburst = 3");
        let why = ask(&client, "acquire", "a", 4).reply::<Answer>().expect_err("never");
        assert!(why.to_string().contains("a cost of 4 never fits a burst of 3"), "{why}");
        let (cluster, client) = deployed("rate = 1\nper = 60");
        assert!(allow(&client, "a", 1).allowed);
        cluster.advance(Duration::from_secs(59));
        assert_eq!(allow(&client, "a", 1).retry_after_ms, 1000);
        let (_, client) = deployed("rate = 0");
        let why = ask(&client, "allow", "a", 1).reply::<Answer>().expect_err("a wrong setting");
        assert!(why.to_string().contains("rate = 0 must be"), "{why}");
    }
}
