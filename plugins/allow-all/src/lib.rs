//! Allows every write. The smallest policy there is, and what the benchmark measures a call with.

use portunus_sdk::prelude::*;

#[write_policy]
fn allow_all(_cx: &Context, _writes: &[Write]) -> Verdict {
    Verdict::Allow
}
