//! The plugins that the server brings along, as components. The build makes them of `plugins/`.

/// A plugin of the server's own.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    pub component: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/builtins.rs"));

/// All of them, by name.
pub fn all() -> &'static [Builtin] {
    BUILTINS
}

pub fn find(name: &str) -> Option<&'static Builtin> {
    BUILTINS.iter().find(|builtin| builtin.name == name)
}
