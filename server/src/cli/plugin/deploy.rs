//! `plugin deploy`: one plugin from the command line, or several from a manifest, all at once.

use std::path::{Path, PathBuf};

use crate::dial::Channel;
use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use clap::Args;
use portunus_proto::portunus::v1::deployed_plugin::Source;
use portunus_proto::portunus::v1::inspect_request::What;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{
    Binding, DeployRequest, DeployedPlugin, Generation, InspectRequest, Limits, Mode, Point,
};

use super::{key_range, limits, manifest, source, table};
use crate::cli::connection::{Servers, connect, refused, timed};
use crate::cli::recipe::read_value;

/// What to deploy and where to bind it.
#[derive(Debug, Args)]
pub struct Deploy {
    /// A .wasm file, a crate's folder (built first), or builtin:NAME
    #[arg(required_unless_present = "manifest")]
    source: Option<String>,
    /// Deploy the plugins of this TOML or JSON file, all or none
    #[arg(long = "file", short = 'f', value_name = "FILE", conflicts_with_all = ["source", "bindings"])]
    manifest: Option<PathBuf>,
    /// New triggers get the events from this revision on, instead of those after the deploy
    #[arg(long, value_name = "REVISION")]
    from_revision: Option<i64>,
    #[command(flatten)]
    bindings: Bindings,
    #[command(flatten)]
    servers: Servers,
}

/// The bindings of one plugin; all get the same settings. A manifest can tell them apart.
#[derive(Debug, Args)]
#[group(id = "bindings", multiple = true)]
struct Bindings {
    /// What it is deployed as; else it is called as its file or crate
    #[arg(long)]
    name: Option<String>,
    /// Bind whatever it offers to the keys that begin with PREFIX
    #[arg(long, value_name = "PREFIX")]
    prefix: Vec<String>,
    /// Ask it about writes under PREFIX
    #[arg(long, value_name = "PREFIX")]
    write_policy: Vec<String>,
    /// Tell it about changes under PREFIX
    #[arg(long, value_name = "PREFIX")]
    trigger: Vec<String>,
    /// Offer its functions, over the keys under PREFIX
    #[arg(long, value_name = "PREFIX")]
    recipe: Vec<String>,
    /// Ask it who may hold locks whose names begin with PREFIX
    #[arg(long, value_name = "PREFIX")]
    lock_admission: Vec<String>,
    /// Ask it what may leave queues under PREFIX whose condition names it
    #[arg(long, value_name = "PREFIX")]
    queue_condition: Vec<String>,
    /// A setting as NAME=VALUE, or all of them: @FILE, - for stdin, or a JSON object
    #[arg(long, value_name = "SETTING")]
    config: Vec<String>,
    /// More keys it may read: a prefix, FROM..TO, FROM.. or =KEY
    #[arg(long, value_name = "KEYS")]
    grant_read: Vec<String>,
    /// More keys it may write
    #[arg(long, value_name = "KEYS")]
    grant_write: Vec<String>,
    /// What a call may take, as reads=100
    #[arg(long, value_name = "NAME=VALUE")]
    limit: Vec<String>,
    /// Let a write through when the plugin traps or takes too long, instead of refusing it
    #[arg(long)]
    fail_open: bool,
    /// Ask it, count and log what it says, and do not follow it
    #[arg(long)]
    monitor: bool,
    /// Give each call a new instance
    #[arg(long)]
    fresh: bool,
}

/// Prints what was deployed: name, generation, digest.
pub async fn deploy(options: &Deploy) -> anyhow::Result<String> {
    let mut plugins = match (&options.manifest, &options.source) {
        (Some(file), _) => manifest::read(file)?,
        (None, Some(source)) => vec![one(source, &options.bindings)?],
        (None, None) => bail!("name a .wasm file, a crate's folder, builtin:NAME, or -f MANIFEST"),
    };
    let mut client = PluginClient::new(connect(&options.servers).await?);
    for plugin in &mut plugins {
        resolve_points(&mut client, plugin).await?;
    }
    let request = DeployRequest {
        plugins: plugins.into_iter().map(|wanted| wanted.plugin).collect(),
        from_revision: options.from_revision,
    };
    let answer = client.deploy(timed(request)).await.map_err(|status| refused(&status))?;
    let deployed = answer.into_inner().plugins;
    deployed.iter().for_each(tell);
    Ok(deployed.iter().map(line).collect())
}

/// A plugin to deploy; under the prefixes of `everywhere` it is bound to whatever it offers.
pub struct Wanted {
    pub plugin: DeployedPlugin,
    pub everywhere: Vec<Binding>,
}

fn one(text: &str, options: &Bindings) -> anyhow::Result<Wanted> {
    let component = source::find(text, Path::new(""))?;
    let settings = settings(options)?;
    let bound = |point: Point, prefixes: &[String]| -> Vec<Binding> {
        let bind = |prefix: &String| Binding {
            point: point.into(),
            prefix: Bytes::copy_from_slice(prefix.as_bytes()),
            ..settings.clone()
        };
        prefixes.iter().map(bind).collect()
    };
    let bindings = [
        bound(Point::WritePolicy, &options.write_policy),
        bound(Point::Trigger, &options.trigger),
        bound(Point::Recipe, &options.recipe),
        bound(Point::LockAdmission, &options.lock_admission),
        bound(Point::QueueCondition, &options.queue_condition),
    ];
    let plugin = DeployedPlugin {
        name: options.name.clone().unwrap_or(component.name),
        source: Some(Source::Component(component.bytes)),
        bindings: bindings.concat(),
    };
    Ok(Wanted { plugin, everywhere: bound(Point::Unspecified, &options.prefix) })
}

