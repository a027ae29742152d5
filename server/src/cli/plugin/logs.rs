//! `plugin logs`: what a plugin says, with panics and their backtraces.

use clap::Args;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{LogLine, LogsRequest};

use crate::cli::connection::{Servers, connect_to_leader, refused};
use crate::cli::output;

/// Whose lines.
#[derive(Debug, Args)]
pub struct Logs {
    name: String,
    /// Go on as lines come
    #[arg(long, short)]
    follow: bool,
    /// Begin with the last so many lines; else with all that are kept
    #[arg(long, value_name = "LINES")]
    tail: Option<u32>,
    #[command(flatten)]
    servers: Servers,
}

/// Prints lines as they come, so nothing is left to print at the end.
pub async fn logs(options: &Logs) -> anyhow::Result<String> {
    let mut client = PluginClient::new(connect_to_leader(&options.servers).await?);
    let request = LogsRequest {
        name: options.name.clone(),
        follow: options.follow,
        tail: options.tail.unwrap_or(0),
    };
    let answer = client.logs(request).await.map_err(|status| refused(&status))?;
    let mut stream = answer.into_inner();
    let mut said = 0;
    while let Some(part) = stream.message().await.map_err(|status| refused(&status))? {
        for line in &part.lines {
            if said != 0 && line.number > said + 1 {
                eprintln!("{} lines are lost", line.number - said - 1);
            }
            said = line.number;
            output::print(&text(line))?;
        }
    }
    if said == 0 && !options.follow {
        eprintln!("{} has said nothing to the leader since it started", options.name);
    }
    Ok(String::new())
}

fn text(line: &LogLine) -> String {
    let time = clock(line.unix_ms);
    format!("{time} {:5} {} {}\n", line.level, line.point_name(), line.text)
}

trait Named {
    fn point_name(&self) -> &'static str;
}

impl Named for LogLine {
    fn point_name(&self) -> &'static str {
        super::table::point(self.point)
    }
}

/// Date and time in UTC, to the millisecond.
fn clock(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// The date so many days after 1970 began, counted in cycles of 400 years from the first of March.
fn date(days: u64) -> (u64, u64, u64) {
    const TO_1970: u64 = 719_468;
    const CYCLE: u64 = 146_097;
    let (cycle, day) = ((days + TO_1970) / CYCLE, (days + TO_1970) % CYCLE);
    let year = (day - day / 1460 + day / 36_524 - day / (CYCLE - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::clock;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(clock(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(clock(951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(clock(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(clock(1_234_567_890_123), "2009-02-13T23:31:30.123Z");
        assert_eq!(clock(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}
