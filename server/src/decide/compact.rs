//! Compaction: which revisions may be forgotten. Forgetting them is done behind, by each member.

use portunus_proto::etcdserverpb as pb;

use super::Refusal;
use super::request::header;
use super::writer::Writer;
use crate::effect::Effect;

pub(super) fn compact(
    writer: &mut Writer<'_>,
    request: &pb::CompactionRequest,
) -> Result<pb::CompactionResponse, Refusal> {
    let revision = request.revision;
    if revision <= writer.head.compacted {
        return Err(Refusal::Compacted);
    }
    if revision > writer.head.revision {
        return Err(Refusal::FutureRevision);
    }
    writer.emit(Effect::Compact { revision });
    Ok(pb::CompactionResponse { header: header(writer.head.revision) })
}
