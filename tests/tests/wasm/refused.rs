//! What is not a plugin of this contract is refused when it is deployed, by the name of what is
//! wrong.

use std::path::Path;

use portunus::wasm::{CallError, CompileError, Limits, Verdict};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::{ManglingAndAbi, Resolve};

use crate::fixture::{ALLOW_ALL, Keys, bind, engine, put};

/// The contract's text, all files in one.
fn contract() -> String {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/wit");
    ["types", "host", "write-policy"]
        .map(|file| std::fs::read_to_string(wit.join(file).with_extension("wit")).expect("wit"))
        .concat()
}

/// A component for `world` of the package `wit`, with `module` or else code that only traps.
fn component(wit: &str, world: &str, module: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("contract.wit", wit).expect("the text parses");
    let world = resolve.select_world(&[package], Some(world)).expect("the world exists");
    let mut module = match module {
        Some(text) => wat::parse_str(text).expect("the module parses"),
        None => wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32),
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)
        .expect("the world is embedded");
    let mut encoder = ComponentEncoder::default();
    encoder.module(&module).and_then(|encoder| encoder.encode()).expect("a component")
}

fn refusal(component: &[u8]) -> CompileError {
    engine().compile(component).expect_err("refused")
}

/// A write policy in text form whose check runs `check`, and which begins with `declarations`.
fn policy(declarations: &str, check: &str) -> Vec<u8> {
    let module = format!(
        r#"(module
            {declarations}
            (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "portunus:plugin/write-policy@0.1.0#check")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
                {check}))"#
    );
    component(&contract(), "write-policy-plugin", Some(&module))
}

#[test]
fn what_is_no_component_is_refused_by_its_form() {
    assert_eq!(refusal(b""), CompileError::NotWasm);
    assert_eq!(refusal(b"\x7fELF and then some"), CompileError::NotWasm);
    let core = wat::parse_str("(module)").expect("the module parses");
    assert_eq!(refusal(&core), CompileError::CoreModule);
    let mut torn = std::fs::read(ALLOW_ALL).expect("the build made the plugin");
    torn.truncate(torn.len() / 2);
    assert!(matches!(refusal(&torn), CompileError::Malformed(_)));
    let limit_bytes = portunus::limits::COMPONENT_BYTES_MAX;
    let bytes = limit_bytes + 1;
    assert_eq!(refusal(&vec![0; bytes]), CompileError::TooLarge { bytes, limit_bytes });
}

#[test]
fn a_damaged_component_is_never_accepted_as_another() {
    let good = std::fs::read(ALLOW_ALL).expect("the build made the plugin");
    let engine = engine();
    let mut refused = 0;
    for at in (8..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        // Some bytes are names and data: what remains must run or trap like any plugin.
        match engine.compile(&bad) {
            Err(_) => refused += 1,
            Ok(plugin) => {
                let policy = bind(&engine, &plugin, "", Limits::MAX);
                // Either is sound; the process being here to tell is the point.
                let _ = put(&policy, &mut Keys::default(), "app/a", b"v");
            }
        }
    }
    assert!(refused > 0, "damage to code and types shows");
}

#[test]
fn a_foreign_import_is_refused_by_name() {
    let with_import = contract().replace(
        "world write-policy-plugin {",
        "interface clock { now: func() -> u64; }
         world write-policy-plugin { import clock; import now: func() -> u64;",
    );
    let name = match refusal(&component(&with_import, "write-policy-plugin", None)) {
        CompileError::ForeignImport { name } => name,
        other => panic!("{other}"),
    };
    assert!(["now", "portunus:plugin/clock@0.1.0"].contains(&&name[..]), "{name}");
    let foreign = "package wasi:cli@0.2.3;
        interface environment { get: func() -> string; }
        world w { import environment; }";
    let name = "wasi:cli/environment@0.2.3".to_owned();
    assert_eq!(refusal(&component(foreign, "w", None)), CompileError::ForeignImport { name });
}

#[test]
fn another_version_of_the_contract_is_refused_by_name() {
    let newer = contract().replacen("@0.1.0", "@0.2.0", 1);
    let refused = refusal(&component(&newer, "write-policy-plugin", None));
    assert!(
        matches!(&refused, CompileError::WrongContract { name } if name.ends_with("@0.2.0")),
        "{refused}"
    );
}

#[test]
fn a_plugin_without_a_known_extension_point_is_refused() {
    let none = "package portunus:plugin@0.1.0; world w {}";
    assert_eq!(refusal(&component(none, "w", None)), CompileError::NoExtensionPoint);
    let other = "package portunus:plugin@0.1.0;
        interface divination { ask: func() -> u32; }
        world w { export divination; }";
    let name = "portunus:plugin/divination@0.1.0".to_owned();
    assert_eq!(refusal(&component(other, "w", None)), CompileError::UnknownExtensionPoint { name });
}

#[test]
fn an_extension_point_of_another_shape_is_refused() {
    let other = "package portunus:plugin@0.1.0;
        interface write-policy { check: func(key: string) -> bool; }
        world w { export write-policy; }";
    let refused = refusal(&component(other, "w", None));
    assert!(matches!(refused, CompileError::Mismatch(_)), "{refused}");
}

#[test]
fn a_plugin_that_cannot_start_is_refused() {
    let endless = "(func $start (loop (br 0))) (start $start)";
    let limit = Limits::MAX.call_time;
    let check = "unreachable";
    assert_eq!(
        refusal(&policy(endless, check)),
        CompileError::Start(CallError::TimedOut { limit })
    );
    let traps = "(func $start unreachable) (start $start)";
    let refused = refusal(&policy(traps, check));
    assert!(matches!(&refused, CompileError::Start(CallError::Trapped { .. })), "{refused}");
}

#[test]
fn a_growing_table_ends_at_the_limit() {
    let engine = engine();
    let component = policy(
        "(table 1 funcref)",
        "(loop (drop (table.grow (ref.null func) (i32.const 1000))) (br 0)) unreachable",
    );
    let plugin = engine.compile(&component).expect("the table starts small");
    let policy = bind(&engine, &plugin, "", Limits::MAX);
    let answer = put(&policy, &mut Keys::default(), "app/a", b"v");
    assert_eq!(answer.map_err(|error| error.kind()), Err("table_too_large"));
}

#[test]
fn a_verdict_that_lies_about_its_memory_traps() {
    let engine = engine();
    // A refusal (1) whose text lies outside of memory; then one that is not UTF-8; then no case.
    for (tag, start, length) in [(1, 0x7fff_0000, 16), (1, 512, 4), (9, 0, 0)] {
        let check = format!(
            "(i32.store8 (i32.const 0) (i32.const {tag}))
             (i32.store (i32.const 4) (i32.const {start}))
             (i32.store (i32.const 8) (i32.const {length}))
             (i32.store (i32.const 512) (i32.const -1))
             (i32.const 0)"
        );
        let plugin = engine.compile(&policy("", &check)).expect("well formed");
        let policy = bind(&engine, &plugin, "", Limits::MAX);
        let answer = put(&policy, &mut Keys::default(), "app/a", b"v");
        assert_eq!(answer.map_err(|error| error.kind()), Err("trapped"), "{tag} {start}");
    }
    let check = "(i32.store8 (i32.const 0) (i32.const 0)) (i32.const 0)";
    let plugin = engine.compile(&policy("", check)).expect("well formed");
    let policy = bind(&engine, &plugin, "", Limits::MAX);
    assert_eq!(put(&policy, &mut Keys::default(), "app/a", b"v"), Ok(Verdict::Allow));
}
