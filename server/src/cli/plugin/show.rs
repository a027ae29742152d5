//! `plugin list` and `plugin inspect`.

use std::path::Path;

use clap::Args;
use portunus_proto::portunus::v1::inspect_request::What;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{
    Binding, Generation, InspectRequest, InspectResponse, ListRequest, ListedPlugin,
};
use serde_json::{Value, json};

use super::{key_range, source, table};
use crate::cli::connection::{Servers, connect, refused, timed};

/// How to show it.
#[derive(Debug, Args)]
pub struct List {
    /// Print one JSON object per plugin
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

/// What to look into.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A .wasm file, a crate's folder, builtin:NAME, or the name of a deployed plugin
    what: String,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

pub async fn list(options: &List) -> anyhow::Result<String> {
    let mut client = PluginClient::new(connect(&options.servers).await?);
    let answer = client.list(timed(ListRequest {})).await.map_err(|status| refused(&status))?;
    let plugins = answer.into_inner().plugins;
    if options.json {
        return Ok(plugins.iter().map(|plugin| format!("{}\n", listed(plugin))).collect());
    }
    if plugins.is_empty() {
        eprintln!(
            "no plugins; put one in place with: portunus plugin deploy builtin:NAME --prefix PREFIX"
        );
    }
    Ok(bindings(&plugins))
}

/// One row for each binding.
fn bindings(plugins: &[ListedPlugin]) -> String {
    let current = plugins.iter().filter_map(|plugin| plugin.current.as_ref());
    let rows: Vec<_> = current
        .flat_map(|plugin| plugin.bindings.iter().map(move |binding| row(plugin, binding)))
        .collect();
    let head = ["NAME", "GENERATION", "POINT", "PREFIX", "MODE", "ON FAILURE", "CONFIG", "DIGEST"];
    table::table(head, &rows)
}

fn row(plugin: &Generation, binding: &Binding) -> [String; 8] {
    [
        plugin.name.clone(),
        plugin.generation.to_string(),
        table::point(binding.point).to_owned(),
        table::key(&binding.prefix),
        table::mode(binding.mode).to_owned(),
        on_failure(binding).to_owned(),
        format!("{} B", binding.config.len()),
        table::short(&plugin.digest),
    ]
}

fn on_failure(binding: &Binding) -> &'static str {
    if binding.fail_open { "allow" } else { "refuse" }
}

fn listed(plugin: &ListedPlugin) -> Value {
    let mut json = plugin.current.as_ref().map_or(Value::Null, generation);
    json["previous"] = plugin.previous.iter().map(generation).collect();
    json
}

fn generation(plugin: &Generation) -> Value {
    json!({
        "name": plugin.name,
        "generation": plugin.generation,
        "restored": (plugin.restored != 0).then_some(plugin.restored),
        "digest": table::full(&plugin.digest),
        "bindings": plugin.bindings.iter().map(binding).collect::<Vec<_>>(),
    })
}

fn binding(binding: &Binding) -> Value {
    let ranges = |ranges: &[_]| ranges.iter().map(key_range::show).collect::<Vec<_>>();
    let limits = binding.limits.unwrap_or_default();
    json!({
        "id": binding.id,
        "point": table::point(binding.point),
        "prefix": table::key(&binding.prefix),
        "mode": table::mode(binding.mode),
        "on_failure": on_failure(binding),
        "fresh": binding.fresh,
        "config": String::from_utf8_lossy(&binding.config),
        "grant_read": ranges(&binding.grant_read),
        "grant_write": ranges(&binding.grant_write),
        "limits": {
            "call-time-ms": limits.call_time_ms,
            "memory-bytes": limits.memory_bytes,
            "reads": limits.reads,
            "read-bytes": limits.read_bytes,
            "writes": limits.writes,
            "result-bytes": limits.result_bytes,
            "log-bytes": limits.log_bytes,
        },
    })
}