/// A binding with what all of them share.
fn settings(options: &Bindings) -> anyhow::Result<Binding> {
    let mut asked = Limits::default();
    options.limit.iter().try_for_each(|limit| limits::set(&mut asked, limit))?;
    let mode = if options.monitor { Mode::Monitor } else { Mode::Enforce };
    Ok(Binding {
        config: configuration(&options.config)?,
        grant_read: options.grant_read.iter().map(|text| key_range::parse(text)).collect(),
        grant_write: options.grant_write.iter().map(|text| key_range::parse(text)).collect(),
        limits: Some(asked),
        fail_open: options.fail_open,
        mode: mode.into(),
        fresh: options.fresh,
        ..Binding::default()
    })
}

/// Settings by name become lines; a whole configuration is taken as it is.
fn configuration(settings: &[String]) -> anyhow::Result<Bytes> {
    let whole = |text: &str| text == "-" || text.starts_with('@') || text.starts_with('{');
    if let [one] = settings
        && whole(one)
    {
        return read_value(one, "configuration");
    }
    let mut lines = String::new();
    for setting in settings {
        ensure!(
            !whole(setting),
            "--config {setting} is a whole configuration; give either one of these or settings by name"
        );
        if !setting.contains('=') {
            let file = Path::new(setting).exists();
            let meant = if file { format!("; did you mean @{setting}?") } else { String::new() };
            bail!(
                "--config {setting} is not NAME=VALUE{meant}; @FILE reads a file, - stdin, {{...}} is JSON"
            );
        }
        lines += setting;
        lines.push('\n');
    }
    Ok(lines.into())
}

/// Binds what is asked for by prefix alone to the points that the component offers.
async fn resolve_points(
    client: &mut PluginClient<Channel>,
    wanted: &mut Wanted,
) -> anyhow::Result<()> {
    let Wanted { plugin, everywhere } = wanted;
    if everywhere.is_empty() && !plugin.bindings.is_empty() {
        return Ok(());
    }
    let Some(Source::Component(component)) = &plugin.source else { return Ok(()) };
    let request = InspectRequest { what: Some(What::Component(component.clone())) };
    let answer = client.inspect(timed(request)).await.map_err(|status| refused(&status))?;
    let points = answer.into_inner().points;
    if everywhere.is_empty() {
        let named: Vec<_> = points.iter().map(|number| table::point(*number)).collect();
        let flags: Vec<_> = named.iter().map(|name| format!("--{name} PREFIX")).collect();
        bail!(
            "{} offers {}; say for which keys: {}, or --prefix PREFIX for all it offers",
            plugin.name,
            named.join(", "),
            flags.join(" ")
        );
    }
    for binding in everywhere.drain(..) {
        let bound = points.iter().map(|point| Binding { point: *point, ..binding.clone() });
        plugin.bindings.extend(bound);
    }
    Ok(())
}

fn line(deployed: &Generation) -> String {
    format!("{} {} {}\n", deployed.name, deployed.generation, table::full(&deployed.digest))
}

fn tell(deployed: &Generation) {
    for binding in &deployed.bindings {
        eprintln!(
            "{} serves as {} under \"{}\" ({})",
            deployed.name,
            table::point(binding.point),
            table::key(&binding.prefix),
            table::mode(binding.mode)
        );
    }
    match deployed.generation {
        1 => eprintln!("undo with: portunus plugin remove {}", deployed.name),
        _ => eprintln!("undo with: portunus plugin rollback {}", deployed.name),
    }
}

/// The mode of this name.
pub fn mode(name: &str) -> anyhow::Result<Mode> {
    match name {
        "enforce" => Ok(Mode::Enforce),
        "monitor" => Ok(Mode::Monitor),
        "disabled" => Ok(Mode::Disabled),
        other => Err(anyhow::anyhow!("there is no mode \"{other}\""))
            .context("a mode is enforce, monitor or disabled"),
    }
}

#[cfg(test)]
mod tests {
    use super::configuration;

    #[test]
    fn settings_become_lines_and_a_whole_configuration_stays() {
        let text = |settings: &[&str]| {
            let settings: Vec<_> = settings.iter().map(|s| (*s).to_owned()).collect();
            configuration(&settings).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        assert_eq!(text(&["a=1", "b = 2"]).expect("settings"), "a=1\nb = 2\n");
        assert_eq!(text(&["{\"a\": 1}"]).expect("JSON"), "{\"a\": 1}");
        assert_eq!(text(&[]).expect("none"), "");
        let refusal = |settings: &[&str]| text(settings).expect_err("refused").to_string();
        assert!(refusal(&["a"]).contains("is not NAME=VALUE"));
        assert!(refusal(&["a=1", "@f"]).contains("either one of these or settings"));
        let file = tempfile::NamedTempFile::new().expect("a file");
        let name = file.path().to_str().expect("text");
        assert!(refusal(&[name]).contains(&format!("did you mean @{name}?")));
    }
}
