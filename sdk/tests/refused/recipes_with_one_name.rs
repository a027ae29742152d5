//! Two recipes that clients could not tell apart.
use portunus_sdk::prelude::*;

recipes!(add, inner::add);

#[recipe]
fn add(_cx: &Context, by: u64) -> Result<u64> {
    Ok(by)
}

mod inner {
    use portunus_sdk::prelude::*;

    #[recipe]
    pub(crate) fn add(_cx: &Context, by: u64) -> Result<u64> {
        Ok(by)
    }
}
//~ two recipes have the same name
