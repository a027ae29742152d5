//! Unix time as a UTC date, without leap seconds.

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// Days from the first of March of year 0 to the first of January 1970.
const DAYS_TO_1970: u64 = 719_468;
const DAYS_IN_400_YEARS: u64 = 146_097;

/// A minute in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// From 1.
    pub month: u32,
    /// From 1.
    pub day: u32,
    /// From Sunday, 0.
    pub weekday: u32,
    pub hour: u32,
    pub minute: u32,
}

/// Years are counted from March, so that the leap day is a year's last and months follow a rule.
pub fn moment(unix_ms: u64) -> Moment {
    let days = unix_ms / DAY_MS;
    let minutes = (unix_ms % DAY_MS) / 60_000;
    let day_of_era = (days + DAYS_TO_1970) % DAYS_IN_400_YEARS;
    let leap_days = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
    let year = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    Moment {
        month: month as u32,
        day: day as u32,
        // The first day was a Thursday.
        weekday: ((days + 4) % 7) as u32,
        hour: (minutes / 60) as u32,
        minute: (minutes % 60) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, moment};

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, Moment { month: 1, day: 1, weekday: 4, hour: 0, minute: 0 }),
            // 2000-02-29 was a Tuesday, 2100 has no such day: 2100-03-01 is a Monday.
            (951_782_400, Moment { month: 2, day: 29, weekday: 2, hour: 0, minute: 0 }),
            (4_107_542_400, Moment { month: 3, day: 1, weekday: 1, hour: 0, minute: 0 }),
            (1_795_305_599, Moment { month: 11, day: 21, weekday: 6, hour: 23, minute: 59 }),
            (1_735_689_599, Moment { month: 12, day: 31, weekday: 2, hour: 23, minute: 59 }),
        ];
        for (seconds, expected) in cases {
            assert_eq!(moment(seconds * 1000), expected, "{seconds}");
        }
    }
}
