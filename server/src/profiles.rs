//! Profiles of the running process in the form that `go tool pprof` reads (`--enable-pprof`): where
//! its CPU time goes, and who holds its heap. The only user of the profilers.
//!
//! The allocator samples only where it was told so before the process began to allocate. A process
//! that is to have heap profiles therefore begins once more with that setting in its environment.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use jemalloc_pprof::{PROF_CTL, StackProfile, WeightedStack};
use pprof::ProfilerGuardBuilder;

/// Samples of each second in which a thread runs, as in Go.
const SAMPLES_A_SECOND: i32 = 100;
const NANOS_A_SAMPLE: f64 = 1e9 / SAMPLES_A_SECOND as f64;
/// A sample in the unwinder itself could meet its own lock.
const NOT_SAMPLED: [&str; 1] = ["libgcc_s"];

/// Where the allocator finds its settings.
const SETTINGS: &str = "_RJEM_MALLOC_CONF";
/// One sample for each 512 KiB that are allocated, as in Go.
const SAMPLING: &str = "prof:true,lg_prof_sample:19";

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not enable CPU profiling: {0}")]
    Cpu(#[from] pprof::Error),
    #[error("the allocator keeps no samples: start with --enable-pprof")]
    NoSamples,
    #[error("the allocator gives no profile: {0}")]
    Heap(String),
    #[error("the profile was given up")]
    GivenUp,
}

/// Begins the process anew so that the allocator samples. Comes back when it does so already, or
/// when that is not to be had: then there are profiles of the CPU alone, and a warning.
///
/// Call it before there is anything to lose.
pub fn sample_allocations() {
    if PROF_CTL.is_some() {
        return;
    }
    let settings = std::env::var_os(SETTINGS).unwrap_or_default();
    if settings.to_string_lossy().contains(SAMPLING) {
        tracing::warn!("the allocator does not sample, there are no heap profiles");
        return;
    }
    let Ok(program) = std::env::current_exe() else {
        tracing::warn!("the program does not find itself, there are no heap profiles");
        return;
    };
    let mut arguments = std::env::args_os();
    let mut again = Command::new(program);
    if let Some(name) = arguments.next() {
        again.arg0(name);
    }
    let error = again.args(arguments).env(SETTINGS, with_sampling(settings)).exec();
    tracing::warn!(%error, "the program does not begin anew, there are no heap profiles");
}

fn with_sampling(mut settings: OsString) -> OsString {
    if !settings.is_empty() {
        settings.push(",");
    }
    settings.push(SAMPLING);
    settings
}

/// What the threads do for the next `span`, as CPU time by stack. One at a time.
///
/// # Errors
/// Another profile is being taken, or the system gives no timer.
pub async fn cpu(span: Duration) -> Result<Vec<u8>, Error> {
    let guard = ProfilerGuardBuilder::default()
        .frequency(SAMPLES_A_SECOND)
        .blocklist(&NOT_SAMPLED)
        .build()?;
    tokio::time::sleep(span).await;
    let report = tokio::task::spawn_blocking(move || {
        let report = guard.report().build_unresolved()?;
        let mut profile = StackProfile::default();
        for (stack, samples) in report.data {
            // The profile has the outermost call first, the unwinder the innermost; behind the
            // outermost it may tell of a call from nowhere.
            let calls = stack.frames.iter().rev().map(|frame| frame.ip() as usize);
            let addrs = calls.filter(|address| *address != 0).collect();
            let weight = samples as f64 * NANOS_A_SAMPLE;
            profile.push_stack(WeightedStack { addrs, weight }, None);
        }
        Ok(profile.to_pprof(("cpu", "nanoseconds"), ("cpu", "nanoseconds"), None))
    });
    report.await.unwrap_or(Err(Error::GivenUp))
}

/// The living allocations by the stack that made them, from samples.
///
/// # Errors
/// The allocator does not sample.
pub async fn heap() -> Result<Vec<u8>, Error> {
    let control = PROF_CTL.as_ref().ok_or(Error::NoSamples)?;
    let dumped = tokio::task::spawn_blocking(move || control.blocking_lock().dump_pprof());
    let dumped = dumped.await.map_err(|_| Error::GivenUp)?;
    dumped.map_err(|error| Error::Heap(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::{SAMPLING, with_sampling};

    #[test]
    fn what_the_environment_says_to_the_allocator_stays() {
        assert_eq!(with_sampling("".into()), SAMPLING);
        let both = with_sampling("narenas:2".into());
        assert_eq!(both.to_str(), Some(format!("narenas:2,{SAMPLING}").as_str()));
    }
}
