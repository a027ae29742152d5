//! What one plugin did, for its author and its operator: its last log lines, which can be
//! followed, and its figures. It lives as long as the plugin is deployed, through all of its
//! generations.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::diary_export;
use super::diary_lines::{Level, Line, Lines, Rate};
use super::diary_meters::{Figures, Meters};
use super::diary_user::UserMetrics;
use super::error::CallError;
use crate::effect::Point;

/// The diary of a plugin.
#[derive(Debug)]
pub struct Diary {
    plugin: String,
    lines: Mutex<Lines>,
    rate: Mutex<Rate>,
    /// The number of the newest line.
    newest: watch::Sender<u64>,
    meters: [OnceLock<Meters>; Point::ALL.len()],
    user: UserMetrics,
}

impl Diary {
    /// An empty diary, whose figures are exported while it lives.
    pub fn new(plugin: &str) -> Arc<Self> {
        let diary = Arc::new(Self {
            plugin: plugin.to_owned(),
            lines: Mutex::default(),
            rate: Mutex::default(),
            newest: watch::Sender::new(0),
            meters: Default::default(),
            user: UserMetrics::default(),
        });
        diary_export::show(&diary);
        diary
    }

    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Adds a line. `unix_ms` is the time of the call that it belongs to. The server's own log
    /// gets it as well, unless the plugin speaks faster than that can bear.
    pub fn write(&self, point: Point, level: Level, unix_ms: u64, text: String) {
        let forwarded = self.rate.lock().take(unix_ms);
        if let Some(skipped) = forwarded {
            self.forward(point, level, &text, skipped);
        }
        let number = self.lines.lock().push(point, level, unix_ms, text);
        self.newest.send_if_modified(|newest| {
            let newer = number > *newest;
            *newest = number.max(*newest);
            newer
        });
    }

    fn forward(&self, point: Point, level: Level, text: &str, skipped: u64) {
        let (plugin, point) = (&*self.plugin, point.name());
        if skipped > 0 {
            tracing::warn!(target: "plugin", plugin, skipped, "plugin says more than is shown");
        }
        // `?text` keeps line breaks and control characters out of the log.
        match level {
            Level::Debug => tracing::debug!(target: "plugin", plugin, point, ?text, "plugin says"),
            Level::Info => tracing::info!(target: "plugin", plugin, point, ?text, "plugin says"),
            Level::Warn => tracing::warn!(target: "plugin", plugin, point, ?text, "plugin says"),
            Level::Error => tracing::error!(target: "plugin", plugin, point, ?text, "plugin says"),
        }
    }

    /// Writes down why a call failed, with all that its author needs.
    pub fn failed(&self, point: Point, unix_ms: u64, error: &CallError) {
        self.meters(point).failed(error.kind());
        let text = match error.backtrace() {
            Some(backtrace) if !backtrace.is_empty() => format!("{error}\n{backtrace}"),
            _ => error.to_string(),
        };
        self.write(point, Level::Error, unix_ms, text);
    }

    /// The kept lines with a number above `number`, oldest first, at most `max`.
    pub fn lines_after(&self, number: u64, max: usize) -> Vec<Line> {
        self.lines.lock().after(number, max)
    }

    /// Tells the number of the newest line whenever there is one; ends when the plugin is gone.
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The figures of the plugin at `point`; made when they are first asked for.
    pub(super) fn meters(&self, point: Point) -> &Meters {
        self.meters[slot(point)].get_or_init(|| Meters::new(&self.plugin, point))
    }

    /// The points at which the plugin has been asked, with its figures.
    pub fn figures(&self) -> Vec<(Point, Figures)> {
        let kept = |point| Some((point, self.meters[slot(point)].get()?.figures()));
        Point::ALL.into_iter().filter_map(kept).collect()
    }

    /// Its call rested on what had changed since, and is made again.
    pub fn reran(&self, point: Point) {
        self.meters(point).reran();
    }

    /// Its call was given up, because what it rested on changed each time.
    pub fn conflicted(&self, point: Point) {
        self.meters(point).conflicted();
    }

    /// Its call waits; counted for as long as the result is kept.
    pub fn park(self: &Arc<Self>, point: Point) -> Parked {
        self.meters(point).parked(1);
        Parked { diary: Arc::clone(self), point }
    }

    /// Adds to a counter of the plugin's own.
    pub(super) fn count(&self, point: Point, name: &str, by: u64) -> Result<(), CallError> {
        self.user.count(&self.plugin, point, name, by)
    }

    /// Adds to a histogram of the plugin's own.
    pub(super) fn observe(&self, point: Point, name: &str, value: f64) -> Result<(), CallError> {
        self.user.observe(&self.plugin, point, name, value)
    }

    pub(super) fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        let meters = self.meters.iter().filter_map(OnceLock::get).flat_map(Meters::collect);
        meters.chain(self.user.collect()).collect()
    }
}

fn slot(point: Point) -> usize {
    match point {
        Point::WritePolicy => 0,
        Point::Trigger => 1,
        Point::Recipe => 2,
        Point::LockAdmission => 3,
        Point::QueueCondition => 4,
    }
}

/// A call that waits.
#[derive(Debug)]
pub struct Parked {
    diary: Arc<Diary>,
    point: Point,
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.diary.meters(self.point).parked(-1);
    }
}

/// The diaries of a node's plugins, by name.
#[derive(Debug, Default)]
pub struct Diaries(Mutex<HashMap<String, Arc<Diary>>>);

impl Diaries {
    /// The plugin's diary, begun if there is none.
    pub fn of(&self, plugin: &str) -> Arc<Diary> {
        let mut diaries = self.0.lock();
        if let Some(diary) = diaries.get(plugin) {
            return Arc::clone(diary);
        }
        let diary = Diary::new(plugin);
        diaries.insert(plugin.to_owned(), Arc::clone(&diary));
        diary
    }

    /// The plugin's diary, if it has one.
    pub fn get(&self, plugin: &str) -> Option<Arc<Diary>> {
        self.0.lock().get(plugin).cloned()
    }

    /// Lets go of the diaries of plugins that are gone.
    pub fn retain(&self, deployed: impl Fn(&str) -> bool) {
        self.0.lock().retain(|plugin, _| deployed(plugin));
    }
}

#[cfg(test)]
#[path = "diary_test.rs"]
mod tests;
