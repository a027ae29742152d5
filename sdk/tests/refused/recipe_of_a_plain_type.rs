//! A recipe whose arguments serde does not know.
use portunus_sdk::prelude::*;

recipes!(add);

struct Add;

#[recipe]
fn add(_cx: &Context, _args: Add) -> Result<u64> {
    Ok(0)
}
//~ a recipe cannot take `Add`
//~ with `#[derive(Deserialize)] struct Args`, or take `Bytes`
