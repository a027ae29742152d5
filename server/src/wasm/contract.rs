//! The contract with plugins as generated from `sdk/wit`: types, host interfaces and extension
//! points, and the names by which a component is recognised. Nothing here knows limits.

wasmtime::component::bindgen!({
    path: "../sdk/wit",
    world: "all-points",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});

use crate::effect::Point;

/// The package that all our interfaces belong to.
pub(super) const PACKAGE: &str = "portunus:plugin/";
/// The contract's version: a plugin built for another minor version is refused.
pub(super) const VERSION: &str = "0.1.0";
/// What a plugin may import.
pub(super) const IMPORTS: [&str; 6] = ["types", "store", "env", "diag", "locks", "queues"];

/// The export that makes a plugin one for `point`.
pub(super) fn export_of(point: Point) -> String {
    format!("{PACKAGE}{}@{VERSION}", point.name())
}

/// How a name of an import or export relates to the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// An interface of this contract.
    Ours(&'a str),
    /// An interface of another version of it.
    OtherVersion,
    Foreign,
}

/// Reads `package/interface@version`.
pub(super) fn classify(name: &str) -> Name<'_> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Name::Foreign };
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    if minor(version) == minor(VERSION) { Name::Ours(interface) } else { Name::OtherVersion }
}

/// Major and minor: before 1.0 a new minor version may break.
fn minor(version: &str) -> Option<&str> {
    version.rsplit_once('.').map(|(minor, _)| minor)
}

#[cfg(test)]
mod tests {
    use super::{Name, VERSION, classify, export_of};
    use crate::effect::Point;

    #[test]
    fn names_are_told_apart_by_package_and_minor_version() {
        assert_eq!(classify(&export_of(Point::WritePolicy)), Name::Ours("write-policy"));
        assert_eq!(classify("portunus:plugin/store@0.1.7"), Name::Ours("store"));
        assert_eq!(classify("portunus:plugin/store@0.2.0"), Name::OtherVersion);
        assert_eq!(classify("portunus:plugin/store"), Name::OtherVersion);
        assert_eq!(classify("wasi:cli/environment@0.2.3"), Name::Foreign);
        assert_eq!(classify("store"), Name::Foreign);
    }

    #[test]
    fn the_contracts_version_is_the_one_in_its_text() {
        let text = include_str!("../../../sdk/wit/types.wit");
        assert!(text.starts_with(&format!("package portunus:plugin@{VERSION};")));
    }

    #[test]
    fn each_point_has_an_interface_of_its_name() {
        let worlds = include_str!("../../../sdk/wit/worlds.wit");
        for point in Point::ALL {
            assert!(worlds.contains(&format!("export {point};")), "{point}");
        }
    }
}
