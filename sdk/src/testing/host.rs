//! The host's side of the contract, with the functions that the guest's bindings have.

pub(crate) mod store {
    //! Reads and writes of the call's transaction.

    use crate::Item;
    use crate::range::Span;
    use crate::testing::running::{self, Running};

    fn span(start: &[u8], end: Option<&[u8]>) -> Span {
        (start.to_vec(), end.map(<[u8]>::to_vec))
    }

    fn single(key: &[u8]) -> Span {
        (key.to_vec(), Some([key, &[0]].concat()))
    }

    /// Ends the call on a breach. The current state is given back first: ending unwinds.
    fn hosted<T>(host: impl FnOnce(&mut Running) -> Result<T, String>) -> T {
        running::with(host).unwrap_or_else(|breach| running::end(breach))
    }

    fn forbidden(breach: String) -> String {
        format!("plugin may not do this: {breach}")
    }

    fn size(item: &Item) -> usize {
        item.key.len() + item.value.len()
    }

    pub(crate) fn get(key: &[u8]) -> Option<Item> {
        hosted(|call| {
            call.account.reads(1)?;
            call.check_read(&single(key)).map_err(forbidden)?;
            let item = call.draft.get(key);
            call.account.read_bytes(item.as_ref().map_or(0, size))?;
            Ok(item)
        })
    }

    pub(crate) fn range(start: &[u8], end: Option<&[u8]>, limit: u32) -> Vec<Item> {
        let span = span(start, end);
        hosted(|call| {
            call.account.reads(1)?;
            call.check_read(&span).map_err(forbidden)?;
            // One more than may still be read tells a full range from too long a one.
            let limit = (call.account.reads_left() + 1).min(limit as usize);
            let items = call.draft.range(&span, limit);
            call.account.reads(items.len())?;
            call.account.read_bytes(items.iter().map(size).sum())?;
            Ok(items)
        })
    }

    pub(crate) fn count(start: &[u8], end: Option<&[u8]>) -> u64 {
        let span = span(start, end);
        hosted(|call| {
            call.account.reads(1)?;
            call.check_read(&span).map_err(forbidden)?;
            Ok(call.draft.count(&span))
        })
    }

    pub(crate) fn put(key: &[u8], value: &[u8], lease: i64) {
        hosted(|call| {
            call.account.writes(1, key.len() + value.len())?;
            call.check_write(&single(key)).map_err(forbidden)?;
            if lease != 0 && !call.leases.contains(&lease) {
                return Err(forbidden(format!("there is no lease {lease}")));
            }
            call.draft.put(key, value, lease);
            Ok(())
        });
    }

    pub(crate) fn delete(key: &[u8]) -> bool {
        let span = single(key);
        hosted(|call| {
            call.account.writes(1, key.len())?;
            call.check_write(&span).map_err(forbidden)?;
            Ok(call.draft.delete(&span) > 0)
        })
    }

    pub(crate) fn delete_range(start: &[u8], end: Option<&[u8]>) -> u64 {
        let span = span(start, end);
        hosted(|call| {
            call.account.writes(1, start.len() + end.map_or(0, <[u8]>::len))?;
            call.check_write(&span).map_err(forbidden)?;
            let keys = call.draft.count(&span);
            call.account
                .writes(usize::try_from(keys).unwrap_or(usize::MAX).saturating_sub(1), 0)?;
            Ok(call.draft.delete(&span))
        })
    }
}

pub(crate) mod locks {
    //! The line of the lock that the call is about.

    use crate::Place;
    use crate::testing::records;
    use crate::testing::running::{self, Running, Subject};

    fn looking<T>(look: impl FnOnce(&mut Running, &[u8], i64) -> Result<T, String>) -> T {
        let looked = running::with(|call| match call.subject.clone() {
            Subject::Lock { name, lease } => look(call, &name, lease),
            _ => Err("plugin asked for a lock's line elsewhere".to_owned()),
        });
        looked.unwrap_or_else(|why| running::end(why))
    }

    pub(crate) fn waiters() -> Vec<Place> {
        looking(|call, name, _| {
            let waiters = records::waiters(&mut call.draft, name);
            call.account.reads(1 + waiters.len())?;
            Ok(waiters)
        })
    }

    pub(crate) fn is_next() -> bool {
        looking(|call, name, lease| {
            call.account.reads(1)?;
            Ok(records::is_next(&mut call.draft, name, lease))
        })
    }
}

pub(crate) mod queues {
    //! What stands in the queue that the call is about.

    use crate::QueueItem;
    use crate::testing::records;
    use crate::testing::running::{self, Running, Subject};

    fn looking<T>(look: impl FnOnce(&mut Running, &[u8]) -> Result<T, String>) -> T {
        let looked = running::with(|call| match call.subject.clone() {
            Subject::Queue { name } => look(call, &name),
            _ => Err("plugin asked for a queue's items elsewhere".to_owned()),
        });
        looked.unwrap_or_else(|why| running::end(why))
    }

    fn listing(list: impl FnOnce(&mut Running, &[u8]) -> Vec<QueueItem>) -> Vec<QueueItem> {
        looking(|call, name| {
            let items = list(call, name);
            call.account.reads(1 + items.len())?;
            Ok(items)
        })
    }

    pub(crate) fn ready(skip: u32, limit: u32) -> Vec<QueueItem> {
        let (skip, limit) = (skip as usize, limit as usize);
        listing(|call, name| records::ready(&mut call.draft, name, skip, limit))
    }

    pub(crate) fn in_flight(limit: u32) -> Vec<QueueItem> {
        listing(|call, name| records::in_flight(&mut call.draft, name, limit as usize))
    }

    pub(crate) fn holds(id: u64) -> bool {
        looking(|call, name| {
            call.account.reads(1)?;
            Ok(records::holds(&mut call.draft, name, id))
        })
    }
}

pub(crate) mod env {
    //! Time and randomness.

    use crate::testing::running;

    pub(crate) const RANDOM_BYTES_MAX: u32 = 1024;

    pub(crate) fn now() -> u64 {
        running::with(|call| call.now)
    }

    pub(crate) fn random(len: u32) -> Vec<u8> {
        if len > RANDOM_BYTES_MAX {
            running::end(format!(
                "plugin asked for more than {RANDOM_BYTES_MAX} random bytes at once"
            ));
        }
        running::with(|call| {
            (0..len).map(|_| splitmix(&mut call.random).to_le_bytes()[0]).collect()
        })
    }

    /// `SplitMix64`: evenly spread, and the same in every run.
    fn splitmix(state: &mut u64) -> u64 {
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = *state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

pub(crate) mod diag {
    //! What a plugin tells its author and its operator.

    use crate::log::Level;
    use crate::testing::running;

    pub(crate) fn log(level: Level, text: &str) {
        let logged = running::with(|call| {
            call.account.log_bytes(text.len())?;
            call.told.lines.push((level, text.to_owned()));
            Ok(())
        });
        logged.unwrap_or_else(|breach: String| running::end(breach));
    }

    pub(crate) fn count(name: &str, by: u64) {
        running::with(|call| call.told.counted.push((name.to_owned(), by)));
    }

    pub(crate) fn observe(name: &str, value: f64) {
        running::with(|call| call.told.observed.push((name.to_owned(), value)));
    }
}
