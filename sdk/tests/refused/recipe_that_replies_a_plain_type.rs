//! A recipe whose reply serde does not know.
use portunus_sdk::prelude::*;

recipes!(add);

struct Total;

#[recipe]
fn add(_cx: &Context, _by: u64) -> Result<Total> {
    Ok(Total)
}
//~ a recipe cannot reply `Total`
//~ with `#[derive(Serialize)] struct Reply`, or reply `Bytes`
