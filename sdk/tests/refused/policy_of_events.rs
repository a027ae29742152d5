//! A policy that takes what a trigger takes.
use portunus_sdk::prelude::*;

#[write_policy]
fn policy(_cx: &Context, _writes: &[Event]) -> Verdict {
    Verdict::Allow
}
//~ type mismatch in function arguments
//~ expected function signature `for<'a, 'b> fn(&'a portunus_sdk::Context, &'b [portunus_sdk::Write]) -> _`
