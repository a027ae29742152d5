//! Conditions: what they say, and where their mistakes are.

use super::calendar::When;
use super::condition::{Condition, parse};

fn parsed(text: &str) -> Condition {
    parse(text.as_bytes()).unwrap_or_else(|mistake| panic!("{text}: {mistake:?}"))
}

fn key(key: &str, value: Option<&str>) -> Condition {
    Condition::Key { key: key.into(), value: value.map(str::to_owned) }
}

#[test]
fn conditions_are_read() {
    assert_eq!(parsed("  "), Condition::All(vec![]));
    assert_eq!(parsed("size>=10"), Condition::Size(10));
    assert_eq!(parsed(" size >= 10 "), Condition::Size(10));
    assert_eq!(parsed("after a b/c"), Condition::After(vec!["a".into(), "b/c".into()]));
    assert_eq!(parsed("key gate"), key("gate", None));
    assert_eq!(parsed("key gate = open"), key("gate", Some("open")));
    assert_eq!(parsed("key gate=open"), key("gate", Some("open")));
    assert_eq!(parsed("key gate =open"), key("gate", Some("open")));
    assert_eq!(parsed("key \"my gate\" = \"a, b\""), key("my gate", Some("a, b")));
    let expected = Condition::All(vec![
        Condition::Size(2),
        Condition::Any(vec![key("a", None), key("b", Some("1"))]),
    ]);
    assert_eq!(parsed("all(size>=2, any(key a, key b = 1))"), expected);
    assert!(matches!(parsed("time 22:00-06:00"), Condition::Time(When::Window { .. })));
    let two = parsed("any(time 0,30 9-17 * * 1-5, key now)");
    let Condition::Any(parts) = two else { panic!("{two:?}") };
    assert!(matches!(parts[0], Condition::Time(When::Cron { .. })));
    assert_eq!(parts[1], key("now", None));
}

#[test]
fn a_mistake_is_told_with_its_place() {
    let cases = [
        ("size>10", 4, "size is compared as size>=N"),
        ("size>=0", 6, "size>= takes a number above 0"),
        ("size>=", 6, "a number is missing"),
        ("sice>=1", 0, "sice is not a condition (size, after, key, time, plugin, all, any)"),
        ("all(key a", 9, "a comma or a closing parenthesis is missing"),
        ("all key a", 4, "( is missing"),
        ("any(key a,)", 10, "a condition is missing"),
        ("key", 3, "the name of a key is missing"),
        ("key a b", 6, "a key is followed by = and a value"),
        ("key \"a", 4, "the closing quote is missing"),
        ("after", 5, "the name of a key or queue is missing"),
        ("key a) ", 5, "more follows; join conditions with all(..) or any(..)"),
        ("time 25:00-01:00", 5, "a window is HH:MM-HH:MM"),
        ("time 09:00-10:00 someday", 17, "days are as mon-fri, or one as sat"),
        ("time 61 * * * *", 5, "61 is not a cron field of 0 to 59"),
        ("time * * *", 5, "a time is HH:MM-HH:MM [DAYS] or the five fields of a cron expression"),
        ("all(plugin dag, plugin b)", 23, "one plugin is asked at most"),
    ];
    for (text, at, what) in cases {
        let mistake = parse(text.as_bytes()).expect_err(text);
        assert_eq!((mistake.at, mistake.what.as_str()), (at, what), "{text}");
    }
    let deep = "all(".repeat(20) + "key a" + &")".repeat(20);
    assert_eq!(parse(deep.as_bytes()).unwrap_err().what, "it is nested too deep");
    assert_eq!(parse(b"key \xff").unwrap_err().at, 4);
}

/// 2026-11-21 is a Saturday.
fn at(day: u64, hour: u64, minute: u64) -> u64 {
    const NOVEMBER_2026: u64 = 1_793_491_200;
    (NOVEMBER_2026 + ((day - 1) * 24 + hour) * 3600 + minute * 60) * 1000
}

fn when(text: &str) -> When {
    match parsed(&format!("time {text}")) {
        Condition::Time(when) => when,
        other => panic!("{other:?}"),
    }
}

#[test]
fn windows_hold_from_their_first_minute_to_before_their_last() {
    let office = when("09:00-17:30 mon-fri");
    assert!(office.holds(at(20, 9, 0)) && office.holds(at(20, 17, 29)));
    assert!(!office.holds(at(20, 8, 59)) && !office.holds(at(20, 17, 30)));
    assert!(!office.holds(at(21, 12, 0)), "Saturday");
    assert_eq!(office.next(at(20, 18, 0)), at(23, 9, 0), "Monday");
    let night = when("22:00-06:00 sat");
    assert!(night.holds(at(21, 23, 0)) && night.holds(at(22, 5, 59)));
    assert!(!night.holds(at(21, 5, 0)) && !night.holds(at(22, 22, 30)));
}

#[test]
fn cron_expressions_hold_in_their_minutes() {
    let quarter = when("*/15 8-9 * * *");
    assert!(quarter.holds(at(3, 8, 45)) && !quarter.holds(at(3, 8, 46)));
    assert_eq!(quarter.next(at(3, 9, 45)), at(4, 8, 0));
    let either = when("0 0 12 * 5");
    assert!(
        either.holds(at(12, 0, 0)) && either.holds(at(20, 0, 0)) && !either.holds(at(14, 0, 0))
    );
    assert!(when("0 0 * * 7").holds(at(22, 0, 0)), "7 is Sunday");
    let never = when("0 0 31 2 *");
    assert!(!never.holds(at(1, 0, 0)));
    assert!(never.next(at(1, 0, 0)) > at(8, 0, 0), "it is looked at again");
}
