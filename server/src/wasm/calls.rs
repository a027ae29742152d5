//! What a plugin can call: reads and writes of the lent view, the time and the dice, log lines,
//! figures of its own, and the report of a panic. Each counts against the call's limits and ends
//! the call when one is reached.

use wasmtime::Result;

use super::admission::{QueuedItem, hand_out_item, hand_out_place};
use super::bounds::RANDOM_BYTES_MAX;
use super::contract::portunus::plugin::{diag, env, locks, queues, store, types};
use super::diary_lines::Level;
use super::error::{CallError, Panic, cut};
use super::host::{Desk, Host};
use super::view::{Refused, View};
use crate::types::{Item, KeyRange, LeaseId, RangeEnd};

impl Host {
    fn lent<T>(
        &mut self,
        with: impl FnOnce(&mut dyn View) -> Result<T, Refused>,
    ) -> Result<T, CallError> {
        Ok(self.view.get().and_then(with)?)
    }

    fn hand_out(&mut self, item: &Item) -> Result<types::ItemResult, CallError> {
        self.count_read_bytes(item.key().len() + item.value().len())?;
        Ok(types::ItemResult {
            key: item.key().to_vec(),
            value: item.value().to_vec(),
            create_revision: item.create_revision(),
            mod_revision: item.mod_revision(),
            version: item.version(),
            lease: item.lease().0,
        })
    }

    fn items(
        &mut self,
        limit: u32,
        read: impl FnOnce(&mut dyn View, usize) -> Result<Vec<QueuedItem>, Refused>,
    ) -> Result<Vec<queues::QueueItem>> {
        self.count_reads(1)?;
        let limit = (self.reads_left() + 1).min(limit as usize);
        let items = self.lent(|view| read(view, limit))?;
        self.count_reads(items.len())?;
        for item in &items {
            self.count_read_bytes(item.payload.len())?;
        }
        Ok(items.into_iter().map(hand_out_item).collect())
    }

    /// The desk and the time of the running call.
    fn speaking(&mut self) -> Result<(&Desk, u64), CallError> {
        let now_ms = self.view.get()?.now_ms();
        let outside = || Refused("diag can only be used during a call".to_owned());
        Ok((self.desk.as_ref().ok_or_else(outside)?, now_ms))
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
        let item = self.lent(|view| view.get(&key))?;
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
        let limit = (self.reads_left() + 1).min(limit as usize);
        let range = range_of(start, end);
        if limit == 0 || range.is_empty() {
            return Ok(Vec::new());
        }
        let items = self.lent(|view| view.range(&range, limit))?;
        self.count_reads(items.len())?;
        Ok(items.iter().map(|item| self.hand_out(item)).collect::<Result<_, _>>()?)
    }

    fn count(&mut self, start: Vec<u8>, end: Option<Vec<u8>>) -> Result<u64> {
        self.count_reads(1)?;
        let range = range_of(start, end);
        if range.is_empty() {
            return Ok(0);
        }
        Ok(self.lent(|view| view.count(&range))?)
    }

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>, lease: i64) -> Result<()> {
        self.count_writes(1, key.len() + value.len())?;
        Ok(self.lent(|view| match key.is_empty() {
            true => Err(Refused("a key cannot be empty".to_owned())),
            false => view.put(&key, &value, LeaseId(lease)),
        })?)
    }

    fn delete(&mut self, key: Vec<u8>) -> Result<bool> {
        self.count_writes(1, key.len())?;
        let range = KeyRange::single(key);
        Ok(self.lent(|view| view.delete(&range))? > 0)
    }

    fn delete_range(&mut self, start: Vec<u8>, end: Option<Vec<u8>>) -> Result<u64> {
        self.count_writes(1, start.len() + end.as_ref().map_or(0, Vec::len))?;
        let range = range_of(start, end);
        if range.is_empty() {
            return Ok(0);
        }
        // Counted before, so that a range of millions is refused without being gone through.
        let keys = self.lent(|view| view.count(&range))?;
        self.count_writes(usize::try_from(keys).unwrap_or(usize::MAX).saturating_sub(1), 0)?;
        Ok(self.lent(|view| view.delete(&range))?)
    }
}

impl locks::Host for Host {
    fn waiters(&mut self) -> Result<Vec<locks::PlaceResult>> {
        self.count_reads(1)?;
        let places = self.lent(|view| view.waiters())?;
        self.count_reads(places.len())?;
        for place in &places {
            self.count_read_bytes(place.metadata.len())?;
        }
        Ok(places.into_iter().map(hand_out_place).collect())
    }

    fn is_next(&mut self) -> Result<bool> {
        self.count_reads(1)?;
        Ok(self.lent(|view| view.is_next())?)
    }
}

impl queues::Host for Host {
    fn ready(&mut self, skip: u32, limit: u32) -> Result<Vec<queues::QueueItem>> {
        self.items(limit, |view, limit| view.ready_items(skip as usize, limit))
    }

    fn in_flight(&mut self, limit: u32) -> Result<Vec<queues::QueueItem>> {
        self.items(limit, |view, limit| view.items_in_flight(limit))
    }

    fn holds(&mut self, id: u64) -> Result<bool> {
        self.count_reads(1)?;
        Ok(self.lent(|view| view.holds_item(id))?)
    }
}

impl env::Host for Host {
    fn now(&mut self) -> Result<u64> {
        Ok(self.lent(|view| Ok(view.now_ms()))?)
    }

    fn random(&mut self, len: u32) -> Result<Vec<u8>> {
        let limit_bytes = RANDOM_BYTES_MAX;
        if len as usize > limit_bytes {
            return Err(CallError::TooMuchRandom { limit_bytes }.into());
        }
        let mut bytes = vec![0; len as usize];
        self.lent(|view| {
            view.random(&mut bytes);
            Ok(())
        })?;
        Ok(bytes)
    }
}

impl diag::Host for Host {
    fn log(&mut self, level: diag::Level, text: String) -> Result<()> {
        // An empty line costs as well.
        self.count_log_bytes(text.len() + 1)?;
        let level = match level {
            diag::Level::Debug => Level::Debug,
            diag::Level::Info => Level::Info,
            diag::Level::Warn => Level::Warn,
            diag::Level::Error => Level::Error,
        };
        let (desk, now_ms) = self.speaking()?;
        desk.diary.write(desk.point, level, now_ms, text);
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

    fn count(&mut self, name: String, by: u64) -> Result<()> {
        let (desk, _) = self.speaking()?;
        Ok(desk.diary.count(desk.point, &name, by)?)
    }

    fn observe(&mut self, name: String, value: f64) -> Result<()> {
        let (desk, _) = self.speaking()?;
        Ok(desk.diary.observe(desk.point, &name, value)?)
    }
}
