//! Keeps effects back that a member of an older version would not know; see [`crate::machine::level`].

use super::Refusal;
use super::writer::{Mark, Writer};
use crate::machine::{FEATURE_LEVEL, level};

/// Where a decision begins. Nothing need be kept once all members know all this program knows.
pub(super) fn before(writer: &Writer<'_>) -> Option<(Mark, usize)> {
    let mixed = writer.head.feature_level < FEATURE_LEVEL;
    mixed.then(|| (writer.mark(), writer.draft.effects.len()))
}

/// Refuses and undoes a decision with an effect that not all members know.
pub(super) fn check(writer: &mut Writer<'_>, before: Option<(Mark, usize)>) -> Result<(), Refusal> {
    let Some((mark, begin)) = before else { return Ok(()) };
    let known = writer.head.feature_level;
    let needed = writer.draft.effects[begin..].iter().map(level).max().unwrap_or(0);
    if needed <= known {
        return Ok(());
    }
    writer.undo_to(mark);
    Err(Refusal::FeatureLevel { needed, level: known })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{before, check};
    use crate::decide::writer::Writer;
    use crate::decide::{Draft, Refusal};
    use crate::effect::Effect;
    use crate::machine::{FEATURE_LEVEL, State, level};
    use crate::types::LeaseId;

    /// One decision that puts a key and, as a newer program may, notes the request's id.
    fn decide(head: &mut State, draft: &mut Draft, newer: bool) -> Result<(), Refusal> {
        let mut writer = Writer::new(head, draft);
        let before = before(&writer);
        writer.put(&Bytes::from_static(b"key"), b"value", LeaseId(0));
        if newer {
            writer.emit(Effect::Request { id: "id".into() });
        }
        check(&mut writer, before)
    }

    #[test]
    fn an_effect_that_a_member_may_not_know_is_kept_back_until_all_do() {
        let (mut head, mut draft) = (State::default(), Draft::default());
        assert_eq!(decide(&mut head, &mut draft, false), Ok(()), "what everybody knows");
        let (revision, effects) = (head.revision, draft.effects.clone());
        let needed = level(&Effect::Request { id: Bytes::new() });
        let refused = Err(Refusal::FeatureLevel { needed, level: 0 });
        assert_eq!(decide(&mut head, &mut draft, true), refused);
        assert_eq!((head.revision, &draft.effects), (revision, &effects), "as before");
        assert_eq!(head.get(b"key").map(|item| item.version()), Some(1));
        head.feature_level = FEATURE_LEVEL;
        assert_eq!(decide(&mut head, &mut draft, true), Ok(()));
        assert_eq!(draft.effects.len(), effects.len() + 2);
    }
}
