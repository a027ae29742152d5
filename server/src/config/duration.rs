//! Go's notation for durations (`1h30m`, `100ms`, `1.5s`), which etcd's flags use.

use std::time::Duration;

/// What a duration looks like, for error texts.
pub const EXPECTED: &str = "expected a duration such as 100ms, 10m or 1h30m";

/// Longest first where one unit is the beginning of another.
const UNITS: &[(&str, f64)] =
    &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];

/// Go's largest duration, about 292 years.
const NANOS_MAX: f64 = i64::MAX as f64;

/// Reads a duration that is not negative. `0` needs no unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(EXPECTED.to_owned());
    }
    if rest.starts_with('-') {
        return Err(format!("a duration cannot be negative; {EXPECTED}"));
    }
    let mut nanos = 0.0_f64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().map_err(|_| EXPECTED.to_owned())?;
        // `ms` begins with `m` too, so the longer unit is looked for first.
        let (unit, scale) = UNITS
            .iter()
            .filter(|(unit, _)| tail.starts_with(unit))
            .max_by_key(|(unit, _)| unit.len())
            .ok_or_else(|| match tail {
                "" => format!("the unit is missing; {EXPECTED}"),
                _ => EXPECTED.to_owned(),
            })?;
        nanos += number * scale;
        rest = &tail[unit.len()..];
    }
    if nanos >= NANOS_MAX {
        return Err(format!("longer than 292 years; {EXPECTED}"));
    }
    Ok(Duration::from_nanos(nanos.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        let cases: &[(&str, Duration)] = &[
            ("0", Duration::ZERO),
            ("0s", Duration::ZERO),
            ("10m", Duration::from_secs(600)),
            ("1h30m", Duration::from_secs(5400)),
            ("100ms", Duration::from_millis(100)),
            ("1.5s", Duration::from_millis(1500)),
            (".5s", Duration::from_millis(500)),
            ("1h0m1s", Duration::from_secs(3601)),
            ("+2s", Duration::from_secs(2)),
            ("7us", Duration::from_micros(7)),
            ("7µs", Duration::from_micros(7)),
            ("9ns", Duration::from_nanos(9)),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Ok(*expected), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        let cases: &[(&str, &str)] = &[
            ("", "expected a duration"),
            ("10", "the unit is missing"),
            ("1h30", "the unit is missing"),
            ("-5s", "cannot be negative"),
            ("5d", "expected a duration"),
            ("s", "expected a duration"),
            ("1..5s", "expected a duration"),
            ("1 h", "expected a duration"),
            ("9999999h", "longer than 292 years"),
        ];
        for (text, expected) in cases {
            let reason = parse(text).expect_err(text);
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }
}
