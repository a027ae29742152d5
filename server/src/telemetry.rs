//! Where log lines go and what they look like: JSON with etcd's field names (`level ts caller
//! msg`), so that what reads etcd's log reads ours, or text for people. Metrics are not here.

use std::fmt::{self, Write};
use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriterExt};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::config::{LogConfig, LogFormat, LogOutput};

/// What others' code logs at `info` is `debug` to an operator, so a bare level is lowered for it.
const CHATTY: &[&str] = &["fjall", "h2", "hyper", "hyper_util", "lsm_tree", "tower", "wasmtime"];
/// It warns of every single call to a member that is down; that one is down is said by us, once.
const SHRILL: &str = "openraft";

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum Error {
    #[error("log filter \"{filter}\" is not valid: {reason}")]
    Filter { filter: String, reason: String },
    #[error("log file {path} cannot be opened: {reason}")]
    File { path: String, reason: String },
    #[error("logging was set up twice")]
    SetUpTwice,
}

/// Starts logging for the whole process; once.
pub fn init(config: &LogConfig) -> Result<(), Error> {
    let filter = filter(&config.level);
    let filter = EnvFilter::try_new(&filter)
        .map_err(|error| Error::Filter { filter, reason: error.to_string() })?;
    let layer = tracing_subscriber::fmt::layer::<Registry>().with_writer(writer(&config.outputs)?);
    let layer = match config.format {
        LogFormat::Json => layer.fmt_fields(JsonFields::new()).event_format(JsonLine).boxed(),
        LogFormat::Console => layer.with_ansi(is_terminal(&config.outputs)).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .try_init()
        .map_err(|_| Error::SetUpTwice)
}

/// A bare level becomes a filter that keeps dependencies quieter by one step.
fn filter(level: &str) -> String {
    let (chatty, shrill) = match level {
        "trace" | "debug" => ("info", "info"),
        "info" | "warn" => ("warn", "error"),
        _ => return level.to_owned(),
    };
    let mut filter = level.to_owned();
    for target in CHATTY {
        let _ = write!(filter, ",{target}={chatty}");
    }
    let _ = write!(filter, ",{SHRILL}={shrill}");
    filter
}

fn writer(outputs: &[LogOutput]) -> Result<BoxMakeWriter, Error> {
    let mut all: Option<BoxMakeWriter> = None;
    for output in outputs {
        let one = match output {
            LogOutput::Stdout => BoxMakeWriter::new(std::io::stdout),
            LogOutput::Stderr => BoxMakeWriter::new(std::io::stderr),
            LogOutput::File(path) => BoxMakeWriter::new(Arc::new(appended(path)?)),
        };
        all = Some(match all {
            Some(others) => BoxMakeWriter::new(others.and(one)),
            None => one,
        });
    }
    Ok(all.unwrap_or_else(|| BoxMakeWriter::new(std::io::stderr)))
}

/// Every line is one write to the end of the file, so that a file that is truncated under it goes on
/// at its beginning.
fn appended(path: &Path) -> Result<File, Error> {
    let opened = File::options().create(true).append(true).open(path);
    opened.map_err(|error| Error::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    })
}

/// Colours only when every output shows them.
fn is_terminal(outputs: &[LogOutput]) -> bool {
    std::env::var_os("NO_COLOR").is_none()
        && outputs.iter().all(|output| match output {
            LogOutput::Stdout => std::io::stdout().is_terminal(),
            LogOutput::Stderr => std::io::stderr().is_terminal(),
            LogOutput::File(_) => false,
        })
}

/// One JSON object per line.
struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut spans = String::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<FormattedFields<N>>() {
                // JsonFields wrote an object; its members go on in ours.
                let members = fields.trim().trim_start_matches('{').trim_end_matches('}');
                if !members.is_empty() {
                    write!(spans, ",{members}")?;
                }
            }
        }
        out.write_str(&line(event.metadata(), now(), &spans, |fields| event.record(fields)))?;
        out.write_char('\n')
    }
}

#[allow(clippy::disallowed_methods, reason = "a log line is stamped with the wall clock")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn line(
    metadata: &Metadata<'_>,
    since_epoch: Duration,
    spans: &str,
    record: impl FnOnce(&mut JsonMembers),
) -> String {
    let mut members = JsonMembers::default();
    record(&mut members);
    let level = match *metadata.level() {
        Level::TRACE => "trace",
        Level::DEBUG => "debug",
        Level::INFO => "info",
        Level::WARN => "warn",
        Level::ERROR => "error",
    };
    format!(
        r#"{{"level":"{level}","ts":"{}","caller":{},"msg":{}{spans}{}}}"#,
        timestamp(since_epoch),
        quoted(&caller(metadata)),
        quoted(&members.message),
        members.others
    )
}

/// The last two parts of the path and the line, as zap shortens them.
fn caller(metadata: &Metadata<'_>) -> String {
    let file = metadata.file().unwrap_or(metadata.target());
    let start = file.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at + 1);
    format!("{}:{}", &file[start..], metadata.line().unwrap_or_default())
}

/// `2026-01-02T15:04:05.000123Z`: RFC 3339 in UTC with microseconds.
fn timestamp(since_epoch: Duration) -> String {
    let seconds = since_epoch.as_secs();
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let micros = since_epoch.subsec_micros();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// Year, month and day of a day counted from 1970-01-01, in years that begin in March so that
/// the leap day comes last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Gathers an event's fields: the message, and the rest as JSON members with leading commas.
#[derive(Default)]
struct JsonMembers {
    message: String,
    others: String,
}

impl JsonMembers {
    fn member(&mut self, field: &Field, value: serde_json::Value) {
        let _ = write!(self.others, ",{}:{value}", quoted(field.name()));
    }
}

impl Visit for JsonMembers {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            _ => self.member(field, value.into()),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            _ => self.member(field, format!("{value:?}").into()),
        }
    }
}

#[cfg(test)]
#[path = "telemetry_test.rs"]
mod tests;
