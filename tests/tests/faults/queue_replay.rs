//! A queue, replayed change by change: each item is in one place, leaves when its turn has come and
//! the condition holds, and goes for good only when it is done. Shares no code with the server.

use std::collections::{BTreeMap, BTreeSet};

use portunus_proto::portunus::v1::QueueItem;
use prost::Message;

use crate::history::Change;

pub const QUEUE: &str = "jobs";
/// Where consumers write, with the acknowledgement, which claim did an item.
pub const DONE: &str = "done/";
pub const GATE: &str = "gate";
pub const FIRST: &str = "first";

/// The conditions that tests use, and nothing else.
pub const CONDITIONS: [&str; 5] =
    ["", "key gate = open", "after first", "size>=3", "all(key gate = open, size>=2)"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Ready(String),
    Delayed,
    Taken,
}

/// What the history says.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Each claim: the item's number, and the revision.
    pub claims: BTreeSet<(u64, i64)>,
    /// The revision at which an item was done, and the claim that did it.
    pub done: BTreeMap<u64, (i64, String)>,
    /// The number of each payload.
    pub ids: BTreeMap<String, u64>,
    /// Items that are not done.
    pub left: BTreeSet<u64>,
    /// Takes that a condition was held against.
    pub conditional: usize,
}

#[derive(Default)]
struct Replay {
    told: Replayed,
    places: BTreeMap<u64, Place>,
    /// Ready items in the order in which they leave, each with its deliveries so far.
    ready: BTreeMap<String, u32>,
    /// Items between two places, within one revision.
    moving: BTreeMap<u64, Place>,
    keys: BTreeMap<String, String>,
    /// Items that a size has let through and that have not left.
    open: u64,
    revision: i64,
    took: bool,
}

/// # Errors
/// The first change that should not have been.
pub fn replay(history: &[Change]) -> Result<Replayed, String> {
    let mut replay = Replay::default();
    for change in history {
        let at = |why: String| format!("at {}: {} {why}", change.revision, change.key);
        if change.revision != replay.revision {
            replay.end_revision().map_err(at)?;
            (replay.revision, replay.took) = (change.revision, false);
        }
        replay.step(change).map_err(at)?;
    }
    replay.end_revision()?;
    replay.told.left = replay.places.into_keys().collect();
    Ok(replay.told)
}

fn id_of(key: &str) -> Option<u64> {
    u64::from_str_radix(key.rsplit('/').next()?, 16).ok()
}

impl Replay {
    fn step(&mut self, change: &Change) -> Result<(), String> {
        if let Some(done) = change.key.strip_prefix(DONE) {
            return self.done(done, change);
        }
        let Some(own) = change.key.strip_prefix("jobs/") else {
            self.note(change);
            return Ok(());
        };
        let shelf = own.split('/').next().unwrap_or_default();
        match shelf {
            "items" | "delayed" | "taken" => {
                let id = id_of(own).ok_or("has no number")?;
                match &change.value {
                    Some(value) => self.arrive(shelf, id, &change.key, value),
                    None => self.leave(id, &change.key),
                }
            }
            "claims" => {
                if change.value.is_some() && change.created == change.revision {
                    let id = id_of(own).ok_or("has no number")?;
                    self.told.claims.insert((id, change.revision));
                }
                Ok(())
            }
            "dead" => Err("is a dead letter, and none was asked for".to_owned()),
            _ => {
                self.note(change);
                Ok(())
            }
        }
    }

    fn note(&mut self, change: &Change) {
        if change.key == "jobs/condition" {
            self.open = 0;
        }
        match &change.value {
            Some(value) => {
                let value = String::from_utf8_lossy(value).into_owned();
                self.keys.insert(change.key.clone(), value)
            }
            None => self.keys.remove(&change.key),
        };
    }

    fn leave(&mut self, id: u64, key: &str) -> Result<(), String> {
        let place = self.places.remove(&id).ok_or("was not there")?;
        let is_there = match &place {
            Place::Ready(ready) => ready == key,
            Place::Delayed => key.starts_with("jobs/delayed/"),
            Place::Taken => key.starts_with("jobs/taken/"),
        };
        if !is_there {
            return Err(format!("was not there: it is {place:?}"));
        }
        if let Place::Ready(key) = &place {
            self.ready.remove(key);
        }
        self.moving.insert(id, place);
        Ok(())
    }