pub async fn inspect(options: &Inspect) -> anyhow::Result<String> {
    // A plugin's name has no dot and no slash, so only a file of exactly its name stands before it.
    let what = match is_component(&options.what) {
        true => What::Component(source::find(&options.what, Path::new(""))?.bytes),
        false => What::Name(options.what.clone()),
    };
    let mut client = PluginClient::new(connect(&options.servers).await?);
    let request = InspectRequest { what: Some(what) };
    let answer = client.inspect(timed(request)).await.map_err(|status| refused(&status))?;
    let found = answer.into_inner();
    Ok(if options.json { format!("{}\n", as_json(&found)) } else { as_text(&found) })
}

fn is_component(what: &str) -> bool {
    what.starts_with("builtin:") || what.contains(['.', '/']) || Path::new(what).exists()
}

fn as_json(found: &InspectResponse) -> Value {
    json!({
        "digest": table::full(&found.digest),
        "bytes": found.component_bytes,
        "contract": found.contract,
        "points": found.points.iter().map(|point| table::point(*point)).collect::<Vec<_>>(),
        "functions": found.functions,
        "deployed": found.deployed.as_ref().map(listed),
    })
}

fn as_text(found: &InspectResponse) -> String {
    let points: Vec<_> = found.points.iter().map(|point| table::point(*point)).collect();
    let mut text = format!(
        "digest     {}\nsize       {} bytes\ncontract   {}\npoints     {}\n",
        table::full(&found.digest),
        found.component_bytes,
        found.contract,
        points.join(", ")
    );
    if !found.functions.is_empty() {
        text += &format!("functions  {}\n", found.functions.join(", "));
    }
    let Some(deployed) = &found.deployed else { return text };
    let all = deployed.current.iter().chain(&deployed.previous);
    let rows: Vec<_> = all
        .map(|plugin| {
            let restored = match plugin.restored {
                0 => String::new(),
                generation => format!("generation {generation} again"),
            };
            let bound = plugin.bindings.iter().map(|binding| binding.id.clone());
            [
                plugin.generation.to_string(),
                table::short(&plugin.digest),
                bound.collect::<Vec<_>>().join(" "),
                restored,
            ]
        })
        .collect();
    text + "\n" + &table::table(["GENERATION", "DIGEST", "BINDINGS", ""], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> ListedPlugin {
        let binding = Binding {
            id: "a/write-policy/\\xff".into(),
            point: 1,
            prefix: (&b"\xff"[..]).into(),
            config: (&b"abc"[..]).into(),
            fail_open: true,
            mode: 2,
            ..Binding::default()
        };
        let current = Generation {
            name: "a".into(),
            generation: 4,
            digest: vec![0xab; 32].into(),
            bindings: vec![binding],
            restored: 2,
        };
        ListedPlugin { current: Some(current), previous: Vec::new() }
    }

    #[test]
    fn bindings_stand_in_columns() {
        let expected = "\
NAME  GENERATION  POINT         PREFIX  MODE     ON FAILURE  CONFIG  DIGEST
a     4           write-policy  \\xff    monitor  allow       3 B     abababababab
";
        assert_eq!(bindings(&[plugin()]), expected);
    }

    #[test]
    fn json_has_all_of_it() {
        let json = listed(&plugin());
        assert_eq!(json["digest"], format!("sha256:{}", "ab".repeat(32)));
        assert_eq!(
            (json["restored"].as_u64(), json["previous"].as_array()),
            (Some(2), Some(&vec![]))
        );
        assert_eq!(json["bindings"][0]["config"], "abc");
        assert_eq!(json["bindings"][0]["limits"]["reads"], Value::Null);
    }

    #[test]
    fn a_deployed_plugin_shows_its_generations() {
        let found = InspectResponse {
            digest: vec![1; 32].into(),
            component_bytes: 9,
            contract: "0.1.0".into(),
            points: vec![1, 3],
            functions: vec!["add".into()],
            deployed: Some(plugin()),
            ..InspectResponse::default()
        };
        let text = as_text(&found);
        assert!(text.contains("points     write-policy, recipe\nfunctions  add\n"), "{text}");
        assert!(text.contains("generation 2 again"), "{text}");
    }
}
