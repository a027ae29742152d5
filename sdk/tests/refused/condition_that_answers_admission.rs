//! A condition that answers as a lock admission does.
use portunus_sdk::prelude::*;

#[queue_condition]
fn condition(_cx: &Context, _queue: &Queue) -> Admission {
    Admit
}
//~ a queue condition cannot return `portunus_sdk::Admission`
//~ write `fn condition(cx: &Context, queue: &Queue) -> Readiness`
