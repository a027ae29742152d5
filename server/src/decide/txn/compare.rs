//! The compares that choose a transaction's branch.

use std::cmp::Ordering;

use pb::compare::{CompareResult, CompareTarget, TargetUnion};
use portunus_proto::etcdserverpb as pb;

use crate::machine::State;
use crate::types::{Item, KeyRange};
use crate::view::ReadSet;

/// True when all hold. Stops at the first that does not.
pub(super) fn all_hold(
    state: &State,
    compares: &[pb::Compare],
    mut reads: Option<&mut ReadSet>,
) -> bool {
    compares.iter().all(|compare| {
        if let Some(reads) = reads.as_deref_mut() {
            note(state, compare, reads);
        }
        holds(state, compare)
    })
}

fn note(state: &State, compare: &pb::Compare, reads: &mut ReadSet) {
    if compare.range_end.is_empty() {
        reads.note_key(&compare.key, state.get(&compare.key));
    } else {
        reads.note_range(&range_of(compare));
    }
}

fn range_of(compare: &pb::Compare) -> KeyRange {
    KeyRange::from_wire(compare.key.clone(), compare.range_end.clone())
}

/// A range must hold for all of its keys; what does not exist is compared as zero, but has no
/// value to compare.
fn holds(state: &State, compare: &pb::Compare) -> bool {
    if compare.range_end.is_empty() {
        return match state.get(&compare.key) {
            Some(item) => holds_for(Some(item), compare),
            None => holds_for_nothing(compare),
        };
    }
    let mut items = state.items().range(&range_of(compare)).peekable();
    match items.peek() {
        Some(_) => items.all(|item| holds_for(Some(item), compare)),
        None => holds_for_nothing(compare),
    }
}

fn holds_for_nothing(compare: &pb::Compare) -> bool {
    CompareTarget::try_from(compare.target) != Ok(CompareTarget::Value) && holds_for(None, compare)
}

fn holds_for(item: Option<&Item>, compare: &pb::Compare) -> bool {
    let ordering = match CompareTarget::try_from(compare.target) {
        Ok(CompareTarget::Value) => {
            let wanted = match &compare.target_union {
                Some(TargetUnion::Value(value)) => &value[..],
                _ => b"",
            };
            item.map_or(&b""[..], Item::value).cmp(wanted)
        }
        Ok(target) => number_of(item, target).cmp(&wanted_of(compare, target)),
        // etcd compares nothing for a target it does not know.
        Err(_) => Ordering::Equal,
    };
    match CompareResult::try_from(compare.result) {
        Ok(CompareResult::Equal) => ordering == Ordering::Equal,
        Ok(CompareResult::NotEqual) => ordering != Ordering::Equal,
        Ok(CompareResult::Greater) => ordering == Ordering::Greater,
        Ok(CompareResult::Less) => ordering == Ordering::Less,
        Err(_) => true,
    }
}

fn number_of(item: Option<&Item>, target: CompareTarget) -> i64 {
    item.map_or(0, |item| match target {
        CompareTarget::Version => item.version(),
        CompareTarget::Create => item.create_revision(),
        CompareTarget::Mod => item.mod_revision(),
        CompareTarget::Lease => item.lease().0,
        CompareTarget::Value => 0,
    })
}

/// Zero where the request names another kind of value than its target.
fn wanted_of(compare: &pb::Compare, target: CompareTarget) -> i64 {
    match (target, &compare.target_union) {
        (CompareTarget::Version, Some(TargetUnion::Version(number)))
        | (CompareTarget::Create, Some(TargetUnion::CreateRevision(number)))
        | (CompareTarget::Mod, Some(TargetUnion::ModRevision(number)))
        | (CompareTarget::Lease, Some(TargetUnion::Lease(number))) => *number,
        _ => 0,
    }
}
