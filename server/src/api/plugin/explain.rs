//! A dry run as `portunus.v1` shows it.

use portunus_proto::portunus::v1 as pb;

use super::convert::wire_mode;
use crate::api::status;
use crate::decide::Write;
use crate::node::{Explained, PolicySaid};

pub fn explained(explained: Explained) -> pb::ExplainResponse {
    let refusal = explained.refusal.map(|refusal| status::of(refusal.into()));
    pb::ExplainResponse {
        header: None,
        verdicts: explained.said.into_iter().map(verdict).collect(),
        allowed: refusal.is_none(),
        refusal: refusal.map(|status| status.message().to_owned()).unwrap_or_default(),
    }
}

fn verdict(said: PolicySaid) -> pb::Verdict {
    pb::Verdict {
        binding_id: said.binding,
        mode: wire_mode(said.mode).into(),
        allowed: said.objection.is_none(),
        reason: said.objection.unwrap_or_default(),
        added: said.added.into_iter().filter_map(added).collect(),
    }
}

fn added(write: Write) -> Option<pb::AddedWrite> {
    match write {
        Write::By(_) => None,
        Write::Put { key, value, lease } => {
            Some(pb::AddedWrite { key, value, lease: lease.0, deleted: false })
        }
        Write::Delete { key } => {
            Some(pb::AddedWrite { key, deleted: true, ..pb::AddedWrite::default() })
        }
    }
}
