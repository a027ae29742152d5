//! One leader for each of many topics, which an operator may appoint: recipes. Candidates stand in
//! order of arrival under leases; the first leads unless another is appointed, and the next leads
//! when it goes or dies.
//!
//! - `stand {"topic": "index", "who": "a", "lease": 7}` enters the line, and replies the leader;
//! - `lead {"topic": "index", "who": "a"}` replies the leader's token once `a` leads;
//! - `leader {"topic": "index", "not": 17}` replies who leads, once the token is another than that;
//! - `resign {"topic": "index", "who": "a"}` leaves the line;
//! - `appoint {"topic": "index", "who": "b"}` has a candidate lead, now and as long as it stands.
//!
//! The leader is the key `PREFIXleader/TOPIC`, on the leader's lease, written once for each leader:
//! its modification revision is the token, which grows, for whoever guards against deposed ones. A
//! trigger fills the seat of a leader that died, so bind both:
//!
//! ```sh
//! portunus plugin deploy builtin:elector --recipe elect/ --trigger elect/
//! portunus recipe call elector appoint '{"topic": "index", "who": "b"}'
//! ```

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(stand, lead, leader, resign, appoint);

/// What the recipes take, each its own part of it.
#[derive(Serialize, Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
struct Args {
    topic: String,
    who: String,
    lease: i64,
    /// The token of the leader that is known already.
    not: i64,
}

/// Who leads.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Leader {
    who: String,
    token: i64,
}

#[recipe]
fn stand(cx: &Context, args: Args) -> Result<String> {
    if args.lease == 0 {
        return invalid("a candidate needs a lease: without one its death is not noticed");
    }
    let topic = Topic::named(cx, &args.topic)?;
    let place = topic.place(&args.who)?;
    if cx.get(&place).is_none() {
        cx.put_with_lease(place, "", args.lease);
    }
    topic.fill()?;
    topic.leader().or_refuse("a line that somebody stands in has a leader")
}

#[recipe]
fn lead(cx: &Context, args: Args) -> Result<i64> {
    let topic = Topic::named(cx, &args.topic)?;
    match cx.get(&topic.seat) {
        Some(item) if item.value == args.who.as_bytes() => Ok(item.mod_revision),
        _ if cx.get(topic.place(&args.who)?).is_none() => {
            refuse(format!("{} does not stand for {}", args.who, args.topic))
        }
        _ => wait(),
    }
}

#[recipe]
fn leader(cx: &Context, args: Args) -> Result<Leader> {
    let seat = cx.get(Topic::named(cx, &args.topic)?.seat);
    let seat = seat.filter(|item| item.mod_revision != args.not).or_wait()?;
    let who = String::from_utf8_lossy(&seat.value).into_owned();
    Ok(Leader { who, token: seat.mod_revision })
}

#[recipe]
fn resign(cx: &Context, args: Args) -> Result<bool> {
    let topic = Topic::named(cx, &args.topic)?;
    let stood = cx.delete(topic.place(&args.who)?);
    topic.fill()?;
    Ok(stood)
}

#[recipe]
fn appoint(cx: &Context, args: Args) -> Result {
    let topic = Topic::named(cx, &args.topic)?;
    if cx.get(topic.place(&args.who)?).is_none() {
        return refuse(format!("{} does not stand for {}", args.who, args.topic));
    }
    cx.put(&topic.appointed, &args.who);
    topic.fill()
}

/// A seat goes with its leader's lease; so does the leader's place in line.
#[trigger]
fn succession(cx: &Context, batch: &Batch) -> Result {
    let seats = cx.key("leader/");
    let gone = |event: &Event| matches!(event, Event::Delete(_)) && event.key().starts_with(&seats);
    let mut topics: Vec<String> = Vec::new();
    for event in batch.iter().filter(|event| gone(event)) {
        topics.push(String::from_utf8_lossy(&event.key()[seats.len()..]).into_owned());
    }
    if batch.missed().is_some() {
        let lines = cx.key("line/");
        for item in cx.prefix(&lines) {
            let rest = String::from_utf8_lossy(&item.key[lines.len()..]).into_owned();
            topics.extend(rest.split('/').next().map(str::to_owned));
        }
    }
    topics.sort_unstable();
    topics.dedup();
    topics.iter().try_for_each(|topic| Topic::named(cx, topic)?.fill())
}

struct Topic<'a> {
    cx: &'a Context,
    seat: Vec<u8>,
    appointed: Vec<u8>,
    line: Vec<u8>,
}

impl<'a> Topic<'a> {
    fn named(cx: &'a Context, name: &str) -> Result<Self> {
        if name.is_empty() || name.contains('/') {
            return invalid(format!("\"{name}\" is no topic: it needs a name without a slash"));
        }
        let key = |kind: &str, end: &str| cx.key(format!("{kind}/{name}{end}"));
        let (seat, appointed) = (key("leader", ""), key("appointed", ""));
        Ok(Self { cx, seat, appointed, line: key("line", "/") })
    }

    fn place(&self, who: &str) -> Result<Vec<u8>> {
        if who.is_empty() {
            return invalid("who is empty: a candidate needs a name");
        }
        Ok([&self.line, who.as_bytes()].concat())
    }

    fn leader(&self) -> Option<String> {
        self.cx.get(&self.seat).map(|item| String::from_utf8_lossy(&item.value).into_owned())
    }

    /// Seats who is to lead, if another does or nobody.
    fn fill(&self) -> Result {
        let now = self.leader();
        let appointed = self.cx.get(&self.appointed).map(|item| item.value);
        let appointed = appointed.map(|who| String::from_utf8_lossy(&who).into_owned());
        let stands = |who: &String| self.place(who).is_ok_and(|place| self.cx.get(place).is_some());
        let next = match (appointed.filter(stands), &now) {
            (Some(appointed), _) => Some(appointed),
            (None, Some(now)) if stands(now) => return Ok(()),
            (None, _) => self.first(),
        };
        match next {
            next if next == now => {}
            None => drop(self.cx.delete(&self.seat)),
            Some(next) => {
                let place = self.cx.get(self.place(&next)?).or_refuse("nobody stands there")?;
                self.cx.put_with_lease(&self.seat, &next, place.lease);
            }
        }
        Ok(())
    }

    fn first(&self) -> Option<String> {
        let waiting = self.cx.prefix(&self.line);
        let first = waiting.min_by_key(|item| (item.create_revision, item.key.clone()))?;
        Some(String::from_utf8_lossy(&first.key[self.line.len()..]).into_owned())
    }
}

#[cfg(test)]
#[path = "lib_test.rs"]
mod tests;
