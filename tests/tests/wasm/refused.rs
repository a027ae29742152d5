//! What is not a plugin of this contract is refused when it is deployed, by the name of what is
//! wrong.

use portunus::wasm::{CallError, CompileError, Limits, Verdict};

use crate::encoded::{Guest, answer, component, contract, module};
use crate::fixture::{ALLOW_ALL, Keys, PROBE, bind, engine, put};

fn refusal(component: &[u8]) -> CompileError {
    engine().compile(component).expect_err("refused")
}

#[test]
fn what_is_no_component_is_refused_by_its_form() {
    assert_eq!(refusal(b""), CompileError::NotWasm);
    assert_eq!(refusal(b"\x7fELF and then some"), CompileError::NotWasm);
    let core = wat::parse_str("(module)").expect("the module parses");
    assert_eq!(refusal(&core), CompileError::CoreModule);
    let text = CompileError::CoreModule.to_string();
    assert!(text.contains("`portunus plugin build`"), "{text}");
    let mut torn = std::fs::read(ALLOW_ALL).expect("the build made the plugin");
    torn.truncate(torn.len() / 2);
    assert!(matches!(refusal(&torn), CompileError::Malformed(_)));
    let limit_bytes = portunus::limits::COMPONENT_BYTES_MAX;
    let bytes = limit_bytes + 1;
    assert_eq!(refusal(&vec![0; bytes]), CompileError::TooLarge { bytes, limit_bytes });
}

#[test]
fn a_damaged_file_is_never_accepted_as_another() {
    let component = std::fs::read(ALLOW_ALL).expect("the build made the plugin");
    assert!(refused_when_damaged(&component) > 0, "damage to code and types shows");
    let module = module(&contract(), "write-policy-plugin", None);
    assert!(refused_when_damaged(&module) > 0, "damage to code and types shows");
}

/// How many damaged copies of `good` are refused; the others must run or trap like any plugin.
fn refused_when_damaged(good: &[u8]) -> usize {
    let engine = engine();
    let mut refused = 0;
    for at in (8..good.len()).step_by(good.len() / 40) {
        let mut bad = good.to_vec();
        bad[at] ^= 0x55;
        match engine.compile(&bad) {
            Err(_) => refused += 1,
            Ok(plugin) => {
                let policy = bind(&engine, &plugin, "");
                // Either is sound; the process being here to tell is the point.
                let _ = put(&policy, &mut Keys::default(), "app/a", b"v");
            }
        }
    }
    refused
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
    let start = |declarations| Guest { declarations, ..Guest::default() }.policy("unreachable");
    let limit = Limits::DEFAULT.call_time;
    let refused = refusal(&start("(func $start (loop (br 0))) (start $start)"));
    assert_eq!(refused, CompileError::Start(CallError::TimedOut { limit }));
    let refused = refusal(&start("(func $start unreachable) (start $start)"));
    assert!(matches!(&refused, CompileError::Start(CallError::Trapped { .. })), "{refused}");
}

#[test]
fn a_core_module_that_names_its_contract_becomes_a_component() {
    let engine = engine();
    let allow = format!(
        r#"(module (memory (export "memory") 1)
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "portunus:plugin/write-policy@0.1.0#check")
                (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) {}))"#,
        answer(0, 4, 0, 0)
    );
    let module = module(&contract(), "write-policy-plugin", Some(&allow));
    let plugin = engine.compile(&module).expect("it names its contract");
    let answer = put(&bind(&engine, &plugin, ""), &mut Keys::default(), "app/a", b"v");
    assert_eq!(answer, Ok(Verdict::Allow));
    // What is stored is the component, under the component's digest.
    let component = engine.component_of(&module).expect("the same");
    let stored = engine.compile(&component).expect("a component");
    assert_eq!(stored.digest(), plugin.digest());
    let own = std::fs::read(PROBE).expect("the build made the plugin");
    assert_eq!(engine.component_of(&own).expect("a component"), own);
}

#[test]
fn a_core_module_that_no_component_can_be_made_of_says_why() {
    let text = r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
        (memory (export "memory") 1))"#;
    let wasi = module(&contract(), "host", Some(text));
    let refused = refusal(&wasi);
    let CompileError::NotEncodable(why) = &refused else { panic!("{refused}") };
    assert!(why.contains("wasi_snapshot_preview1"), "{why}");
    let incomplete = module(&contract(), "write-policy-plugin", Some("(module)"));
    assert!(matches!(refusal(&incomplete), CompileError::NotEncodable(_)));
    let mut torn = incomplete;
    torn.truncate(torn.len() - 3);
    assert!(matches!(refusal(&torn), CompileError::Malformed(_)));
}

#[test]
fn what_no_instance_has_room_for_is_refused_at_deploy() {
    let why = |component: &[u8]| match refusal(component) {
        CompileError::NoRoom(why) => why,
        other => panic!("{other}"),
    };
    let declared = |declarations| Guest { declarations, ..Guest::default() }.policy("unreachable");
    let large = why(&declared("(table 20000 funcref)"));
    assert!(large.contains("minimum element size of 20000"), "{large}");
    let many = why(&declared("(table 1 funcref) (table 1 funcref)"));
    assert!(many.contains("defined tables count of 2"), "{many}");
    let text = r#"(module (memory (export "memory") 300)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "portunus:plugin/write-policy@0.1.0#check")
            (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32) unreachable))"#;
    let memory = why(&module(&contract(), "write-policy-plugin", Some(text)));
    assert!(memory.contains("minimum byte size of 19660800"), "{memory}");
}
