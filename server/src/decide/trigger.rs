//! Triggers' cursors: moved with the effects of what they handled, stopped and let go on.

use super::writer::Writer;
use super::{Advance, Refusal, Reply, SetTrigger, TriggerChange};
use crate::effect::{Effect, TriggerState, TriggerStatus};

/// Moves the cursor, in the transaction that holds what the trigger wrote.
pub(super) fn advance(writer: &mut Writer<'_>, request: &Advance) -> Result<Reply, Refusal> {
    let Advance { binding, from, to } = request;
    let state = known(writer, binding)?;
    if state.cursor != *from || state.status != TriggerStatus::Running || to < from {
        return Err(Refusal::CursorMoved(binding.clone()));
    }
    Ok(put(writer, TriggerState { cursor: *to, ..state }))
}

/// Pauses, resumes or skips.
pub(super) fn set(writer: &mut Writer<'_>, request: &SetTrigger) -> Result<Reply, Refusal> {
    let state = known(writer, &request.binding)?;
    let next = match &request.change {
        TriggerChange::Pause { at, error, attempts, last } => {
            if state.cursor != *at || state.status != TriggerStatus::Running {
                return Err(Refusal::CursorMoved(request.binding.clone()));
            }
            let (error, attempts, last) = (error.clone(), *attempts, *last);
            TriggerState { status: TriggerStatus::Paused { error, attempts, last }, ..state }
        }
        TriggerChange::Resume => TriggerState { status: TriggerStatus::Running, ..state },
        TriggerChange::Skip { to } => {
            let cursor = target(writer, &state, *to)?;
            TriggerState { cursor, status: TriggerStatus::Running, ..state }
        }
    };
    Ok(put(writer, next))
}

/// Where a skip leads: forward, and not beyond what is written.
fn target(writer: &Writer<'_>, state: &TriggerState, to: Option<i64>) -> Result<i64, Refusal> {
    let batch_end = match &state.status {
        TriggerStatus::Paused { last, .. } => *last,
        TriggerStatus::Running => state.cursor,
    };
    let (to, cursor, revision) = (to.unwrap_or(batch_end), state.cursor, writer.head.revision);
    if to <= cursor || to > revision {
        let binding = state.binding.clone();
        return Err(Refusal::InvalidSkip { binding, to, cursor, revision });
    }
    Ok(to)
}

fn known(writer: &Writer<'_>, binding: &str) -> Result<TriggerState, Refusal> {
    let found = writer.head.trigger(binding).cloned();
    found.ok_or_else(|| Refusal::BindingNotFound(binding.to_owned()))
}

fn put(writer: &mut Writer<'_>, state: TriggerState) -> Reply {
    if writer.head.trigger(&state.binding) != Some(&state) {
        writer.emit(Effect::TriggerSet(state));
    }
    Reply::Done { revision: writer.head.revision }
}
