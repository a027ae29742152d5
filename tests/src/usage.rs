//! What a member costs while it is watched, read as the load generator reads it.

use std::time::Duration;

use anyhow::{Context, Result};
use portunus::bench::{Usage, UsageProbe};

use crate::Member;

/// CPU time over `span`, and memory at its end.
pub async fn usage(member: &Member, span: Duration) -> Result<Usage> {
    let probe = UsageProbe::start(&[member.pid().context("it runs")?])?;
    tokio::time::sleep(span).await;
    probe.finish()?.into_iter().next().context("the member's own")
}
