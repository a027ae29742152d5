//! Changes of the members of a cluster that has one, and what is refused of them. Nothing that
//! would take its quorum away is done: etcd stops at that.

use super::script::cases;
use crate::call::{Call, Case, Whom, put};

fn add(urls: &[&'static str], learner: bool) -> Call {
    Call::AddMember { urls: urls.to_vec(), learner }
}

pub fn changes() -> Vec<Case> {
    const LEARNER: &str = "http://127.0.0.1:1";
    let update = |whom, url| Call::UpdateMember(whom, vec![url]);
    let mut calls = bad_urls();
    calls.extend([
        Call::AddOwnUrl { learner: false },
        Call::AddOwnUrl { learner: true },
        Call::RemoveMember(Whom::Nobody),
        Call::RemoveMember(Whom::Itself),
        update(Whom::Nobody, LEARNER),
        Call::PromoteMember(Whom::Nobody),
        Call::PromoteMember(Whom::Itself),
        add(&[LEARNER], true),
        Call::Members { linearizable: true },
        add(&["http://127.0.0.1:2"], true),
        add(&[LEARNER], true),
        Call::PromoteMember(Whom::Learner),
        update(Whom::Learner, "http://127.0.0.1:3"),
        update(Whom::Learner, "http://127.0.0.1:3"),
        update(Whom::Itself, "http://127.0.0.1:3"),
        Call::RemoveMember(Whom::Itself),
        Call::Members { linearizable: true },
        Call::Put(put("members", "1")),
        Call::RemoveMember(Whom::Learner),
        Call::RemoveMember(Whom::Learner),
        add(&["http://127.0.0.1:5", "http://127.0.0.1:4"], true),
        Call::RemoveMember(Whom::Learner),
        Call::Members { linearizable: false },
    ]);
    cases(calls)
}

fn bad_urls() -> Vec<Call> {
    let bad: [&[&str]; 10] = [
        &[],
        &[""],
        &["127.0.0.1:1"],
        &["http://127.0.0.1"],
        &["http://127.0.0.1:1/"],
        &["http://127.0.0.1:1/path"],
        &["ftp://127.0.0.1:1"],
        &["http://:1x"],
        &["http://127.0.0.1:1", "nonsense"],
        &["http//127.0.0.1:1"],
    ];
    // Of an update etcd takes anything.
    bad.iter().map(|urls| add(urls, true)).collect()
}
