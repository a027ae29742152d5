//! The data of an instance's store: what the running call may still use, and the view that it is
//! lent. The functions that a plugin calls are in `calls.rs`.

use std::sync::Arc;

use wasmtime::{ResourceLimiter, Result};

use super::bounds::{Limits, TABLE_ENTRIES_MAX};
use super::diary::Diary;
use super::error::{CallError, Panic};
use super::timer::Timer;
use super::view::ViewSlot;
use crate::effect::Point;

/// Where a plugin's words and figures go.
#[derive(Clone, Debug)]
pub(super) struct Desk {
    pub(super) diary: Arc<Diary>,
    pub(super) point: Point,
}

/// The data of an instance's store.
pub(super) struct Host {
    pub(super) view: ViewSlot,
    /// None while a plugin is only tried out.
    pub(super) desk: Option<Desk>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) panic: Option<Panic>,
    /// Linear memory in use, of all memories.
    pub(super) memory_bytes: usize,
    table_entries: usize,
    spent: Spent,
}

/// What the running call has used.
#[derive(Default)]
struct Spent {
    reads: usize,
    read_bytes: usize,
    writes: usize,
    write_bytes: usize,
    log_bytes: usize,
}

impl Host {
    pub(super) fn new(desk: Option<Desk>, limits: Limits) -> Self {
        Self {
            view: ViewSlot::default(),
            desk,
            limits,
            timer: Timer::default(),
            panic: None,
            memory_bytes: 0,
            table_entries: 0,
            spent: Spent::default(),
        }
    }

    /// Begins a new call's account.
    pub(super) fn begin_call(&mut self) {
        self.timer.reset();
        self.panic = None;
        self.spent = Spent::default();
    }

    /// Reads that the call may still make.
    pub(super) fn reads_left(&self) -> usize {
        self.limits.reads - self.spent.reads
    }

    pub(super) fn count_reads(&mut self, reads: usize) -> Result<(), CallError> {
        let limit = self.limits.reads;
        match spend(&mut self.spent.reads, reads, limit) {
            true => Ok(()),
            false => Err(CallError::TooManyReads { limit }),
        }
    }

    pub(super) fn count_read_bytes(&mut self, bytes: usize) -> Result<(), CallError> {
        let limit_bytes = self.limits.read_bytes;
        match spend(&mut self.spent.read_bytes, bytes, limit_bytes) {
            true => Ok(()),
            false => Err(CallError::ReadTooLarge { limit_bytes }),
        }
    }

    pub(super) fn count_writes(&mut self, writes: usize, bytes: usize) -> Result<(), CallError> {
        let (limit, limit_bytes) = (self.limits.writes, self.limits.write_bytes);
        if !spend(&mut self.spent.writes, writes, limit) {
            return Err(CallError::TooManyWrites { limit });
        }
        match spend(&mut self.spent.write_bytes, bytes, limit_bytes) {
            true => Ok(()),
            false => Err(CallError::WriteTooLarge { limit_bytes }),
        }
    }

    pub(super) fn count_log_bytes(&mut self, bytes: usize) -> Result<(), CallError> {
        let limit_bytes = self.limits.log_bytes;
        match spend(&mut self.spent.log_bytes, bytes, limit_bytes) {
            true => Ok(()),
            false => Err(CallError::LogTooLarge { limit_bytes }),
        }
    }
}

/// False when `limit` does not allow for `more`.
fn spend(spent: &mut usize, more: usize, limit: usize) -> bool {
    match spent.checked_add(more) {
        Some(total) if total <= limit => {
            *spent = total;
            true
        }
        _ => false,
    }
}

/// Growth beyond a limit ends the call. Refusing it instead would make the guest abort on its
/// own, with nothing to tell it from any other trap.
impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let total = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        let limit_bytes = self.limits.memory_bytes;
        if total > limit_bytes {
            return Err(CallError::OutOfMemory { limit_bytes }.into());
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> Result<bool> {
        let total = self.table_entries.saturating_add(desired.saturating_sub(current));
        if total > TABLE_ENTRIES_MAX {
            return Err(CallError::TableTooLarge { limit: TABLE_ENTRIES_MAX }.into());
        }
        self.table_entries = total;
        Ok(true)
    }
}
