//! `plugin new` writes a crate that passes its own tests, builds and deploys without an edit.

use std::process::{Command, Output};

use anyhow::{Result, ensure};
use portunus_tests::{Member, Plugins};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_crate_is_tested_and_deployed_as_it_is() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let portunus = |words: &[&str]| -> Result<Output> {
        let output = Command::new(Member::program()?)
            .current_dir(dir.path())
            .arg("plugin")
            .args(words)
            .output()?;
        ensure!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(output)
    };
    assert_eq!(portunus(&["new", "hello"])?.stdout, b"hello\n");
    assert!(portunus(&["new", "hello"]).is_err(), "it is not overwritten");
    portunus(&["test", "hello"])?;
    let url = member.client_url.as_str();
    portunus(&[
        "deploy",
        "hello",
        "--write-policy",
        "app/",
        "--recipe",
        "app/",
        "--endpoints",
        url,
    ])?;
    let component = dir.path().join("hello/target/hello.wasm");
    let bytes = std::fs::metadata(component)?.len();
    assert!(bytes < 100 * 1024, "a guest of {bytes} bytes");
    let listed = Plugins::connect(url).await?.list().await?;
    assert_eq!(listed.len(), 1);
    let refused = member.client().await?.put("app/k", "x".repeat(2000), None).await;
    let refused = refused.expect_err("the policy keeps values small").to_string();
    assert!(refused.contains("refused by hello"), "{refused}");
    Ok(())
}