    fn arrive(&mut self, shelf: &str, id: u64, key: &str, value: &[u8]) -> Result<(), String> {
        let item = QueueItem::decode(value).map_err(|_| "is no item")?;
        let from = self.moving.remove(&id);
        if self.places.contains_key(&id) {
            return Err("is in two places".to_owned());
        }
        if self.told.done.contains_key(&id) {
            return Err("is done already".to_owned());
        }
        if from.is_none() {
            let payload = String::from_utf8_lossy(&item.payload).into_owned();
            if let Some(other) = self.told.ids.insert(payload, id) {
                return Err(format!("was put in twice: it is {other} too"));
            }
        }
        let place = match (shelf, &from) {
            ("taken", Some(Place::Ready(ready))) => {
                self.take(ready, &item)?;
                Place::Taken
            }
            ("taken", _) => return Err(format!("was taken from {from:?}")),
            ("delayed", _) => Place::Delayed,
            _ => {
                // It was taken and nobody heard of it.
                let was_withdrawn = from == Some(Place::Taken) && item.attempts == 0;
                self.open += u64::from(was_withdrawn && self.condition().contains("size"));
                self.ready.insert(key.to_owned(), item.attempts);
                Place::Ready(key.to_owned())
            }
        };
        self.places.insert(id, place);
        Ok(())
    }

    fn condition(&self) -> &str {
        self.keys.get("jobs/condition").map_or("", String::as_str)
    }

    /// An item leaves: nobody stands before it, and the condition holds as of now.
    fn take(&mut self, key: &str, item: &QueueItem) -> Result<(), String> {
        if let Some((first, _)) = self.ready.first_key_value().filter(|(first, _)| &first[..] < key)
        {
            return Err(format!("left before {first}"));
        }
        let is_first = !std::mem::replace(&mut self.took, true);
        let is_fresh = item.attempts == 1;
        let is_open = self.keys.get(GATE).is_some_and(|gate| gate == "open");
        let condition = self.condition().to_owned();
        let (holds, size) = match &condition[..] {
            "" => return Ok(()),
            "key gate = open" => (is_open, None),
            "after first" => (self.keys.contains_key(FIRST), None),
            "size>=3" => (true, Some(3)),
            "all(key gate = open, size>=2)" => (is_open, Some(2)),
            other => return Err(format!("left under an unknown condition {other}")),
        };
        self.told.conditional += 1;
        if !holds {
            return Err(format!("left while {condition} did not hold"));
        }
        let Some(size) = size.filter(|_| is_fresh) else { return Ok(()) };
        if is_first && self.open == 0 {
            let ready = self.ready.len() as u64 + 1;
            if ready < size {
                return Err(format!("left when {ready} were ready, under {condition}"));
            }
            self.open = self.ready.values().filter(|attempts| **attempts == 0).count() as u64 + 1;
        }
        self.open = self.open.checked_sub(1).ok_or("was one more than were let through")?;
        Ok(())
    }

    fn done(&mut self, id: &str, change: &Change) -> Result<(), String> {
        let id: u64 = id.parse().map_err(|_| "is no number")?;
        let Some(value) = &change.value else { return Err("was undone".to_owned()) };
        let claim = String::from_utf8_lossy(value).into_owned();
        match self.told.done.insert(id, (change.revision, claim)) {
            Some(before) => Err(format!("was done before: {before:?}")),
            None => Ok(()),
        }
    }

    /// What is nowhere now must be done, by who had it.
    fn end_revision(&mut self) -> Result<(), String> {
        for (id, place) in std::mem::take(&mut self.moving) {
            let is_done = self.told.done.get(&id).is_some_and(|(at, _)| *at == self.revision);
            if place != Place::Taken || !is_done {
                return Err(format!("item {id} was lost from {place:?} at {}", self.revision));
            }
        }
        Ok(())
    }
}
