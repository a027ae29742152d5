//! What must hold of an exclusive lock, whatever went wrong: nobody was told that it holds who did
//! not; no two clients had reason to believe that they held at one time; and what the lock guards
//! was written by holders alone, in the order of their tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{Change, Line};

/// What a client was told, with times on one clock.
#[derive(Clone, Debug)]
pub struct Grant {
    pub client: u32,
    pub token: i64,
    /// Of the answer.
    pub revision: i64,
    pub told: Duration,
    /// Until then it had reason to believe that it held: its release, or the end of its lease as it
    /// knew it.
    pub until: Duration,
}

/// A write of what the lock guards, under a token.
#[derive(Clone, Debug)]
pub struct Guarded {
    pub token: i64,
    pub value: String,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Written(i64),
    Refused,
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub struct Record {
    pub grants: Vec<Grant>,
    pub writes: Vec<Guarded>,
}

/// Who decides about the lock, and so which keys tell who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    Line,
    Plugin,
}

impl Rules {
    /// What the keys begin with of which the oldest is the holder's.
    fn holders(self) -> String {
        match self {
            Self::Line => format!("{LOCK}/"),
            Self::Plugin => format!("{LOCK}!holders/"),
        }
    }

    /// Whose create revision is the token of a lease that holds the lock.
    pub fn token_key(self, lease: i64) -> String {
        format!("{}{lease:x}", self.holders())
    }
}

/// The lock's name, and where what it guards lies.
pub const LOCK: &str = "door";
pub const GUARDED: &str = "guarded/state";
pub const TOKEN: &str = "guarded/.token";

/// # Errors
/// The first thing that does not hold.
pub fn check(record: &Record, history: &[Change], rules: Rules) -> Result<(), String> {
    let line = Line::of(history, &rules.holders());
    if rules == Rules::Plugin && line.longest > 1 {
        return Err(format!("{} hold it at one revision", line.longest));
    }
    let mut told = BTreeMap::new();
    for grant in &record.grants {
        let holder = line.holder_at(grant.revision);
        if holder != Some(grant.token) {
            return Err(format!("{grant:?}, but the holder was {holder:?}"));
        }
        if let Some(other) = told.insert(grant.token, grant.client) {
            return Err(format!("{grant:?}, and client {other} has that token"));
        }
    }
    let mut grants = record.grants.clone();
    grants.sort_by_key(|grant| grant.told);
    for pair in grants.windows(2) {
        let [one, next] = pair else { continue };
        if one.until > next.told {
            return Err(format!("two believe that they hold: {one:?} and {next:?}"));
        }
        if one.token >= next.token {
            return Err(format!("tokens do not grow: {one:?} and then {next:?}"));
        }
    }
    check_writes(record, history, &line)
}

