//! The program itself: what it says of its version. Being here, it also has cargo build the
//! program for `cargo test --workspace`, whose other tests run it.

use std::process::Command;

#[test]
fn the_version_names_ours_and_etcds() {
    for argument in ["--version", "version"] {
        let output = Command::new(env!("CARGO_BIN_EXE_portunus"))
            .arg(argument)
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{argument}: {:?}", output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        let ours = format!("portunus Version: {}", env!("CARGO_PKG_VERSION"));
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines, [ours.as_str(), "etcd Version: 3.7.1"], "{argument}");
    }
}
