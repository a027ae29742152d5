//! `plugin status`: how each binding fares.

use clap::Args;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{BindingStatus, StatusRequest, StatusResponse};
use serde_json::{Value, json};

use super::table;
use crate::cli::connection::{Servers, connect_to_leader, refused, timed};

/// Whose status.
#[derive(Debug, Args)]
pub struct Options {
    /// A plugin; else all
    name: Option<String>,
    /// Print one JSON object per binding
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

/// Asks the leader: that is where plugins run.
pub async fn status(options: &Options) -> anyhow::Result<String> {
    let mut client = PluginClient::new(connect_to_leader(&options.servers).await?);
    let request = StatusRequest { name: options.name.clone().unwrap_or_default() };
    let answer = client.status(timed(request)).await.map_err(|status| refused(&status))?;
    let answer = answer.into_inner();
    if options.json {
        return Ok(answer
            .bindings
            .iter()
            .map(|binding| format!("{}\n", as_json(binding)))
            .collect());
    }
    Ok(as_text(&answer))
}

fn as_text(answer: &StatusResponse) -> String {
    let rows: Vec<_> = answer.bindings.iter().map(row).collect();
    let head =
        ["BINDING", "GEN", "MODE", "CALLS", "REFUSALS", "TRAPS", "RERUNS", "PARKED", "STATE"];
    let who = if answer.counted_by_leader { "the leader, member" } else { "member" };
    let mut text = table::table(head, &rows);
    for binding in &answer.bindings {
        let id = binding.binding.as_ref().map_or("", |binding| &binding.id);
        if !binding.broken.is_empty() {
            text += &format!("\n{id} cannot run: {}\n", binding.broken);
        }
        if !binding.last_error.is_empty() {
            text += &format!("\n{id} failed last: {}\n", binding.last_error);
        }
        if let Some(trigger) = binding.trigger.as_ref().filter(|trigger| trigger.paused) {
            text += &format!(
                "\n{id} is paused after {} attempts at \"{}\" (revisions {} to {}): {}\n\
                 go on with: portunus plugin resume {} | portunus plugin skip {}\n",
                trigger.attempts,
                table::key(&trigger.kept_key),
                trigger.cursor + 1,
                trigger.kept_until,
                trigger.error,
                binding.plugin,
                binding.plugin,
            );
        }
    }
    if !answer.bindings.is_empty() {
        text += &format!("\ncounted by {who} {:x}, since it started\n", answer.counted_by);
    }
    text
}

fn row(status: &BindingStatus) -> [String; 9] {
    let binding = status.binding.clone().unwrap_or_default();
    [
        binding.id,
        status.generation.to_string(),
        table::mode(binding.mode).to_owned(),
        status.calls.to_string(),
        status.refusals.to_string(),
        status.traps.to_string(),
        status.reruns.to_string(),
        status.parked.to_string(),
        state(status),
    ]
}

fn state(status: &BindingStatus) -> String {
    match &status.trigger {
        _ if !status.broken.is_empty() => "cannot run".into(),
        Some(trigger) if trigger.paused => format!("paused at revision {}", trigger.cursor),
        Some(trigger) => format!("at revision {}, {} behind", trigger.cursor, trigger.lag),
        None => "ready".into(),
    }
}

fn as_json(status: &BindingStatus) -> Value {
    let binding = status.binding.clone().unwrap_or_default();
    json!({
        "id": binding.id,
        "plugin": status.plugin,
        "generation": status.generation,
        "digest": table::full(&status.digest),
        "point": table::point(binding.point),
        "mode": table::mode(binding.mode),
        "broken": (!status.broken.is_empty()).then_some(&status.broken),
        "calls": status.calls,
        "refusals": status.refusals,
        "traps": status.traps,
        "reruns": status.reruns,
        "parked": status.parked,
        "memory_high_water_bytes": status.memory_high_water_bytes,
        "last_error": (!status.last_error.is_empty()).then_some(&status.last_error),
        "trigger": status.trigger.as_ref().map(|trigger| json!({
            "cursor": trigger.cursor,
            "lag": trigger.lag,
            "paused": trigger.paused,
            "error": trigger.error,
            "attempts": trigger.attempts,
            "kept_key": table::key(&trigger.kept_key),
            "kept_until": trigger.kept_until,
        })),
    })
}

#[cfg(test)]
mod tests {
    use portunus_proto::portunus::v1::{Binding, TriggerStatus};

    use super::*;

    #[test]
    fn a_paused_trigger_says_what_it_fails_at_and_what_to_do() {
        let trigger = TriggerStatus {
            cursor: 7,
            paused: true,
            error: "no".into(),
            attempts: 10,
            kept_key: (&b"e/1"[..]).into(),
            kept_until: 9,
            ..TriggerStatus::default()
        };
        let binding = BindingStatus {
            plugin: "t".into(),
            generation: 1,
            binding: Some(Binding { id: "t/trigger/e/".into(), point: 2, ..Binding::default() }),
            trigger: Some(trigger),
            ..BindingStatus::default()
        };
        let answer = StatusResponse {
            counted_by: 0xab,
            counted_by_leader: true,
            bindings: vec![binding],
            ..StatusResponse::default()
        };
        let text = as_text(&answer);
        assert!(text.contains("paused at revision 7"), "{text}");
        assert!(text.contains("after 10 attempts at \"e/1\" (revisions 8 to 9): no"), "{text}");
        assert!(text.contains("portunus plugin skip t"), "{text}");
        assert!(text.contains("counted by the leader, member ab"), "{text}");
        assert_eq!(as_text(&StatusResponse::default()), "");
    }
}
