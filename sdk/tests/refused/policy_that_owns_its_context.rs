//! A policy that takes its context by value.
use portunus_sdk::prelude::*;

#[write_policy]
fn policy(_cx: Context, _writes: &[Write]) -> Verdict {
    Verdict::Allow
}
//~ #[write_policy] gives the context first, by reference; write `fn policy(cx: &Context
