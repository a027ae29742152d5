//! How a trigger stands on the member that runs it, for whoever asks.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::clock::Tick;
use crate::effect::BindingId;

/// What the leader alone knows of a trigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// It has had every event there is, whether the cursor says so yet or not.
    pub idle: bool,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub error: Option<String>,
    /// When the failed batch is tried again.
    pub retry_at: Option<Tick>,
}

/// The standings of all triggers that run here.
#[derive(Debug, Default)]
pub struct Standings(Mutex<HashMap<BindingId, Arc<Mutex<Standing>>>>);

impl Standings {
    /// A place for a trigger's standing; it is forgotten with the place.
    pub fn open(self: &Arc<Self>, binding: &BindingId) -> Place {
        let standing = Arc::new(Mutex::default());
        self.0.lock().insert(binding.clone(), Arc::clone(&standing));
        Place { all: Arc::clone(self), binding: binding.clone(), standing }
    }

    pub fn get(&self, binding: &str) -> Option<Standing> {
        self.0.lock().get(binding).map(|standing| standing.lock().clone())
    }
}

/// Where one runner tells how its trigger stands.
#[derive(Debug)]
pub struct Place {
    all: Arc<Standings>,
    binding: BindingId,
    standing: Arc<Mutex<Standing>>,
}

impl Place {
    pub fn note(&self, note: impl FnOnce(&mut Standing)) {
        note(&mut self.standing.lock());
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        // Another runner may have taken over the trigger.
        if all.get(&self.binding).is_some_and(|other| Arc::ptr_eq(other, &self.standing)) {
            all.remove(&self.binding);
        }
    }
}
