//! Histories of single-key operations, recorded by clients while things go wrong, and the check
//! that some order of them explains everything that was seen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use porcupine_rs::{CheckResult, Model, Operation, check_operations_timeout};

/// What a client did and what it was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Observed {
    Read {
        value: Option<u64>,
    },
    Write {
        value: u64,
    },
    /// Swapped, or found another value than expected.
    CompareAndSwap {
        expected: u64,
        value: u64,
        swapped: bool,
    },
    /// The outcome is not known: it happened at some time after its call, or never.
    MaybeWrite {
        value: u64,
    },
    MaybeCompareAndSwap {
        expected: u64,
        value: u64,
    },
}

#[derive(Clone, Debug)]
struct Register;

impl Model for Register {
    type State = (Option<u64>,);
    type Op = Observed;
    type Metadata = ();

    fn init() -> Self::State {
        (None,)
    }

    fn step(state: &Self::State, op: &Observed) -> (bool, Self::State) {
        match *op {
            Observed::Read { value } => (value == state.0, *state),
            Observed::Write { value } | Observed::MaybeWrite { value } => (true, (Some(value),)),
            Observed::CompareAndSwap { expected, value, swapped } => {
                let holds = state.0 == Some(expected);
                (holds == swapped, if swapped { (Some(value),) } else { *state })
            }
            Observed::MaybeCompareAndSwap { expected, value } => {
                let holds = state.0 == Some(expected);
                (true, if holds { (Some(value),) } else { *state })
            }
        }
    }
}

/// Collects operations of many clients on many keys.
#[derive(Clone)]
pub struct Recorder {
    start: Instant,
    operations: Arc<Mutex<BTreeMap<u64, Vec<Operation<Register>>>>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { start: Instant::now(), operations: Arc::default() }
    }
}

impl Recorder {
    /// The moment before a call is sent.
    pub fn now(&self) -> i64 {
        self.start.elapsed().as_nanos() as i64
    }

    /// Notes an operation that has just returned.
    pub fn record(&self, client: u32, key: u64, called: i64, op: Observed) {
        let unknown =
            matches!(op, Observed::MaybeWrite { .. } | Observed::MaybeCompareAndSwap { .. });
        // One without an outcome may take effect at any time from its call on.
        let return_time = if unknown { i64::MAX } else { self.now() };
        let operation = Operation {
            client_id: Some(client),
            call_time: called,
            return_time,
            op,
            metadata: None,
        };
        self.operations.lock().entry(key).or_default().push(operation);
    }

    pub fn len(&self) -> usize {
        self.operations.lock().values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Checks each key's history by itself; names the first key whose history no order explains.
pub fn is_linearizable(recorder: &Recorder, within: Duration) -> Result<(), String> {
    for (key, history) in recorder.operations.lock().iter() {
        match check_operations_timeout(history, within) {
            CheckResult::Ok => {}
            CheckResult::Illegal => return Err(format!("key {key}: {history:#?}")),
            CheckResult::Unknown => {
                return Err(format!(
                    "key {key}: {} operations are too many to check",
                    history.len()
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Observed, Recorder, is_linearizable};
    use std::time::Duration;

    fn verdict(operations: &[(i64, Observed)]) -> bool {
        let recorder = Recorder::default();
        for (called, op) in operations {
            recorder.record(0, 1, *called, op.clone());
        }
        is_linearizable(&recorder, Duration::from_secs(10)).is_ok()
    }

    #[test]
    fn a_stale_read_is_caught_and_an_unknown_write_may_show_or_not() {
        let read = |value| Observed::Read { value };
        let later = |r: &Recorder| r.now();
        let recorder = Recorder::default();
        recorder.record(0, 1, later(&recorder), Observed::Write { value: 1 });
        recorder.record(0, 1, later(&recorder), read(None));
        assert!(is_linearizable(&recorder, Duration::from_secs(10)).is_err());
        assert!(verdict(&[(0, Observed::MaybeWrite { value: 1 }), (1, read(None))]));
        assert!(verdict(&[(0, Observed::MaybeWrite { value: 1 }), (1, read(Some(1)))]));
        assert!(!verdict(&[(0, read(Some(7)))]));
    }
}
