//! Times at which a condition holds: a window of the day, or the minutes of a cron expression.

use super::clock_time::{Moment, moment};
use super::config::Mistake;

const MINUTE_MS: u64 = 60_000;
const MINUTES_PER_DAY: u32 = 24 * 60;
/// How far ahead the next minute is looked for; beyond it a waiting dequeue looks again.
const AHEAD_MINUTES: u64 = 8 * 24 * 60;
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// Minutes of the day, from the first up to but not at the last; over midnight when the last is
    /// not above the first. Days are those on which it begins.
    Window { from: u32, to: u32, days: u8 },
    /// For each field the values at which it holds, as bits.
    Cron { minutes: u64, hours: u32, days: u32, months: u16, weekdays: u8, either_day: bool },
}

impl When {
    /// From the words after `time`, each with its place.
    pub fn parse(words: &[(usize, String)]) -> Result<Self, Mistake> {
        let first = words.first().ok_or_else(|| Mistake::new(0, "a time is missing"))?;
        match words {
            [window] if window.1.contains(':') => Self::window(window, None),
            [window, days] if window.1.contains(':') => Self::window(window, Some(days)),
            [minute, hour, day, month, weekday] => {
                let bits = |word: &(usize, String), from, to| {
                    field(&word.1, from, to).map_err(|what| Mistake::new(word.0, what))
                };
                let weekdays = bits(weekday, 0, 7)?;
                Ok(Self::Cron {
                    minutes: bits(minute, 0, 59)?,
                    hours: bits(hour, 0, 23)? as u32,
                    days: bits(day, 1, 31)? as u32,
                    months: bits(month, 1, 12)? as u16,
                    // 7 is Sunday, as 0.
                    weekdays: ((weekdays | (weekdays >> 7)) & 0x7f) as u8,
                    either_day: day.1 != "*" && weekday.1 != "*",
                })
            }
            _ => {
                let what = "a time is HH:MM-HH:MM [DAYS] or the five fields of a cron expression";
                Err(Mistake::new(first.0, what))
            }
        }
    }

    fn window(
        (at, window): &(usize, String),
        days: Option<&(usize, String)>,
    ) -> Result<Self, Mistake> {
        let wrong = || Mistake::new(*at, "a window is HH:MM-HH:MM");
        let (from, to) = window.split_once('-').ok_or_else(wrong)?;
        let (from, to) = (time(from).ok_or_else(wrong)?, time(to).ok_or_else(wrong)?);
        let days = match days {
            None => 0x7f,
            Some((at, days)) => weekdays(days)
                .ok_or_else(|| Mistake::new(*at, "days are as mon-fri, or one as sat"))?,
        };
        Ok(Self::Window { from, to, days })
    }

    pub fn holds(&self, now_ms: u64) -> bool {
        let now = moment(now_ms);
        match self {
            Self::Window { from, to, days } => {
                let minute = now.hour * 60 + now.minute;
                let begun = |weekday: u32| days & (1 << weekday) != 0;
                match from < to {
                    true => (*from..*to).contains(&minute) && begun(now.weekday),
                    false => {
                        (minute >= *from && begun(now.weekday))
                            || (minute < *to && begun((now.weekday + 6) % 7))
                    }
                }
            }
            Self::Cron { minutes, hours, months, .. } => {
                minutes & (1 << now.minute) != 0
                    && hours & (1 << now.hour) != 0
                    && months & (1 << now.month) != 0
                    && self.on_day(&now)
            }
        }
    }

    /// As cron has it: with both days given, either will do.
    fn on_day(&self, now: &Moment) -> bool {
        let Self::Cron { days, weekdays, either_day, .. } = self else { return true };
        let (day, weekday) = (days & (1 << now.day) != 0, weekdays & (1 << now.weekday) != 0);
        if *either_day { day || weekday } else { day && weekday }
    }

    /// When to look again: the next minute at which it holds, or far ahead.
    pub fn next(&self, now_ms: u64) -> u64 {
        let next = now_ms / MINUTE_MS + 1;
        let holds = |minute: &u64| self.holds(minute * MINUTE_MS);
        (next..next + AHEAD_MINUTES).find(holds).unwrap_or(next + AHEAD_MINUTES) * MINUTE_MS
    }
}

/// Minutes of the day; `24:00` is its end.
fn time(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<u32>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= MINUTES_PER_DAY).then_some(minutes)
}

fn weekdays(text: &str) -> Option<u8> {
    let day = |name: &str| DAYS.iter().position(|day| *day == name);
    let (from, to) = match text.split_once('-') {
        Some((from, to)) => (day(from)?, day(to)?),
        None => (day(text)?, day(text)?),
    };
    let mut days = 1 << to;
    let mut at = from;
    while at != to {
        days |= 1 << at;
        at = (at + 1) % 7;
    }
    Some(days)
}

/// A cron field as bits: `*`, `*/N`, and numbers, ranges `A-B` and `A-B/N` between commas.
fn field(text: &str, from: u32, to: u32) -> Result<u64, String> {
    let wrong = || format!("{text} is not a cron field of {from} to {to}");
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().map_err(|_| wrong())?),
            None => (part, 1),
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let (low, high) = match range.split_once('-') {
            _ if range == "*" => (from, to),
            Some((low, high)) => (number(low)?, number(high)?),
            None => (number(range)?, number(range)?),
        };
        if low < from || high > to || low > high || step == 0 {
            return Err(wrong());
        }
        (low..=high).step_by(step as usize).for_each(|value| bits |= 1 << value);
    }
    Ok(bits)
}
