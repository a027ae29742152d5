//! A recipe whose reply serde does not know.
use portunus_sdk::prelude::*;

recipes!(add);

struct Total;

#[recipe]
fn add(_cx: &Context, _by: u64) -> Result<Total> {
    Ok(Total)
}
//~ the trait bound `Total: serde::Serialize` is not satisfied
//~ for local types consider adding `#[derive(serde::Serialize)]` to your `Total` type
