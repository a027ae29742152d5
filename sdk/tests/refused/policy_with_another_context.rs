//! A policy whose first parameter is something else.
use portunus_sdk::prelude::*;

#[write_policy]
fn policy(_cx: &str, _writes: &[Write]) -> Verdict {
    Verdict::Allow
}
//~ type mismatch in function arguments
//~ expected function signature `for<'a, 'b> fn(&'a portunus_sdk::Context, &'b _) -> _`
