//! `plugin new`: a crate that builds, passes its own tests and deploys without an edit. The SDK
//! comes along, in the version that this server speaks, so nothing has to be fetched for it.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};

use crate::limits::PLUGIN_NAME_BYTES_MAX;

include!(concat!(env!("OUT_DIR"), "/sdk_files.rs"));

/// The folder of the SDK's copy in a new crate.
const SDK_FOLDER: &str = "portunus-sdk";

/// What the crate begins with. Cargo would take a file of its own name for part of the SDK.
const TEMPLATE: [(&str, &str); 2] = [
    ("Cargo.toml", include_str!("../../../../sdk/template/Cargo.toml.in")),
    (".gitignore", include_str!("../../../../sdk/template/gitignore.in")),
];

/// What the functions of the new crate are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Start {
    /// A write policy and a recipe
    WritePolicy,
    /// Who holds a lock
    LockAdmission,
    /// What leaves a queue
    QueueCondition,
}

impl Start {
    fn source(self) -> &'static str {
        match self {
            Self::WritePolicy => include_str!("../../../../sdk/template/src/lib.rs.in"),
            Self::LockAdmission => {
                include_str!("../../../../sdk/template/points/lock-admission.rs.in")
            }
            Self::QueueCondition => {
                include_str!("../../../../sdk/template/points/queue-condition.rs.in")
            }
        }
    }

    /// How it is bound.
    fn option(self) -> &'static str {
        match self {
            Self::WritePolicy => "--prefix app/",
            Self::LockAdmission => "--lock-admission jobs/",
            Self::QueueCondition => "--queue-condition work/",
        }
    }
}

/// What to make.
#[derive(Debug, Args)]
pub struct New {
    /// The crate's name and folder
    name: String,
    /// What it begins with
    #[arg(long, value_enum, default_value_t = Start::WritePolicy)]
    point: Start,
    /// Use the SDK in this folder instead of a copy of its own
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// Prints the folder.
pub fn new(options: &New) -> anyhow::Result<String> {
    let name = &options.name;
    check_name(name)?;
    let folder = Path::new(name);
    ensure!(!folder.exists(), "{name} exists already; choose another name or remove it");
    let sdk = match &options.sdk {
        Some(sdk) => {
            let sdk = sdk.canonicalize().unwrap_or_else(|_| sdk.clone());
            ensure!(sdk.join("Cargo.toml").exists(), "{} has no Cargo.toml", sdk.display());
            sdk
        }
        None => {
            for (file, content) in SDK_FILES {
                write(&folder.join(SDK_FOLDER).join(file), content)?;
            }
            SDK_FOLDER.into()
        }
    };
    for (file, content) in TEMPLATE.into_iter().chain([("src/lib.rs", options.point.source())]) {
        write(&folder.join(file), &filled(content, name, &sdk))?;
    }
    let bound = options.point.option();
    eprintln!("next: portunus plugin test {name}; portunus plugin deploy {name} {bound}");
    Ok(format!("{name}\n"))
}

/// It becomes a crate's name and a plugin's.
fn check_name(name: &str) -> anyhow::Result<()> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.chars().all(allowed)
            && name.len() <= PLUGIN_NAME_BYTES_MAX,
        "\"{name}\" is no name for a plugin; it has 1 to {PLUGIN_NAME_BYTES_MAX} characters of a-z, 0-9 and \"-\", a letter first"
    );
    Ok(())
}

fn filled(content: &str, name: &str, sdk: &Path) -> String {
    let path = serde_json::Value::from(sdk.to_string_lossy()).to_string();
    content
        .replace("{{name}}", name)
        .replace("{{sdk}}", &format!("{{ path = {path} }}"))
        // The SDK is a workspace of its own.
        .replace("[workspace]\n", &format!("[workspace]\nexclude = [\"{SDK_FOLDER}\"]\n"))
}

fn write(path: &Path, content: &str) -> anyhow::Result<()> {
    let folder = path.parent().context("a file has a folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::{Path, SDK_FILES, Start, TEMPLATE, check_name, filled};

    #[test]
    fn nothing_is_left_to_fill_in() {
        let sources = Start::value_variants().iter().map(|point| ("src/lib.rs", point.source()));
        for (file, content) in TEMPLATE.into_iter().chain(sources) {
            let text = filled(content, "hello", Path::new("portunus-sdk"));
            assert!(!text.contains("{{") || !text.contains("sdk}}"), "{file}: {text}");
            assert!(!text.contains("{{name}}"), "{file}: {text}");
        }
        assert!(filled(TEMPLATE[0].1, "hello", Path::new("s")).contains("{ path = \"s\" }"));
    }

    #[test]
    fn the_sdk_is_whole_and_nothing_else_comes_along() {
        let has = |name: &str| SDK_FILES.iter().any(|(file, _)| *file == name);
        assert!(has("Cargo.toml") && has("src/lib.rs") && has("macros/src/lib.rs"));
        assert!(!SDK_FILES.iter().any(|(file, _)| file.contains("target/")));
    }

    #[test]
    fn a_name_must_do_for_a_crate_and_a_plugin() {
        assert!(check_name("hello-2").is_ok());
        for name in ["", "2nd", "Hello", "a_b", "a/b", "-"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