fn check_writes(record: &Record, history: &[Change], line: &Line) -> Result<(), String> {
    let mut tokens = BTreeMap::new();
    let mut written = BTreeMap::new();
    for change in history {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        match (&change.key[..], &change.value) {
            (TOKEN, Some(value)) => {
                tokens.insert(change.revision, text(value));
            }
            (GUARDED, Some(value)) => {
                written.insert(text(value), change.revision);
            }
            _ => {}
        }
    }
    let mut newest = 0;
    for (revision, token) in &tokens {
        let token: i64 = token.parse().map_err(|_| format!("{token:?} is no token"))?;
        let holder = line.holder_at(revision - 1);
        if holder != Some(token) {
            return Err(format!("{token} wrote at {revision}, when {holder:?} held"));
        }
        if token < newest {
            return Err(format!("{token} wrote at {revision}, after {newest}"));
        }
        newest = token;
    }
    for write in &record.writes {
        let at = written.get(&write.value).copied();
        let agrees = match write.outcome {
            Outcome::Written(revision) => at == Some(revision),
            Outcome::Refused => at.is_none(),
            Outcome::Unknown => true,
        };
        let token = at.and_then(|at| tokens.get(&at));
        if !agrees || token.is_some_and(|token| *token != write.token.to_string()) {
            return Err(format!("{write:?}, and it is at {at:?} with token {token:?}"));
        }
    }
    if let Some((value, at)) =
        written.iter().find(|(value, _)| !record.writes.iter().any(|it| it.value == **value))
    {
        return Err(format!("nobody wrote {value}, and it is there at {at}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{GUARDED, Grant, Guarded, Outcome, Record, Rules, TOKEN, check};
    use crate::history::{Change, History};

    fn put(revision: i64, key: &str, value: &str, created: i64) -> Change {
        let value = Some(value.as_bytes().to_vec());
        Change { revision, key: key.to_owned(), value, created }
    }

    fn delete(revision: i64, key: &str) -> Change {
        Change { revision, key: key.to_owned(), value: None, created: 0 }
    }

    fn grant(client: u32, token: i64, revision: i64, told: u64, until: u64) -> Grant {
        let [told, until] = [told, until].map(Duration::from_millis);
        Grant { client, token, revision, told, until }
    }

    /// Client 1 holds from revision 2 to 5 and writes at 4; client 2 holds from 5 and writes at 6.
    fn right() -> (Record, History) {
        let history = vec![
            put(2, "door/1", "", 2),
            put(3, "door/2", "", 3),
            put(4, GUARDED, "a", 4),
            put(4, TOKEN, "2", 4),
            delete(5, "door/1"),
            put(6, GUARDED, "b", 4),
            put(6, TOKEN, "3", 4),
        ];
        let write = |token, value: &str, outcome| {
            let value = value.to_owned();
            Guarded { token, value, outcome }
        };
        let grants = vec![grant(1, 2, 2, 10, 20), grant(2, 3, 5, 21, 40)];
        let writes = vec![
            write(2, "a", Outcome::Written(4)),
            write(2, "late", Outcome::Refused),
            write(3, "b", Outcome::Unknown),
        ];
        (Record { grants, writes }, history)
    }

    fn wrong(change: impl FnOnce(&mut Record, &mut History)) -> String {
        let (mut record, mut history) = right();
        change(&mut record, &mut history);
        check(&record, &history, Rules::Line).expect_err("it is wrong")
    }

    #[test]
    fn what_is_right_passes() {
        let (record, history) = right();
        assert_eq!(check(&record, &history, Rules::Line), Ok(()));
    }

    #[test]
    fn two_keys_of_holders_are_wrong() {
        let mut history = vec![put(2, "door!holders/1", "", 2), delete(3, "door!holders/1")];
        history.push(put(4, "door!holders/2", "", 4));
        let record = Record::default();
        assert_eq!(check(&record, &history, Rules::Plugin), Ok(()));
        history.push(put(5, "door!holders/3", "", 5));
        let why = check(&record, &history, Rules::Plugin).expect_err("it is wrong");
        assert!(why.contains("2 hold it at one revision"), "{why}");
    }

    #[test]
    fn what_is_wrong_does_not() {
        let why = wrong(|record, _| record.grants[1].revision = 4);
        assert!(why.contains("the holder was Some(2)"), "told too early: {why}");
        let why = wrong(|record, _| record.grants[0].until = Duration::from_millis(30));
        assert!(why.contains("two believe"), "{why}");
        let why = wrong(|record, _| {
            record.grants[0] = grant(1, 2, 2, 50, 60);
        });
        assert!(why.contains("tokens do not grow"), "{why}");
        let why = wrong(|record, _| record.grants.push(grant(3, 3, 5, 41, 42)));
        assert!(why.contains("has that token"), "{why}");
        let why = wrong(|_, history| {
            history.push(put(7, GUARDED, "late", 4));
            history.push(put(7, TOKEN, "2", 4));
        });
        assert!(why.contains("2 wrote at 7, when Some(3) held"), "a deposed holder: {why}");
        let why = wrong(|_, history| drop(history.drain(2..4)));
        assert!(why.contains("it is at None"), "a write is lost: {why}");
        let why = wrong(|record, _| record.writes[2].outcome = Outcome::Refused);
        assert!(why.contains("it is at Some(6)"), "refused and done all the same: {why}");
        let why = wrong(|_, history| {
            history.push(put(8, GUARDED, "z", 4));
            history.push(put(8, TOKEN, "3", 4));
        });
        assert!(why.contains("nobody wrote z"), "{why}");
    }
}
