//! An admission that is told a queue.
use portunus_sdk::prelude::*;

#[lock_admission]
fn admit(_cx: &Context, _queue: &Queue) -> Admission {
    Admit
}
//~ type mismatch in function arguments
