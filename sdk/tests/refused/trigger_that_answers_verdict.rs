//! A trigger that answers as a policy does.
use portunus_sdk::prelude::*;

#[trigger]
fn changed(_cx: &Context, _events: &[Event]) -> Verdict {
    Verdict::Allow
}
//~ a trigger cannot return `portunus_sdk::Verdict`
//~ write `fn trigger(cx: &Context, events: &[Event]) -> Result`
