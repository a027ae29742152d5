//! Alarms: listing, raising and clearing them.

use pb::AlarmType;
use pb::alarm_request::AlarmAction;
use portunus_proto::etcdserverpb as pb;

use super::request::header;
use super::writer::Writer;
use crate::effect::{Alarm, AlarmKind, Effect};
use crate::types::MemberId;

/// Lists the alarms asked for, or the one that was raised or cleared.
pub(super) fn alarm(writer: &mut Writer<'_>, request: &pb::AlarmRequest) -> pb::AlarmResponse {
    let kind = match request.alarm() {
        AlarmType::None => None,
        AlarmType::Nospace => Some(AlarmKind::NoSpace),
        AlarmType::Corrupt => Some(AlarmKind::Corrupt),
    };
    let member = MemberId(request.member_id);
    let alarms = match (request.action(), kind) {
        (AlarmAction::Get, kind) => list(writer, kind),
        (_, None) => Vec::new(),
        (AlarmAction::Activate, Some(kind)) => raise(writer, Alarm { member, kind }),
        (AlarmAction::Deactivate, Some(kind)) => clear(writer, Alarm { member, kind }),
    };
    let alarms = alarms.into_iter().map(on_wire).collect();
    pb::AlarmResponse { header: header(writer.head.revision), alarms }
}

fn list(writer: &Writer<'_>, kind: Option<AlarmKind>) -> Vec<Alarm> {
    let alarms = writer.head.registry().alarms.iter();
    alarms.filter(|alarm| kind.is_none_or(|kind| alarm.kind == kind)).copied().collect()
}

fn raise(writer: &mut Writer<'_>, alarm: Alarm) -> Vec<Alarm> {
    if !writer.head.registry().alarms.contains(&alarm) {
        writer.emit(Effect::AlarmRaise(alarm));
    }
    vec![alarm]
}

fn clear(writer: &mut Writer<'_>, alarm: Alarm) -> Vec<Alarm> {
    if !writer.head.registry().alarms.contains(&alarm) {
        return Vec::new();
    }
    writer.emit(Effect::AlarmClear(alarm));
    vec![alarm]
}

fn on_wire(alarm: Alarm) -> pb::AlarmMember {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => AlarmType::Nospace,
        AlarmKind::Corrupt => AlarmType::Corrupt,
    };
    pb::AlarmMember { member_id: alarm.member.0, alarm: kind.into() }
}
