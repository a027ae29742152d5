//! What must hold of a queue, whatever went wrong: what was put in is there until it is done, once;
//! each delivery has a claim of its own; and what a consumer was told of its acknowledgement is so.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::Change;
use crate::lock_check::Outcome;
use crate::queue_replay::{Replayed, replay};

#[derive(Clone, Debug)]
pub struct Delivered {
    pub consumer: u32,
    pub id: u64,
    pub token: i64,
    pub payload: String,
}

#[derive(Clone, Debug)]
pub struct Acked {
    pub id: u64,
    pub token: i64,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, Default)]
pub struct Record {
    /// Payloads whose producers were told that they are in, with the item's number.
    pub enqueued: BTreeMap<String, u64>,
    /// In the order in which each consumer had them.
    pub delivered: Vec<Delivered>,
    pub acked: Vec<Acked>,
}

/// Of a queue that was worked off in the end.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(record: &Record, history: &[Change]) -> Result<Replayed, String> {
    let told = replay(history)?;
    if !told.left.is_empty() {
        return Err(format!("never done: {:?}", told.left));
    }
    for (payload, id) in &record.enqueued {
        if told.ids.get(payload) != Some(id) {
            return Err(format!("{payload} is {id}, and {:?} in the store", told.ids.get(payload)));
        }
        if !told.done.contains_key(id) {
            return Err(format!("{payload}, item {id}, was lost"));
        }
    }
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
    for it in &record.delivered {
        if !told.claims.contains(&(it.id, it.token)) {
            return Err(format!("nobody claimed {it:?}"));
        }
        if told.ids.get(&it.payload) != Some(&it.id) {
            return Err(format!("another's payload: {it:?}"));
        }
        if !seen.insert((it.id, it.token)) {
            return Err(format!("delivered twice: {it:?}"));
        }
        if last.insert(it.consumer, it.token).is_some_and(|last| last > it.token) {
            return Err(format!("out of order: {it:?} after {last:?}"));
        }
    }
    let mut acked = BTreeSet::new();
    for ack in &record.acked {
        let done = told.done.get(&ack.id);
        let by = done.is_some_and(|(_, claim)| *claim == ack.token.to_string());
        let agrees = match ack.outcome {
            Outcome::Written(at) => {
                if !acked.insert(ack.id) {
                    return Err(format!("acknowledged twice: {ack:?}"));
                }
                by && done.is_some_and(|(done, _)| *done == at)
            }
            // Perhaps one asked again.
            Outcome::Refused | Outcome::Unknown => true,
        };
        if !agrees {
            return Err(format!("{ack:?}, and it was done as {done:?}"));
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use portunus_proto::portunus::v1::QueueItem;
    use prost::Message;

    use super::{Acked, Delivered, Record, check};
    use crate::history::{Change, History};
    use crate::lock_check::Outcome;

    fn put(revision: i64, key: &str, value: &[u8]) -> Change {
        Change { revision, key: key.to_owned(), value: Some(value.to_vec()), created: revision }
    }

    fn delete(revision: i64, key: &str) -> Change {
        Change { revision, key: key.to_owned(), value: None, created: 0 }
    }

    fn ready(id: u64) -> String {
        format!("jobs/items/ffff/{id:016x}")
    }

    fn item(id: u64, attempts: u32) -> Vec<u8> {
        let payload = format!("p{id}").into_bytes().into();
        QueueItem { id, payload, attempts, ..QueueItem::default() }.encode_to_vec()
    }

    fn enqueue(at: i64, id: u64) -> Change {
        put(at, &ready(id), &item(id, 0))
    }

    fn take(at: i64, id: u64, attempts: u32) -> Vec<Change> {
        let taken = format!("jobs/taken/{id:016x}");
        let claim = format!("jobs/claims/{id:016x}");
        vec![delete(at, &ready(id)), put(at, &taken, &item(id, attempts)), put(at, &claim, b"")]
    }

    fn done(at: i64, id: u64, claim: i64) -> Vec<Change> {
        vec![
            put(at, &format!("done/{id}"), claim.to_string().as_bytes()),
            delete(at, &format!("jobs/taken/{id:016x}")),
            delete(at, &format!("jobs/claims/{id:016x}")),
        ]
    }

    /// Two items; the first is delivered twice, for its first consumer vanishes.
    fn right() -> (Record, Vec<Vec<Change>>) {
        let taken = format!("jobs/taken/{:016x}", 1);
        let history = vec![
            vec![enqueue(2, 1)],
            vec![enqueue(3, 2)],
            take(4, 1, 1),
            vec![delete(5, &taken), put(5, &ready(1), &item(1, 1))],
            take(6, 1, 2),
            take(7, 2, 1),
            done(8, 1, 6),
            done(9, 2, 7),
        ];
        let delivered = |consumer, id: u64, token| {
            let payload = format!("p{id}");
            Delivered { consumer, id, token, payload }
        };
        let enqueued = [("p1".to_owned(), 1), ("p2".to_owned(), 2)].into();
        let acked = |id, token, outcome| Acked { id, token, outcome };
        let record = Record {
            enqueued,
            delivered: vec![delivered(1, 1, 4), delivered(2, 1, 6), delivered(2, 2, 7)],
            acked: vec![
                acked(1, 4, Outcome::Refused),
                acked(1, 6, Outcome::Written(8)),
                acked(2, 7, Outcome::Unknown),
            ],
        };
        (record, history)
    }

    fn wrong(change: impl FnOnce(&mut Record, &mut Vec<Vec<Change>>)) -> String {
        let (mut record, mut history) = right();
        change(&mut record, &mut history);
        let history: History = history.concat();
        check(&record, &history).expect_err("it is wrong")
    }

    fn under(condition: &str) -> String {
        let (record, mut history) = right();
        history.insert(0, vec![put(1, "jobs/condition", condition.as_bytes())]);
        check(&record, &history.concat())
            .map_or_else(|why| why, |told| told.conditional.to_string())
    }

    #[test]
    fn what_is_right_passes() {
        let (record, history) = right();
        let told = check(&record, &history.concat()).expect("nothing is wrong");
        assert_eq!((told.claims.len(), told.done.len()), (3, 2));
        assert_eq!(
            under("size>=3"),
            "at 4: jobs/taken/0000000000000001 left when 2 were ready, under size>=3"
        );
        assert!(under("key gate = open").contains("did not hold"));
        assert!(under("after first").contains("did not hold"));
        let (record, mut history) = right();
        history
            .insert(0, vec![put(1, "jobs/condition", b"key gate = open"), put(1, "gate", b"open")]);
        assert_eq!(check(&record, &history.concat()).map(|told| told.conditional), Ok(3));
    }

    #[test]
    fn what_is_wrong_in_the_store_does_not() {
        let why = wrong(|_, history| drop(history[6].remove(0)));
        assert!(why.contains("item 1 was lost"), "gone and not done: {why}");
        let why = wrong(|_, history| drop(history.remove(7)));
        assert!(why.contains("never done: {2}"), "{why}");
        let why = wrong(|_, history| drop(history.remove(3)));
        assert!(why.contains("was not there"), "taken by two at once: {why}");
        let why = wrong(|_, history| history.insert(3, take(5, 2, 1)));
        assert!(why.contains("was not there"), "{why}");
        let why = wrong(|_, history| history.swap(4, 5));
        assert!(why.contains("left before"), "out of order: {why}");
        let why = wrong(|_, history| history.push(done(10, 1, 6)));
        assert!(why.contains("was done before"), "{why}");
        let why = wrong(|_, history| history.push(vec![enqueue(10, 1)]));
        assert!(why.contains("is done already"), "{why}");
        let again = put(10, &ready(3), &item(1, 0));
        let why = wrong(|_, history| history.insert(2, vec![again]));
        assert!(why.contains("was put in twice"), "an id that did not count: {why}");
    }

    #[test]
    fn what_was_told_wrongly_does_not() {
        let why = wrong(|record, _| record.enqueued.extend([("p3".to_owned(), 3)]));
        assert!(why.contains("p3 is 3, and None"), "{why}");
        let why = wrong(|record, _| record.delivered[0].token = 5);
        assert!(why.contains("nobody claimed"), "{why}");
        let why = wrong(|record, _| record.delivered[1] = record.delivered[0].clone());
        assert!(why.contains("delivered twice"), "{why}");
        let why = wrong(|record, _| record.delivered.swap(1, 2));
        assert!(why.contains("out of order"), "{why}");
        let why = wrong(|record, _| record.delivered[0].payload = "p2".into());
        assert!(why.contains("another's payload"), "{why}");
        let why = wrong(|record, _| record.acked[0].outcome = Outcome::Written(8));
        assert!(why.contains("it was done as"), "told by a claim that was over: {why}");
        let twice = Acked { id: 1, token: 6, outcome: Outcome::Written(8) };
        let why = wrong(|record, _| record.acked.push(twice));
        assert!(why.contains("acknowledged twice"), "{why}");
    }
}
