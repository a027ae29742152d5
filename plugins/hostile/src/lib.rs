//! Breaks one limit of the server at a time, at each extension point: the word after the last
//! `/` of the first key says which deed, and a recipe's payload does. Keys that name none are
//! harmless. The server's tests load it.

mod deeds;

use portunus_sdk::prelude::*;

recipes!(commit);

#[write_policy]
fn hostile_policy(cx: &Context, writes: &[Write]) -> Verdict {
    match deeds::commit(cx, writes[0].key()) {
        Some(text) => Verdict::refuse(text),
        None => Verdict::Allow,
    }
}

#[trigger]
fn hostile_trigger(cx: &Context, events: &[Event]) -> Result {
    match deeds::commit(cx, events[0].key()) {
        Some(text) => refuse(text),
        None => Ok(()),
    }
}

#[lock_admission]
fn hostile_admission(cx: &Context, lock: &Lock) -> Admission {
    match deeds::commit(cx, lock.name()) {
        Some(text) => Admission::refuse(text),
        None => Admit,
    }
}

#[queue_condition]
fn hostile_condition(cx: &Context, queue: &Queue) -> Readiness {
    match deeds::commit(cx, queue.name()) {
        Some(text) => Readiness::refuse(text),
        None => Readiness::Ready,
    }
}

#[recipe]
fn commit(cx: &Context, deed: Bytes) -> Result<Bytes> {
    Ok(Bytes(deeds::commit(cx, &deed.0).unwrap_or_default().into_bytes()))
}
