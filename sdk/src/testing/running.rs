//! One call of a plugin's function: where its host functions find the transaction, and how the
//! call ended.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use super::draft::Draft;
use super::limits::Account;
use super::plugin::Grants;
use super::store::is_within;
use crate::log::Level;
use crate::range::Span;

/// What the host functions work on during one call.
pub(crate) struct Running {
    pub(crate) draft: Draft,
    pub(crate) grants: Grants,
    pub(crate) leases: Rc<BTreeSet<i64>>,
    pub(crate) now: u64,
    pub(crate) random: u64,
    pub(crate) told: Told,
    pub(crate) subject: Subject,
    pub(crate) account: Account,
}

/// What the call is about, beside its arguments: what it may look at.
#[derive(Debug, Clone)]
pub(crate) enum Subject {
    Keys,
    Lock { name: Vec<u8>, lease: i64 },
    Queue { name: Vec<u8> },
}

/// What a call told its author and operator.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) lines: Vec<(Level, String)>,
    pub(crate) counted: Vec<(String, u64)>,
    pub(crate) observed: Vec<(String, f64)>,
}

thread_local! {
    static CURRENT: RefCell<Option<Running>> = const { RefCell::new(None) };
}

/// Ends a call for a reason of the host's.
struct Ended(String);

/// Calls `function` with the host functions at work on `running`, and returns it with what the
/// function returned, or with why it did not return.
pub(crate) fn run<T>(
    running: Running,
    function: impl FnOnce() -> T,
) -> (Running, Result<T, String>) {
    let outer = CURRENT.replace(Some(running));
    assert!(outer.is_none(), "a plugin's function was called from within another one");
    let result = catch_unwind(AssertUnwindSafe(function)).map_err(|panic| why(&*panic));
    let running = CURRENT.take().expect("the call's own state, put there above");
    (running, result)
}

/// Lends the current call's state to a host function.
///
/// # Panics
/// Outside a call: the plugin's functions are to be called through a cluster.
pub(crate) fn with<T>(host: impl FnOnce(&mut Running) -> T) -> T {
    CURRENT.with_borrow_mut(|current| {
        let running = current.as_mut().expect(
            "the store, the clock and the log are there during a call only: \
             deploy the plugin into a testing::Cluster",
        );
        host(running)
    })
}

/// Ends the current call, without the noise of a panic.
pub(crate) fn end(reason: String) -> ! {
    resume_unwind(Box::new(Ended(reason)))
}

fn why(panic: &(dyn Any + Send)) -> String {
    if let Some(Ended(reason)) = panic.downcast_ref() {
        return reason.clone();
    }
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    format!("plugin panicked: {text}")
}

impl Running {
    pub(crate) fn check_read(&self, span: &Span) -> Result<(), String> {
        self.grants.check_read(span)
    }

    pub(crate) fn check_write(&self, span: &Span) -> Result<(), String> {
        self.grants.check_write(span)?;
        match self.draft.taken.iter().find(|key| is_within(key, span)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "{} writes {:?}, which the transaction writes itself",
                self.grants.plugin,
                String::from_utf8_lossy(key)
            )),
        }
    }
}
