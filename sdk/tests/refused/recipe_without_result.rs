//! A recipe that does not return a `Result`.
use portunus_sdk::prelude::*;

recipes!(add);

#[recipe]
fn add(_cx: &Context, by: u64) -> u64 {
    by
}
//~ a recipe cannot return `u64`
//~ write `fn recipe(cx: &Context, args: Args) -> Result<Reply>`
