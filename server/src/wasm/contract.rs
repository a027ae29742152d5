//! The contract with plugins as generated from `sdk/wit`: types, host interfaces and extension
//! points, and the names by which a component is recognised. Nothing here knows limits.

wasmtime::component::bindgen!({
    path: "../sdk/wit",
    world: "all-points",
    ownership: Borrowing { duplicate_if_necessary: true },
    imports: { default: trappable },
});

/// The package that all our interfaces belong to.
pub(super) const PACKAGE: &str = "portunus:plugin/";
/// The contract's version: a plugin built for another minor version is refused.
pub(super) const VERSION: &str = "0.1.0";
/// What a plugin may import.
pub(super) const IMPORTS: [&str; 3] = ["types", "store", "diag"];
/// The export that makes a plugin a write policy.
pub(super) const WRITE_POLICY: &str = "portunus:plugin/write-policy@0.1.0";

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
    use super::{Name, VERSION, WRITE_POLICY, classify};

    #[test]
    fn names_are_told_apart_by_package_and_minor_version() {
        assert_eq!(classify(WRITE_POLICY), Name::Ours("write-policy"));
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
        assert!(WRITE_POLICY.ends_with(&format!("@{VERSION}")));
    }
}
