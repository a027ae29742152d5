//! An admission that is not told the lock.
use portunus_sdk::prelude::*;

#[lock_admission]
fn admit(_cx: &Context) -> Admission {
    Admit
}
//~ #[lock_admission] needs a function with 2 parameters
