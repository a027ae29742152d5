//! Components made of text: for what no compiler would write.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

/// The contract's text, all files in one.
pub fn contract() -> String {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit");
    let mut files: Vec<_> = std::fs::read_dir(wit)
        .expect("the contract is there")
        .map(|file| file.expect("it can be listed").path())
        .collect();
    // The one that names the package stands first.
    files.sort_by_key(|file| (!file.ends_with("types.wit"), file.clone()));
    files.iter().map(|file| std::fs::read_to_string(file).expect("wit")).collect()
}

/// A core module for `world` of the package `wit` that says so in a section: `module` or else
/// code that only traps.
pub fn module(wit: &str, world: &str, module: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("contract.wit", wit).expect("the text parses");
    let world = resolve.select_world(&[package], Some(world)).expect("the world exists");
    let mut module = match module {
        Some(text) => wat::parse_str(text).expect("the module parses"),
        None => wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32),
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("the world is embedded");
    module
}

/// The component of [`module`].
pub fn component(wit: &str, world: &str, text: Option<&str>) -> Vec<u8> {
    let module = module(wit, world, text);
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).and_then(|encoder| encoder.encode()).expect("a component")
}

/// What a guest of text is made of besides its functions.
pub struct Guest<'a> {
    /// Imports, which stand first.
    pub imports: &'a str,
    pub declarations: &'a str,
    /// Where arguments are put: the body of `cabi_realloc`.
    pub realloc: &'a str,
}

impl Default for Guest<'_> {
    fn default() -> Self {
        Self { imports: "", declarations: "", realloc: "(i32.const 1024)" }
    }
}

impl Guest<'_> {
    fn encode(&self, world: &str, functions: &str) -> Vec<u8> {
        let Self { imports, declarations, realloc } = self;
        let text = format!(
            r#"(module
                {imports}
                {declarations}
                (memory (export "memory") 1)
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                {functions})"#
        );
        component(&contract(), world, Some(&text))
    }

    /// A write policy whose check runs `check`.
    pub fn policy(&self, check: &str) -> Vec<u8> {
        let function = format!(
            r#"(func (export "portunus:plugin/write-policy@0.1.0#check")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {check})"#
        );
        self.encode("write-policy-plugin", &function)
    }

    /// A trigger whose handle runs `handle`.
    pub fn trigger(&self, handle: &str) -> Vec<u8> {
        let function = format!(
            r#"(func (export "portunus:plugin/trigger@0.1.0#handle")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)
                {handle})"#
        );
        self.encode("trigger-plugin", &function)
    }

    /// A recipe whose functions run `functions` and `call`.
    pub fn recipe(&self, functions: &str, call: &str) -> Vec<u8> {
        let functions = format!(
            r#"(func (export "portunus:plugin/recipe@0.1.0#functions") (result i32) {functions})
            (func (export "portunus:plugin/recipe@0.1.0#call")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {call})"#
        );
        self.encode("recipe-plugin", &functions)
    }
}

/// Code that names one function, `f`.
pub const ONE_FUNCTION: &str = "(i32.store8 (i32.const 300) (i32.const 102))
    (i32.store (i32.const 200) (i32.const 300))
    (i32.store (i32.const 204) (i32.const 1))
    (i32.store (i32.const 100) (i32.const 200))
    (i32.store (i32.const 104) (i32.const 1))
    (i32.const 100)";

/// Code that answers case `tag` with a list or a text of `length` bytes at `start`, which the
/// answer holds at `at`. Four bytes at 512 are no UTF-8.
pub fn answer(tag: i32, at: i32, start: i32, length: i32) -> String {
    format!(
        "(i32.store8 (i32.const 0) (i32.const {tag}))
         (i32.store (i32.const {at}) (i32.const {start}))
         (i32.store (i32.const {}) (i32.const {length}))
         (i32.store (i32.const 512) (i32.const -1))
         (i32.const 0)",
        at + 4
    )
}
