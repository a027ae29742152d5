//! A policy that leaves out what it is asked about.
use portunus_sdk::prelude::*;

#[write_policy]
fn policy(_cx: &Context) -> Verdict {
    Verdict::Allow
}
//~ #[write_policy] needs a function with 2 parameters; write `fn policy(cx: &Context, writes: &[Write]) -> Verdict`
