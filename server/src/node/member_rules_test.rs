//! The rules for changes of the members, case by case as etcd has them.

use super::{MemberAsk, MemberRefusal, Rules, Standing};

fn voter(id: u64) -> Standing {
    let peer_urls = vec![format!("http://m{id}:1")];
    Standing { id, peer_urls, votes: true, started: true, connected: true, matched: 1000 }
}

fn learner(id: u64) -> Standing {
    Standing { votes: false, ..voter(id) }
}

fn unstarted(id: u64) -> Standing {
    Standing { started: false, connected: false, matched: 0, ..voter(id) }
}

fn down(id: u64) -> Standing {
    Standing { connected: false, ..voter(id) }
}

fn judge(members: &[Standing], strict: bool, ask: &MemberAsk) -> Result<(), MemberRefusal> {
    Rules { members, own: 1, strict, learners_max: 1 }.check(ask, 99)
}

fn add(url: &str, learner: bool) -> MemberAsk {
    MemberAsk::Add { peer_urls: vec![url.to_owned()], learner }
}

#[test]
fn a_member_is_added_where_a_quorum_with_it_is_there_without_it() {
    let new = add("http://new:1", false);
    assert_eq!(judge(&[voter(1)], true, &new), Ok(()));
    assert_eq!(judge(&[voter(1), voter(2), voter(3)], true, &new), Ok(()));
    let waiting = [voter(1), unstarted(2)];
    assert_eq!(judge(&waiting, true, &new), Err(MemberRefusal::NotEnoughStarted));
    assert_eq!(judge(&waiting, false, &new), Ok(()));
    let sick = [voter(1), voter(2), down(3)];
    assert_eq!(judge(&sick, true, &new), Err(MemberRefusal::Unhealthy));
    assert_eq!(judge(&sick, true, &add("http://new:1", true)), Err(MemberRefusal::Unhealthy));
    assert_eq!(judge(&sick, false, &new), Ok(()));
    let four = [voter(1), voter(2), voter(3), down(4)];
    assert_eq!(judge(&four, true, &new), Ok(()), "three of five are there");
    assert_eq!(judge(&four, true, &add("http://new:1", true)), Ok(()));
    let five = [voter(1), voter(2), voter(3), voter(4), down(5)];
    assert_eq!(judge(&five, true, &new), Ok(()));
    let worse = [voter(1), voter(2), voter(3), down(4), down(5)];
    assert_eq!(judge(&worse, true, &new), Err(MemberRefusal::Unhealthy));
}

#[test]
fn an_id_or_a_peer_url_belongs_to_one_member() {
    assert_eq!(
        judge(&[voter(1), voter(99)], true, &add("http://x:1", false)),
        Err(MemberRefusal::IdExists)
    );
    let taken = add("http://m1:1", false);
    assert_eq!(judge(&[voter(1)], true, &taken), Err(MemberRefusal::PeerUrlExists));
    let update = |id, url: &str| MemberAsk::Update { id, peer_urls: vec![url.to_owned()] };
    let two = [voter(1), voter(2)];
    assert_eq!(judge(&two, true, &update(2, "http://m1:1")), Err(MemberRefusal::PeerUrlExists));
    assert_eq!(judge(&two, true, &update(2, "http://m2:1")), Ok(()), "its own");
    assert_eq!(judge(&two, true, &update(3, "http://m3:1")), Err(MemberRefusal::NotFound));
}

#[test]
fn there_are_no_more_learners_than_allowed() {
    let new = add("http://new:1", true);
    assert_eq!(judge(&[voter(1)], true, &new), Ok(()));
    let full = [voter(1), learner(2)];
    assert_eq!(judge(&full, true, &new), Err(MemberRefusal::TooManyLearners));
    assert_eq!(judge(&full, true, &add("http://new:1", false)), Ok(()), "a voter is none");
}

#[test]
fn a_removal_leaves_a_quorum() {
    let remove = MemberAsk::Remove;
    assert_eq!(judge(&[voter(1)], true, &remove(5)), Err(MemberRefusal::NotFound));
    for strict in [true, false] {
        assert_eq!(judge(&[voter(1)], strict, &remove(1)), Err(MemberRefusal::NotEnoughStarted));
    }
    let three = [voter(1), voter(2), voter(3)];
    assert_eq!(judge(&three, true, &remove(1)), Ok(()), "the leader too");
    let one_down = [voter(1), voter(2), down(3)];
    assert_eq!(judge(&one_down, true, &remove(3)), Ok(()), "it is down");
    assert_eq!(judge(&one_down, true, &remove(2)), Err(MemberRefusal::Unhealthy));
    assert_eq!(judge(&one_down, false, &remove(2)), Ok(()));
    let young = [voter(1), voter(2), unstarted(3)];
    assert_eq!(judge(&young, true, &remove(2)), Err(MemberRefusal::NotEnoughStarted));
    assert_eq!(judge(&young, true, &remove(3)), Ok(()));
    assert_eq!(judge(&[voter(1), learner(2)], true, &remove(2)), Ok(()));
}

#[test]
fn a_learner_is_promoted_once_it_follows() {
    let promote = MemberAsk::Promote;
    let at = |matched| [voter(1), Standing { matched, ..learner(2) }];
    assert_eq!(judge(&at(899), true, &promote(2)), Err(MemberRefusal::LearnerNotReady));
    assert_eq!(judge(&at(900), true, &promote(2)), Ok(()));
    assert_eq!(judge(&at(900), true, &promote(3)), Err(MemberRefusal::NotFound));
    assert_eq!(judge(&[voter(1), voter(2)], true, &promote(2)), Err(MemberRefusal::NotLearner));
    let waiting = [voter(1), unstarted(3), unstarted(4), learner(2)];
    assert_eq!(judge(&waiting, true, &promote(2)), Err(MemberRefusal::NotEnoughStarted));
    assert_eq!(judge(&waiting, false, &promote(2)), Ok(()));
}

#[test]
fn a_refusal_keeps_its_number() {
    for (refusal, code) in super::CODES {
        assert_eq!((refusal.code(), MemberRefusal::from_code(code)), (code, Some(refusal)));
    }
    assert_eq!(MemberRefusal::from_code(0), None);
}
