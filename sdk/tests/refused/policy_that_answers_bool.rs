//! A policy with a return type that is no verdict.
use portunus_sdk::prelude::*;

#[write_policy]
fn policy(_cx: &Context, writes: &[Write]) -> bool {
    writes.is_empty()
}
//~ a write policy cannot return `bool`
//~ write `fn policy(cx: &Context, writes: &[Write]) -> Verdict`
