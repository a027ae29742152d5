//! `plugin explain`: what each policy would say to some writes. Nothing is written.

use anyhow::ensure;
use bytes::Bytes;
use clap::Args;
use portunus_proto::etcdserverpb::request_op::Request as Op;
use portunus_proto::etcdserverpb::{DeleteRangeRequest, PutRequest, RequestOp, TxnRequest};
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::{AddedWrite, ExplainRequest, ExplainResponse, Verdict};

use super::{key_range, table};
use crate::cli::connection::{Servers, connect, refused, timed};
use crate::cli::recipe::read_value;

/// The writes of one transaction.
#[derive(Debug, Args)]
pub struct Explain {
    /// Put KEY with VALUE: text, @FILE, or - for stdin
    #[arg(long, num_args = 2, value_names = ["KEY", "VALUE"], action = clap::ArgAction::Append)]
    put: Vec<String>,
    /// Delete KEY
    #[arg(long, value_name = "KEY")]
    delete: Vec<String>,
    /// Delete every key that begins with PREFIX
    #[arg(long, value_name = "PREFIX")]
    delete_prefix: Vec<String>,
    #[command(flatten)]
    servers: Servers,
}

/// Prints each policy's word, and what would become of the transaction. That it would be refused is
/// an answer, no failure.
pub async fn explain(options: &Explain) -> anyhow::Result<String> {
    let request = ExplainRequest { txn: Some(txn(options)?) };
    let mut client = PluginClient::new(connect(&options.servers).await?);
    let answer = client.explain(timed(request)).await.map_err(|status| refused(&status))?;
    Ok(text(&answer.into_inner()))
}

fn txn(options: &Explain) -> anyhow::Result<TxnRequest> {
    let mut ops = Vec::new();
    for pair in options.put.chunks_exact(2) {
        let key = Bytes::copy_from_slice(pair[0].as_bytes());
        let value = read_value(&pair[1], "value")?;
        ops.push(Op::RequestPut(PutRequest { key, value, ..PutRequest::default() }));
    }
    for key in &options.delete {
        let key = Bytes::copy_from_slice(key.as_bytes());
        ops.push(Op::RequestDeleteRange(DeleteRangeRequest { key, ..Default::default() }));
    }
    for prefix in &options.delete_prefix {
        let range = key_range::under(prefix);
        let (key, range_end) = (range.key, range.range_end);
        ops.push(Op::RequestDeleteRange(DeleteRangeRequest { key, range_end, prev_kv: false }));
    }
    ensure!(!ops.is_empty(), "there is nothing to explain; name a write, as --put KEY VALUE");
    let success = ops.into_iter().map(|op| RequestOp { request: Some(op) }).collect();
    Ok(TxnRequest { success, ..TxnRequest::default() })
}

fn text(answer: &ExplainResponse) -> String {
    let rows: Vec<_> = answer.verdicts.iter().map(row).collect();
    let mut text = table::table(["BINDING", "MODE", "VERDICT", "REASON"], &rows);
    for verdict in &answer.verdicts {
        for write in &verdict.added {
            text += &format!("{} adds {}\n", verdict.binding_id, added(write));
        }
    }
    text + &match answer.allowed {
        true => "the transaction would be made\n".to_owned(),
        false => format!("the transaction would be refused: {}\n", answer.refusal),
    }
}

fn row(verdict: &Verdict) -> [String; 4] {
    let said = if verdict.allowed { "allows" } else { "refuses" };
    let mode = table::mode(verdict.mode).to_owned();
    [verdict.binding_id.clone(), mode, said.to_owned(), verdict.reason.clone()]
}

fn added(write: &AddedWrite) -> String {
    let key = table::key(&write.key);
    match write.deleted {
        true => format!("a delete of \"{key}\""),
        false => format!("a put of \"{key}\" with {} bytes", write.value.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policys_word_and_the_end_are_told() {
        let said = |id: &str, allowed| Verdict {
            binding_id: id.into(),
            mode: 1,
            allowed,
            reason: if allowed { "" } else { "too long" }.into(),
            added: Vec::new(),
        };
        let mut first = said("a", true);
        first.added.push(AddedWrite { key: (&b"i"[..]).into(), ..AddedWrite::default() });
        let answer = ExplainResponse {
            verdicts: vec![first, said("b", false)],
            refusal: "refused by b: too long".into(),
            ..ExplainResponse::default()
        };
        let expected = "\
BINDING  MODE     VERDICT  REASON
a        enforce  allows
b        enforce  refuses  too long
a adds a put of \"i\" with 0 bytes
the transaction would be refused: refused by b: too long
";
        assert_eq!(text(&answer), expected);
    }
}
