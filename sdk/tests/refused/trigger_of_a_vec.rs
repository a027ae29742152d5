//! A trigger that takes its events as a vector.
use portunus_sdk::prelude::*;

#[trigger]
fn changed(_cx: &Context, _events: &Vec<Event>) -> Result {
    Ok(())
}
//~ a trigger cannot be told `&Vec<portunus_sdk::Event>`
//~ write `fn trigger(cx: &Context, events: &[Event]) -> Result`
