//! What is fuzzed: readers of bytes that come from outside or from a disk. Each takes any bytes
//! and must neither panic nor hang, and says more where there is more to say. Used by libFuzzer
//! and, over the kept corpus, by the ordinary tests.

mod bbolt;
mod condition;
mod flags;
mod gateway;
mod log;
mod snapshot;

/// A name, which is that of a folder in `corpus/`, and who takes its bytes.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 6] = [
    ("bbolt", bbolt::run),
    ("condition", condition::run),
    ("flags", flags::run),
    ("gateway", gateway::run),
    ("log", log::run),
    ("snapshot", snapshot::run),
];

/// The target of this name.
pub fn find(name: &str) -> Option<fn(&[u8])> {
    TARGETS.iter().find(|(known, _)| *known == name).map(|(_, run)| *run)
}
