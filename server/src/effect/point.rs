//! Temporary: the points, until the registry's types are here.

/// Where a plugin is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    #[default]
    WritePolicy,
    Trigger,
    Recipe,
}
