//! `plugin blame`: which plugins wrote a key's revisions.

use bytes::Bytes;
use clap::Args;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{Author, BlameRequest, BlamedRevision};
use serde_json::{Value, json};

use super::table;
use crate::cli::connection::{Servers, connect, refused, timed};

/// Which key.
#[derive(Debug, Args)]
pub struct Blame {
    key: String,
    /// At most so many revisions, the newest first
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Print one JSON object per revision
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

/// Prints the revisions that are not compacted.
pub async fn blame(options: &Blame) -> anyhow::Result<String> {
    let key = Bytes::copy_from_slice(options.key.as_bytes());
    let mut client = PluginClient::new(connect(&options.servers).await?);
    let request = BlameRequest { key, limit: options.limit };
    let answer = client.blame(timed(request)).await.map_err(|status| refused(&status))?;
    let revisions = answer.into_inner().revisions;
    if options.json {
        return Ok(revisions.iter().map(|revision| format!("{}\n", as_json(revision))).collect());
    }
    if revisions.is_empty() {
        eprintln!("\"{}\" has no revision that is known", options.key);
    }
    let rows: Vec<_> = revisions.iter().map(row).collect();
    Ok(table::table(["REVISION", "CHANGE", "PLUGIN", "POINT", "CALLER", "VIA", "DIGEST"], &rows))
}

fn row(revision: &BlamedRevision) -> [String; 7] {
    let change = if revision.deleted { "delete" } else { "put" };
    let author = revision.author.clone().unwrap_or_default();
    let by_plugin = revision.author.is_some();
    [
        revision.revision.to_string(),
        change.to_owned(),
        if by_plugin { author.plugin } else { "(a client)".to_owned() },
        if by_plugin { table::point(author.point).to_owned() } else { String::new() },
        author.caller,
        author.via.join(" > "),
        table::short(&author.digest),
    ]
}

fn as_json(revision: &BlamedRevision) -> Value {
    json!({
        "revision": revision.revision,
        "deleted": revision.deleted,
        "author": revision.author.as_ref().map(author),
    })
}

fn author(author: &Author) -> Value {
    json!({
        "plugin": author.plugin,
        "point": table::point(author.point),
        "digest": table::full(&author.digest),
        "caller": author.caller,
        "depth": author.depth,
        "via": author.via,
    })
}

#[cfg(test)]
mod tests {
    use super::{Author, BlamedRevision, row};

    #[test]
    fn a_plugins_revision_names_it_and_a_clients_does_not() {
        let own = BlamedRevision { revision: 3, deleted: true, author: None };
        assert_eq!(row(&own), ["3", "delete", "(a client)", "", "", "", ""]);
        let author = Author {
            plugin: "audit".into(),
            point: 2,
            digest: vec![0xab; 32].into(),
            caller: "alice".into(),
            depth: 2,
            via: vec!["a".into(), "b".into()],
        };
        let plugins = BlamedRevision { revision: 4, deleted: false, author: Some(author) };
        let expected = ["4", "put", "audit", "trigger", "alice", "a > b", "abababababab"];
        assert_eq!(row(&plugins), expected);
    }
}
