//! The tests of the workspaces beside this one.

use crate::nested::{cargo, root};

#[test]
fn the_sdk_passes_its_own_tests() {
    let sdk = ["test", "--locked", "-p", "portunus-sdk", "-p", "portunus-sdk-macros"];
    let output = cargo(&root().join("sdk"), &sdk);
    assert!(output.contains("a_wrong_signature_is_answered_with_the_right_one ... ok"), "{output}");
}

#[test]
fn the_plugins_pass_their_own_tests() {
    let output = cargo(&root().join("plugins"), &["test", "--locked", "--workspace"]);
    assert!(output.contains("each_bound_refuses_what_is_outside_and_names_it ... ok"), "{output}");
}
