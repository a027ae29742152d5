//! Waiting for a condition instead of for a time.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// Far beyond what any condition takes on a loaded machine; reached only by a failure.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks until `attempt` succeeds and returns what it found. Panics with the last refusal.
pub async fn eventually<T, E: Debug, F: Future<Output = Result<T, E>>>(
    what: &str,
    attempt: impl FnMut() -> F,
) -> T {
    eventually_within(PATIENCE, what, attempt).await
}

/// As [`eventually`], with patience of the caller's own.
pub async fn eventually_within<T, E: Debug, F: Future<Output = Result<T, E>>>(
    patience: Duration,
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> T {
    let start = Instant::now();
    loop {
        match attempt().await {
            Ok(found) => return found,
            Err(error) if start.elapsed() > patience => panic!("{what}: {error:?}"),
            Err(_) => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}
