//! A recipe that nobody could call.
use portunus_sdk::prelude::*;

recipes!(add);

#[recipe]
fn add(_cx: &Context, by: u64) -> Result<u64> {
    Ok(by)
}

#[recipe]
fn take(_cx: &Context, by: u64) -> Result<u64> {
    Ok(by)
}
//~ recipe `take` is in no list of recipes, so nobody could call it
//~ write `recipes!(take);` once in the plugin, with the names of all its recipes
