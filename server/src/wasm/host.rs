//! What a plugin can call: reads of the lent view, log lines, and the report of a panic. Each
//! counts against the call's limits and ends the call when one is reached.

use std::sync::Arc;

use wasmtime::{ResourceLimiter, Result};

use super::bounds::{Limits, TABLE_ENTRIES_MAX};
use super::contract::portunus::plugin::{diag, store, types};
use super::error::{CallError, Panic, cut};
use super::store_view::ViewSlot;
use super::timer::Timer;
use crate::types::{Item, KeyRange, RangeEnd};

/// The data of an instance's store.
pub(super) struct Host {
    pub(super) view: ViewSlot,
    pub(super) binding: Arc<str>,
    pub(super) limits: Limits,
    pub(super) timer: Timer,
    pub(super) panic: Option<Panic>,
    /// Linear memory in use, of all memories.
    pub(super) memory_bytes: usize,
    table_entries: usize,
    reads: usize,
    read_bytes: usize,
    log_bytes: usize,
}

impl Host {
    pub(super) fn new(binding: Arc<str>, limits: Limits) -> Self {
        Self {
            view: ViewSlot::default(),
            binding,
            limits,
            timer: Timer::default(),
            panic: None,
            memory_bytes: 0,
            table_entries: 0,
            reads: 0,
            read_bytes: 0,
            log_bytes: 0,
        }
    }

    /// Begins a new call's account.
    pub(super) fn begin_call(&mut self) {
        self.timer.reset();
        self.panic = None;
        self.reads = 0;
        self.read_bytes = 0;
        self.log_bytes = 0;
    }

    fn count_reads(&mut self, reads: usize) -> Result<(), CallError> {
        self.reads += reads;
        let limit = self.limits.reads;
        if self.reads > limit { Err(CallError::TooManyReads { limit }) } else { Ok(()) }
    }

    fn hand_out(&mut self, item: &Item) -> Result<types::ItemResult, CallError> {
        self.read_bytes += item.key().len() + item.value().len();
        let limit_bytes = self.limits.read_bytes;
        if self.read_bytes > limit_bytes {
            return Err(CallError::ReadTooLarge { limit_bytes });
        }
        Ok(types::ItemResult {
            key: item.key().to_vec(),
            value: item.value().to_vec(),
            create_revision: item.create_revision(),
            mod_revision: item.mod_revision(),
            version: item.version(),
            lease: item.lease().0,
        })
    }
}

fn range_of(start: Vec<u8>, end: Option<Vec<u8>>) -> KeyRange {
    let end = end.map_or(RangeEnd::Unbounded, |end| RangeEnd::Before(end.into()));
    KeyRange { start: start.into(), end }
}

impl types::Host for Host {}

impl store::Host for Host {
    fn get(&mut self, key: Vec<u8>) -> Result<Option<types::ItemResult>> {
        self.count_reads(1)?;
        let item = self.view.get().and_then(|view| view.get(&key)).map_err(CallError::from)?;
        Ok(item.map(|item| self.hand_out(&item)).transpose()?)
    }

    fn range(
        &mut self,
        start: Vec<u8>,
        end: Option<Vec<u8>>,
        limit: u32,
    ) -> Result<Vec<types::ItemResult>> {
        self.count_reads(1)?;
        // One more than the plugin may still read tells a full range from too long a one.
        let left = self.limits.reads - self.reads + 1;
        let limit = left.min(limit as usize);
        let range = range_of(start, end);
        if limit == 0 || range.is_empty() {
            return Ok(Vec::new());
        }
        let items =
            self.view.get().and_then(|view| view.range(&range, limit)).map_err(CallError::from)?;
        self.count_reads(items.len())?;
        Ok(items.iter().map(|item| self.hand_out(item)).collect::<Result<_, _>>()?)
    }

    fn count(&mut self, start: Vec<u8>, end: Option<Vec<u8>>) -> Result<u64> {
        self.count_reads(1)?;
        let range = range_of(start, end);
        if range.is_empty() {
            return Ok(0);
        }
        Ok(self.view.get().and_then(|view| view.count(&range)).map_err(CallError::from)?)
    }
}

impl diag::Host for Host {
    fn log(&mut self, level: diag::Level, text: String) -> Result<()> {
        // An empty line costs as well.
        self.log_bytes += text.len() + 1;
        let limit_bytes = self.limits.log_bytes;
        if self.log_bytes > limit_bytes {
            return Err(CallError::LogTooLarge { limit_bytes }.into());
        }
        let binding = &*self.binding;
        // `?text` keeps line breaks and control characters out of the log.
        match level {
            diag::Level::Debug => tracing::debug!(target: "plugin", binding, ?text, "plugin says"),
            diag::Level::Info => tracing::info!(target: "plugin", binding, ?text, "plugin says"),
            diag::Level::Warn => tracing::warn!(target: "plugin", binding, ?text, "plugin says"),
            diag::Level::Error => tracing::error!(target: "plugin", binding, ?text, "plugin says"),
        }
        Ok(())
    }

    fn panic(&mut self, text: String, file: String, line: u32, column: u32) -> Result<()> {
        self.panic = Some(Panic {
            text: cut(&text).to_owned(),
            location: format!("{}:{line}:{column}", cut(&file)),
            backtrace: String::new(),
        });
        Ok(())
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
