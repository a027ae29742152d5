//! An admission that answers a bool.
use portunus_sdk::prelude::*;

#[lock_admission]
fn admit(_cx: &Context, _lock: &Lock) -> bool {
    true
}
//~ a lock admission cannot return `bool`
//~ write `fn admission(cx: &Context, lock: &Lock) -> Admission`
