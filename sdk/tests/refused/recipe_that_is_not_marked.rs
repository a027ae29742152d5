//! A function that is listed and has no attribute.
use portunus_sdk::prelude::*;

recipes!(add);

fn add(_cx: &Context, by: u64) -> Result<u64> {
    Ok(by)
}
//~ expected type, found function `add`
//~ `add` is a function item, not a type
