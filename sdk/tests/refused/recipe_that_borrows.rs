//! A recipe that takes its arguments by reference.
use portunus_sdk::prelude::*;

recipes!(add);

#[recipe]
fn add(_cx: &Context, by: &u64) -> Result<u64> {
    Ok(*by)
}
//~ #[recipe] gives the arguments by value; write `fn recipe(cx: &Context, args: Args) -> Result<Reply>`
