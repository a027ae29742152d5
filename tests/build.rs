//! Builds the plugins that the tests load and names their files in `PLUGIN_*` for `env!`.

use std::path::{Path, PathBuf};

const PLUGINS: [&str; 6] = ["allow-all", "value-guard", "hostile", "probe", "tally", "fencing"];

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for input in
        ["plugins/Cargo.toml", "plugins/Cargo.lock", "sdk/Cargo.toml", "sdk/src", "sdk/macros"]
    {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for plugin in PLUGINS {
        println!("cargo::rerun-if-changed={}", root.join("plugins").join(plugin).display());
    }
    let out: PathBuf = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR").into();
    let built = portunus_sdk_build::build(&root.join("plugins"), &PLUGINS, &out.join("plugins"));
    match built {
        Ok(paths) => {
            for (plugin, path) in PLUGINS.iter().zip(paths) {
                let variable = plugin.replace('-', "_").to_uppercase();
                println!("cargo::rustc-env=PLUGIN_{variable}={}", path.display());
            }
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            println!("cargo::error={text}");
        }
    }
}
