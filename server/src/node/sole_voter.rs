//! Whether this member is the only voter there is, so that nobody else can have committed
//! anything. True only from the moment the membership that says so is applied, and false again
//! from the moment another one is in the log, before any other member can hear of it.

use parking_lot::Mutex;

/// What is known of the newest membership.
#[derive(Default)]
pub struct SoleVoter(Mutex<Newest>);

#[derive(Default)]
struct Newest {
    /// Log index of the newest membership seen.
    index: u64,
    /// It is applied, and names this member alone.
    alone: bool,
}

impl SoleVoter {
    pub fn is_it(&self) -> bool {
        self.0.lock().alone
    }

    /// A membership was appended at `index`: from now on others may vote by it.
    pub fn appended(&self, index: u64) {
        *self.0.lock() = Newest { index, alone: false };
    }

    /// The membership at `index` is applied and names this member alone. Counts only if no newer
    /// one was appended.
    pub fn applied(&self, index: u64) {
        let mut newest = self.0.lock();
        if index >= newest.index {
            *newest = Newest { index, alone: true };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SoleVoter;

    #[test]
    fn an_older_membership_that_is_applied_late_changes_nothing() {
        let sole = SoleVoter::default();
        sole.applied(1);
        assert!(sole.is_it());
        sole.appended(5);
        assert!(!sole.is_it());
        sole.applied(1);
        assert!(!sole.is_it());
        sole.applied(5);
        assert!(sole.is_it());
    }
}
