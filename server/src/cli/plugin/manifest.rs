//! Several plugins in one file, TOML or JSON, for `plugin deploy -f`. Names of files in it begin
//! in its own folder.
//!
//! ```toml
//! [[plugin]]
//! name = "orders"
//! source = "builtin:value-guard"
//! binding = [{ point = "write-policy", prefix = "/orders/", config = { max-value-bytes = 100 } }]
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use portunus_proto::portunus::v1::deployed_plugin::Source;
use portunus_proto::portunus::v1::{self as pb, DeployedPlugin, Limits, Point};
use serde::Deserialize;

use super::deploy::{Wanted, mode};
use super::{key_range, limits, source};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    plugin: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plugin {
    name: Option<String>,
    source: String,
    #[serde(default)]
    binding: Vec<Binding>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Binding {
    point: PointName,
    prefix: String,
    config: Option<serde_json::Value>,
    config_file: Option<String>,
    #[serde(default)]
    grant_read: Vec<String>,
    #[serde(default)]
    grant_write: Vec<String>,
    #[serde(default)]
    limits: BTreeMap<String, u64>,
    #[serde(default)]
    fail_open: bool,
    mode: Option<String>,
    #[serde(default)]
    fresh: bool,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PointName {
    WritePolicy,
    Trigger,
    Recipe,
    LockAdmission,
    QueueCondition,
}

/// Reads the manifest and every component that it names.
pub fn read(file: &Path) -> anyhow::Result<Vec<Wanted>> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read the manifest {shown}"))?;
    let json = file.extension().is_some_and(|extension| extension == "json");
    let manifest = parse(&text, json).with_context(|| format!("{shown} is no manifest"))?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let wanted = |plugin: Plugin| {
        let name = plugin.name.clone().unwrap_or_else(|| plugin.source.clone());
        wanted(plugin, folder).with_context(|| format!("{shown}: plugin {name}"))
    };
    manifest.plugin.into_iter().map(wanted).collect()
}

fn parse(text: &str, json: bool) -> anyhow::Result<Manifest> {
    let manifest: Manifest = if json { serde_json::from_str(text)? } else { toml::from_str(text)? };
    ensure!(!manifest.plugin.is_empty(), "it names no plugin");
    Ok(manifest)
}

fn wanted(plugin: Plugin, folder: &Path) -> anyhow::Result<Wanted> {
    ensure!(
        !plugin.binding.is_empty(),
        "it has no binding; add [[plugin.binding]] with a point and a prefix"
    );
    let component = source::find(&plugin.source, folder)?;
    let bindings = plugin.binding.into_iter().map(|binding| bound(binding, folder));
    let plugin = DeployedPlugin {
        name: plugin.name.unwrap_or(component.name),
        source: Some(Source::Component(component.bytes)),
        bindings: bindings.collect::<anyhow::Result<_>>()?,
    };
    Ok(Wanted { plugin, everywhere: Vec::new() })
}

fn bound(binding: Binding, folder: &Path) -> anyhow::Result<pb::Binding> {
    let mut asked = Limits::default();
    for (name, value) in &binding.limits {
        limits::set(&mut asked, &format!("{name}={value}"))?;
    }
    let point = match binding.point {
        PointName::WritePolicy => Point::WritePolicy,
        PointName::Trigger => Point::Trigger,
        PointName::Recipe => Point::Recipe,
        PointName::LockAdmission => Point::LockAdmission,
        PointName::QueueCondition => Point::QueueCondition,
    };
    Ok(pb::Binding {
        point: point.into(),
        config: configuration(&binding, folder)?,
        prefix: binding.prefix.into(),
        grant_read: binding.grant_read.iter().map(|text| key_range::parse(text)).collect(),
        grant_write: binding.grant_write.iter().map(|text| key_range::parse(text)).collect(),
        limits: Some(asked),
        fail_open: binding.fail_open,
        mode: mode(binding.mode.as_deref().unwrap_or("enforce"))?.into(),
        fresh: binding.fresh,
        id: String::new(),
    })
}

/// Text as it is, anything else as JSON.
fn configuration(binding: &Binding, folder: &Path) -> anyhow::Result<Bytes> {
    ensure!(
        binding.config.is_none() || binding.config_file.is_none(),
        "config and config-file are both given; keep one"
    );
    if let Some(file) = &binding.config_file {
        let bytes = std::fs::read(folder.join(file));
        return bytes.map(Bytes::from).with_context(|| format!("cannot read config-file {file}"));
    }
    Ok(match &binding.config {
        None => Bytes::new(),
        Some(serde_json::Value::String(text)) => text.clone().into(),
        Some(other) => other.to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::{configuration, parse, read};

    const TOML: &str = r#"
        [[plugin]]
        name = "a"
        source = "a.wasm"
        [[plugin.binding]]
        point = "write-policy"
        prefix = "/a/"
        config = { max = 3 }
        grant-read = ["/b/", "=c"]
        limits = { reads = 7 }
        mode = "monitor"
        [[plugin.binding]]
        point = "trigger"
        prefix = ""
        config = "x=1"
    "#;

    #[test]
    fn a_manifest_says_all_of_a_binding() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("m.toml");
        std::fs::write(folder.path().join("a.wasm"), b"\0asm").expect("written");
        std::fs::write(&file, TOML).expect("written");
        let wanted = read(&file).expect("a manifest");
        let [policy, trigger] = &wanted[0].plugin.bindings[..] else { panic!("two bindings") };
        assert_eq!((policy.point, &policy.prefix[..], policy.mode), (1, &b"/a/"[..], 2));
        assert_eq!(&policy.config[..], b"{\"max\":3}");
        assert_eq!(policy.grant_read.len(), 2);
        assert_eq!(policy.limits.and_then(|limits| limits.reads), Some(7));
        assert_eq!((trigger.point, &trigger.config[..], trigger.mode), (2, &b"x=1"[..], 1));
    }

    #[test]
    fn mistakes_are_named() {
        let refusal = |text: &str| format!("{:#}", parse(text, false).expect_err(text));
        assert!(refusal("plugin = []").contains("names no plugin"));
        let unknown = refusal(&TOML.replace("grant-read", "grants"));
        assert!(unknown.contains("unknown field `grants`"), "{unknown}");
        let point = refusal(&TOML.replace("\"trigger\"", "\"triger\""));
        assert!(point.contains("unknown variant `triger`"), "{point}");
        assert!(parse("{\"plugin\": [{\"source\": \"a\"}]}", true).is_ok());
        let both = TOML.replace("mode =", "config-file = \"x\"\nmode =");
        let manifest = parse(&both, false).expect("well formed");
        let twice = configuration(&manifest.plugin[0].binding[0], ".".as_ref());
        assert!(twice.expect_err("two").to_string().contains("keep one"));
    }
}
