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

    /// Carries `host` out unless `allowed` names a breach, which ends the call. The current
    /// state is given back first: ending unwinds.
    fn guarded<T>(
        allowed: impl FnOnce(&Running) -> Result<(), String>,
        host: impl FnOnce(&mut Running) -> T,
    ) -> T {
        let result = running::with(|running| allowed(running).map(|()| host(running)));
        result.unwrap_or_else(|breach| running::end(format!("plugin may not do this: {breach}")))
    }

    pub(crate) fn get(key: &[u8]) -> Option<Item> {
        guarded(|call| call.check_read(&single(key)), |call| call.draft.get(key))
    }

    pub(crate) fn range(start: &[u8], end: Option<&[u8]>, limit: u32) -> Vec<Item> {
        let span = span(start, end);
        guarded(|call| call.check_read(&span), |call| call.draft.range(&span, limit as usize))
    }

    pub(crate) fn count(start: &[u8], end: Option<&[u8]>) -> u64 {
        let span = span(start, end);
        guarded(|call| call.check_read(&span), |call| call.draft.count(&span))
    }

    pub(crate) fn put(key: &[u8], value: &[u8], lease: i64) {
        let allowed = |call: &Running| {
            call.check_write(&single(key))?;
            match lease == 0 || call.leases.contains(&lease) {
                true => Ok(()),
                false => Err(format!("there is no lease {lease}")),
            }
        };
        guarded(allowed, |call| call.draft.put(key, value, lease));
    }

    pub(crate) fn delete(key: &[u8]) -> bool {
        let span = single(key);
        guarded(|call| call.check_write(&span), |call| call.draft.delete(&span)) > 0
    }

    pub(crate) fn delete_range(start: &[u8], end: Option<&[u8]>) -> u64 {
        let span = span(start, end);
        guarded(|call| call.check_write(&span), |call| call.draft.delete(&span))
    }
}

pub(crate) mod locks {
    //! The line of the lock that the call is about.

    use crate::Place;
    use crate::testing::records;
    use crate::testing::running::{self, Running, Subject};

    fn looking<T>(look: impl FnOnce(&mut Running, &[u8], i64) -> T) -> T {
        let looked = running::with(|call| match call.subject.clone() {
            Subject::Lock { name, lease } => Some(look(call, &name, lease)),
            _ => None,
        });
        looked.unwrap_or_else(|| running::end("plugin asked for a lock's line elsewhere".into()))
    }

    pub(crate) fn waiters() -> Vec<Place> {
        looking(|call, name, _| records::waiters(&mut call.draft, name))
    }

    pub(crate) fn is_next() -> bool {
        looking(|call, name, lease| records::is_next(&mut call.draft, name, lease))
    }
}

pub(crate) mod queues {
    //! What stands in the queue that the call is about.

    use crate::QueueItem;
    use crate::testing::records;
    use crate::testing::running::{self, Running, Subject};

    fn looking<T>(look: impl FnOnce(&mut Running, &[u8]) -> T) -> T {
        let looked = running::with(|call| match call.subject.clone() {
            Subject::Queue { name } => Some(look(call, &name)),
            _ => None,
        });
        looked.unwrap_or_else(|| running::end("plugin asked for a queue's items elsewhere".into()))
    }

    pub(crate) fn ready(skip: u32, limit: u32) -> Vec<QueueItem> {
        let (skip, limit) = (skip as usize, limit as usize);
        looking(|call, name| records::ready(&mut call.draft, name, skip, limit))
    }

    pub(crate) fn in_flight(limit: u32) -> Vec<QueueItem> {
        looking(|call, name| records::in_flight(&mut call.draft, name, limit as usize))
    }

    pub(crate) fn holds(id: u64) -> bool {
        looking(|call, name| records::holds(&mut call.draft, name, id))
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
        running::with(|call| call.told.lines.push((level, text.to_owned())));
    }

    pub(crate) fn count(name: &str, by: u64) {
        running::with(|call| call.told.counted.push((name.to_owned(), by)));
    }

    pub(crate) fn observe(name: &str, value: f64) {
        running::with(|call| call.told.observed.push((name.to_owned(), value)));
    }
}
