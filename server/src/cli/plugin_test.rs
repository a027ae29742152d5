//! What `portunus plugin` shows, and what it refuses before it asks a server.

use super::*;

fn binding(name: &str, prefix: &'static [u8], fail_open: bool) -> Binding {
    Binding {
        name: name.to_owned(),
        digest: vec![0xab; 32].into(),
        prefix: prefix.into(),
        config: vec![0; 3].into(),
        fail_open,
    }
}

#[test]
fn bindings_stand_in_columns() {
    let text = table(&[binding("a", b"orders/", false), binding("longer", b"\xff", true)]);
    let expected = "\
NAME    PREFIX   ON FAILURE  CONFIG  DIGEST
a       orders/  refuse      3 B     abababababab
longer  \\xff     allow       3 B     abababababab
";
    assert_eq!(text, expected);
    assert_eq!(table(&[]), "", "scripts that count lines see none");
}

#[test]
fn json_has_the_whole_digest() {
    let json = as_json(&binding("a", b"p", true));
    assert_eq!(json["digest"], format!("sha256:{}", "ab".repeat(32)));
    assert_eq!(
        (json["on_failure"].as_str(), json["config_bytes"].as_u64()),
        (Some("allow"), Some(3))
    );
}

#[test]
fn only_a_component_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let refusal = |bytes: &[u8]| {
        let file = folder.path().join("p.wasm");
        std::fs::write(&file, bytes).expect("written");
        read_component(&file).map_err(|error| error.to_string())
    };
    assert!(refusal(b"#!/bin/sh").expect_err("a script").contains("is not wasm"));
    let module = refusal(b"\0asm\x01\0\0\0").expect_err("a module");
    assert!(module.contains("wasm-tools component new"), "{module}");
    let large = refusal(&vec![0; COMPONENT_BYTES_MAX + 1]).expect_err("too large");
    assert!(large.contains("4194304 are allowed"), "{large}");
    assert_eq!(refusal(b"\0asm\x0d\0\x01\0"), Ok(b"\0asm\x0d\0\x01\0".to_vec()));
    let missing = read_component(&folder.path().join("none.wasm")).expect_err("no file");
    assert!(missing.to_string().starts_with("read "), "{missing}");
}

#[test]
fn a_refusal_says_what_to_do() {
    let text = |status| refused(status).to_string();
    assert_eq!(text(tonic::Status::not_found("no such binding")), "no such binding");
    let other = text(tonic::Status::unimplemented("unknown service"));
    assert_eq!(other, "unknown service; --endpoints must name portunus servers");
}

#[test]
fn without_a_server_it_says_how_to_start_one() {
    let options = Options::parse_from(["plugin", "list", "--endpoints=127.0.0.1:1"]);
    let error = execute(options.command).expect_err("nothing listens there").to_string();
    assert!(error.starts_with("no server answers (127.0.0.1:1: "), "{error}");
    assert!(error.ends_with("start one with: portunus, or name it with --endpoints"), "{error}");
}
