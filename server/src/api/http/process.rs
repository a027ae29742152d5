//! Figures of the process itself, under the names that Prometheus' own clients give them.

use std::fs;

use crate::metrics::Readings;

/// Fields of `/proc/self/stat`, counted from the state, which follows the name in parentheses.
const USER_TICKS: usize = 11;
const SYSTEM_TICKS: usize = 12;
const START_TICKS: usize = 19;
const VIRTUAL_BYTES: usize = 20;
const RESIDENT_PAGES: usize = 21;

/// Reads `/proc`; what cannot be read is left out.
pub fn read(to: &Readings) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse)
    {
        write_stat(to, &stat);
    }
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The directory that is being read is open too.
        let open = open.count().saturating_sub(1) as f64;
        to.gauge("process_open_fds", "Number of open file descriptors.", open);
        to.gauge("os_fd_used", "The number of used file descriptors.", open);
    }
    let limit = descriptor_limit() as f64;
    to.gauge("process_max_fds", "Maximum number of open file descriptors.", limit);
    to.gauge("os_fd_limit", "The file descriptor limit.", limit);
}

fn descriptor_limit() -> u64 {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    limit.unwrap_or(u64::MAX)
}

/// What Go programs tell of themselves at `/debug/vars`, as far as there is something to tell.
pub fn variables() -> String {
    let words: Vec<_> = std::env::args_os().map(|w| w.to_string_lossy().into_owned()).collect();
    let limit = descriptor_limit();
    serde_json::json!({ "cmdline": words, "file_descriptor_limit": limit }).to_string()
}

fn write_stat(to: &Readings, stat: &Stat) {
    let second = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as f64;
    let cpu = "Total user and system CPU time spent in seconds.";
    to.float_counter("process_cpu_seconds_total", cpu, stat.cpu_ticks as f64 / second);
    let resident = "Resident memory size in bytes.";
    to.gauge("process_resident_memory_bytes", resident, stat.resident_pages as f64 * page);
    let all = "Virtual memory size in bytes.";
    to.gauge("process_virtual_memory_bytes", all, stat.virtual_bytes as f64);
    if let Some(boot) = boot_seconds() {
        let start = "Start time of the process since unix epoch in seconds.";
        to.gauge("process_start_time_seconds", start, boot + stat.start_ticks as f64 / second);
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    cpu_ticks: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    /// The name may hold anything, parentheses too, so the fields begin behind the last one.
    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let field = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            cpu_ticks: field(USER_TICKS)? + field(SYSTEM_TICKS)?,
            start_ticks: field(START_TICKS)?,
            virtual_bytes: field(VIRTUAL_BYTES)?,
            resident_pages: field(RESIDENT_PAGES)?,
        })
    }
}

fn boot_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let text =
            "7 (a) b) S 1 7 7 0 -1 4194304 900 0 0 0 150 50 0 0 20 0 9 0 12345 8192000 512 1";
        let stat = Stat {
            cpu_ticks: 200,
            start_ticks: 12345,
            virtual_bytes: 8_192_000,
            resident_pages: 512,
        };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("7 (a) S 1"), None);
    }
}
