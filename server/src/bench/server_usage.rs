//! What the measured servers cost: CPU time over a run and memory at its end, from /proc.

use std::fs;

use anyhow::{Context, ensure};

use crate::bench::time::Duration;

/// The kernel's tick where it does not say; the same on all common machines.
const TICKS_PER_SECOND: u64 = 100;
/// `AT_CLKTCK` in the auxiliary vector.
const AUXILIARY_CLOCK_TICK: u64 = 17;

/// One process over a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub pid: u32,
    /// User and system time.
    pub cpu: Duration,
    /// At the end.
    pub rss_bytes: u64,
    /// The part of it that is no file's.
    pub rss_anon_bytes: u64,
}

/// Remembers where the processes' CPU clocks stood; the last is this process.
#[derive(Clone, Debug)]
pub struct UsageProbe {
    began: Vec<(u32, Duration)>,
}

impl UsageProbe {
    /// Begins with `pids` and this process.
    pub fn start(pids: &[u32]) -> anyhow::Result<Self> {
        let all = pids.iter().copied().chain([std::process::id()]);
        let began = all.map(|pid| Ok((pid, cpu(pid)?))).collect::<anyhow::Result<_>>()?;
        Ok(Self { began })
    }

    /// The usage since the start, in the same order.
    pub fn finish(&self) -> anyhow::Result<Vec<Usage>> {
        self.began
            .iter()
            .map(|(pid, before)| {
                let status = read(*pid, "status")?;
                Ok(Usage {
                    pid: *pid,
                    cpu: cpu(*pid)?.saturating_sub(*before),
                    rss_bytes: kib(&status, "VmRSS:")? * 1024,
                    rss_anon_bytes: kib(&status, "RssAnon:")? * 1024,
                })
            })
            .collect()
    }
}

fn read(pid: u32, file: &str) -> anyhow::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/{file}"))
        .with_context(|| format!("process {pid} cannot be looked at; is --server-pid right?"))
}

fn cpu(pid: u32) -> anyhow::Result<Duration> {
    let ticks = cpu_ticks(&read(pid, "stat")?)?;
    Ok(Duration::from_micros(ticks * 1_000_000 / ticks_per_second()))
}

/// utime + stime of a /proc/PID/stat line.
fn cpu_ticks(stat: &str) -> anyhow::Result<u64> {
    // The name in parentheses may hold spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(") ").context("malformed /proc stat line")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    ensure!(fields.len() > 12, "malformed /proc stat line");
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

/// A field of /proc/PID/status.
fn kib(status: &str, field: &str) -> anyhow::Result<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.with_context(|| format!("no {field} in /proc status"))?.parse()?)
}

fn ticks_per_second() -> u64 {
    fs::read("/proc/self/auxv").ok().and_then(|auxv| clock_tick(&auxv)).unwrap_or(TICKS_PER_SECOND)
}

/// Looks through pairs of native words.
fn clock_tick(auxv: &[u8]) -> Option<u64> {
    let (pairs, _) = auxv.as_chunks::<16>();
    pairs.iter().find_map(|pair| {
        let (key, value) = pair.split_at(8);
        let word = |bytes: &[u8]| Some(u64::from_ne_bytes(bytes.try_into().ok()?));
        (word(key)? == AUXILIARY_CLOCK_TICK).then(|| word(value)).flatten().filter(|tick| *tick > 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 42 58 0 0 20 0 4 0 9 1 1";
        assert_eq!(cpu_ticks(stat).expect("well formed"), 100);
        assert!(cpu_ticks("7 (a) S 1").is_err());
    }

    #[test]
    fn memory_is_read_in_kib() {
        let status = "Name:\ta\nVmRSS:\t    2048 kB\nRssAnon:\t    1024 kB\n";
        assert_eq!(kib(status, "RssAnon:").expect("there"), 1024);
        assert!(kib(status, "VmSwap:").is_err());
    }

    #[test]
    fn the_clock_tick_is_found_among_other_words() {
        let words = [6_u64, 4096, 17, 250, 0, 0];
        let auxv: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(clock_tick(&auxv), Some(250));
        assert_eq!(clock_tick(&auxv[..16]), None);
    }

    #[test]
    fn this_process_uses_memory_and_a_missing_one_is_named() {
        let usage = UsageProbe::start(&[]).expect("this process runs").finish().expect("still");
        let [own] = usage.as_slice() else { panic!("one process, not {usage:?}") };
        assert!(own.rss_bytes >= own.rss_anon_bytes && own.rss_anon_bytes > 0);
        let error = UsageProbe::start(&[u32::MAX]).expect_err("no such process").to_string();
        assert!(error.contains("4294967295 cannot be looked at"), "{error}");
    }
}
