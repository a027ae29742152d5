//! Changes that happen once enough voters approve: a write policy that closes a prefix to direct
//! writes, and recipes to propose, vote and look.
//!
//! - `voters`: names, separated by commas; needed;
//! - `needed`: how many must approve, more than half of the voters unless it is given;
//! - `protected`: the prefix that is closed; to be granted for writing where it is not the recipes'.
//!
//! `propose {"changes": [{"key": "prod/flags", "value": "on"}], "note": "why"}` replies a number;
//! a change without `value` deletes. `vote {"id": 1, "approve": true}` replies how it stands; the
//! vote that makes it enough carries the changes out in its own transaction, and enough votes
//! against end the proposal. A voter is the authenticated caller, or while authentication is off
//! the argument `voter`. `show {"id": 1}` tells a proposal, which is the key `PREFIX<id>`.
//!
//! ```sh
//! portunus plugin deploy builtin:approval --recipe changes/ --write-policy prod/ \
//!     --grant-write prod/ --config voters=ann,bob,eve --config protected=prod/
//! portunus recipe call approval vote '{"id": 1, "approve": true, "voter": "ann"}'
//! ```

use std::collections::BTreeMap;

use portunus_sdk::prelude::*;
use serde::{Deserialize, Serialize};

recipes!(propose, vote, show);

/// One write of a proposal.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Change {
    key: String,
    /// None deletes the key.
    value: Option<String>,
}

#[derive(Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Applied,
    Rejected,
}

/// A proposal as it is kept and shown.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct Proposal {
    id: u64,
    changes: Vec<Change>,
    note: String,
    by: Option<String>,
    state: State,
    votes: BTreeMap<String, bool>,
    needed: usize,
}

/// What `propose` takes.
#[derive(Serialize, Deserialize)]
struct Propose {
    changes: Vec<Change>,
    #[serde(default)]
    note: String,
}

/// What `vote` takes.
#[derive(Serialize, Deserialize)]
struct Vote {
    id: u64,
    approve: bool,
    voter: Option<String>,
}

/// What `show` takes.
#[derive(Serialize, Deserialize)]
struct Show {
    id: u64,
}

/// What this plugin writes itself is not shown to it.
#[write_policy]
fn closed(cx: &Context, writes: &[Write]) -> Result {
    match writes.first() {
        Some(write) => {
            refuse(format!("{} changes by approval: call {} propose", write.key_text(), cx.name()))
        }
        None => Ok(()),
    }
}

#[recipe]
fn propose(cx: &Context, args: Propose) -> Result<u64> {
    let protected: String = cx.config("protected").or_refuse("the setting protected is missing")?;
    if args.changes.is_empty() {
        return invalid("changes is empty: propose one at least");
    }
    for change in &args.changes {
        if !change.key.starts_with(&protected) {
            return invalid(format!("{} is not under {protected}", change.key));
        }
    }
    let last = cx.key("last");
    let id = cx.get_json::<u64>(&last)?.unwrap_or(0) + 1;
    cx.put_json(last, &id)?;
    let proposal = Proposal {
        id,
        changes: args.changes,
        note: args.note,
        by: cx.caller().map(str::to_owned),
        state: State::Open,
        votes: BTreeMap::new(),
        needed: Board::of(cx)?.needed,
    };
    cx.put_json(cx.key(id.to_string()), &proposal)?;
    Ok(id)
}

#[recipe]
fn vote(cx: &Context, args: Vote) -> Result<Proposal> {
    let board = Board::of(cx)?;
    let voter = match (cx.caller(), args.voter) {
        (Some(caller), None) => caller.to_owned(),
        (None, Some(voter)) => voter,
        (Some(caller), Some(voter)) if caller == voter => voter,
        (Some(caller), Some(_)) => return refuse(format!("{caller} votes for nobody else")),
        (None, None) => return invalid("who votes? authentication is off: name the voter"),
    };
    if !board.voters.contains(&voter) {
        return refuse(format!("{voter} is no voter"));
    }
    let mut proposal = read(cx, args.id)?;
    if proposal.state != State::Open {
        return refuse(format!("proposal {} is no longer open", args.id));
    }
    proposal.votes.insert(voter, args.approve);
    let count = |vote| proposal.votes.values().filter(|cast| **cast == vote).count();
    if count(true) >= proposal.needed {
        proposal.state = State::Applied;
        for change in &proposal.changes {
            match &change.value {
                Some(value) => cx.put(&change.key, value),
                None => drop(cx.delete(&change.key)),
            }
        }
    } else if board.voters.len() - count(false) < proposal.needed {
        proposal.state = State::Rejected;
    }
    cx.put_json(cx.key(args.id.to_string()), &proposal)?;
    Ok(proposal)
}

#[recipe]
fn show(cx: &Context, args: Show) -> Result<Proposal> {
    read(cx, args.id)
}

fn read(cx: &Context, id: u64) -> Result<Proposal> {
    cx.get_json(cx.key(id.to_string()))?.or_refuse(format!("there is no proposal {id}"))
}

struct Board {
    voters: Vec<String>,
    needed: usize,
}

impl Board {
    fn of(cx: &Context) -> Result<Self> {
        let voters: String = cx.config("voters").or_refuse("the setting voters is missing")?;
        let names: Vec<String> = voters.split(',').map(|name| name.trim().to_owned()).collect();
        let mut voters: Vec<String> = Vec::new();
        for name in names {
            if !voters.contains(&name) {
                voters.push(name);
            }
        }
        let needed = cx.config("needed").unwrap_or(voters.len() / 2 + 1);
        if needed == 0 || needed > voters.len() {
            return refuse(format!("needed = {needed} must be from 1 to {}", voters.len()));
        }
        Ok(Self { voters, needed })
    }
}

#[cfg(test)]
mod tests {
    use portunus_sdk::testing::{Client, Cluster, Failure, Plugin};

    use super::{Change, Proposal, Propose, RECIPES, Show, State, Vote, closed};

    fn deployed(more: &str) -> Cluster {
        let cluster = Cluster::new();
        let config = format!("voters = ann, bob, eve\nprotected = prod/\n{more}");
        let plugin = Plugin::new("approval").config(config).may_write("prod/");
        let plugin = plugin.under("prod/").write_policy(closed);
        cluster.deploy(plugin.under("changes/").recipes(RECIPES));
        cluster
    }

    fn propose(client: &Client, changes: &[(&str, Option<&str>)]) -> Result<u64, Failure> {
        let change = |(key, value): &(&str, Option<&str>)| Change {
            key: (*key).to_owned(),
            value: value.map(str::to_owned),
        };
        let changes = changes.iter().map(change).collect();
        client.call("approval", "propose", &Propose { changes, note: String::new() }).reply()
    }

    fn vote(client: &Client, id: u64, approve: bool) -> Result<State, Failure> {
        let vote = Vote { id, approve, voter: None };
        let proposal: Proposal = client.call("approval", "vote", &vote).reply()?;
        Ok(proposal.state)
    }

    #[test]
    fn the_vote_that_is_enough_carries_the_changes_out() {
        let cluster = deployed("");
        let [ann, bob] = ["ann", "bob"].map(|name| cluster.client(name));
        let id = propose(&ann, &[("prod/a", Some("on")), ("prod/b", None)]).expect("proposed");
        assert_eq!(vote(&ann, id, true), Ok(State::Open));
        assert_eq!(vote(&ann, id, true), Ok(State::Open), "one voter, one vote");
        assert_eq!(ann.text("prod/a"), None);
        assert_eq!(vote(&bob, id, true), Ok(State::Applied));
        assert_eq!(ann.text("prod/a").as_deref(), Some("on"));
        let late = vote(&cluster.client("eve"), id, false).expect_err("closed").to_string();
        assert_eq!(late, "refused by approval: proposal 1 is no longer open");
    }

    #[test]
    fn nobody_writes_there_directly() {
        let cluster = deployed("");
        let why = cluster.client("ann").put("prod/a", "on").expect_err("closed").to_string();
        assert_eq!(why, "refused by approval: prod/a changes by approval: call approval propose");
    }

    #[test]
    fn enough_votes_against_end_it_and_a_mind_may_be_changed_before() {
        let cluster = deployed("");
        let [ann, bob, eve] = ["ann", "bob", "eve"].map(|name| cluster.client(name));
        let id = propose(&ann, &[("prod/a", Some("on"))]).expect("proposed");
        assert_eq!(vote(&ann, id, false), Ok(State::Open));
        assert_eq!(vote(&ann, id, true), Ok(State::Open));
        assert_eq!(vote(&bob, id, false), Ok(State::Open));
        assert_eq!(vote(&eve, id, false), Ok(State::Rejected));
        let shown: Proposal = ann.call("approval", "show", &Show { id }).reply().expect("shown");
        assert_eq!((shown.state, shown.votes.len()), (State::Rejected, 3));
        assert_eq!(ann.text("prod/a"), None);
    }

    #[test]
    fn only_voters_vote_and_only_for_themselves() {
        let cluster = deployed("");
        let id = propose(&cluster.client("max"), &[("prod/a", None)]).expect("anybody proposes");
        let max = vote(&cluster.client("max"), id, true).expect_err("no voter").to_string();
        assert_eq!(max, "refused by approval: max is no voter");
        let other = Vote { id, approve: true, voter: Some("bob".into()) };
        let ann = cluster.client("ann").call("approval", "vote", &other).reply::<Proposal>();
        let why = ann.expect_err("for another").to_string();
        assert_eq!(why, "refused by approval: ann votes for nobody else");
        let nobody = Vote { id, approve: true, voter: None };
        let nobody = cluster.anonymous().call("approval", "vote", &nobody).reply::<Proposal>();
        assert!(nobody.is_err(), "{nobody:?}");
        let named = cluster.anonymous().call("approval", "vote", &other).reply::<Proposal>();
        assert!(named.is_ok(), "without authentication the argument says who votes: {named:?}");
    }

    #[test]
    fn a_proposal_that_makes_no_sense_is_told() {
        let ann = deployed("").client("ann");
        for (changes, why) in [(&[][..], "changes is empty"), (&[("x", None)], "x is not under")] {
            let told = propose(&ann, changes).expect_err("invalid").to_string();
            assert!(told.contains(why), "{told}");
        }
        let ann = deployed("needed = 4").client("ann");
        let told = propose(&ann, &[("prod/a", None)]).expect_err("a wrong setting").to_string();
        assert!(told.contains("needed = 4 must be from 1 to 3"), "{told}");
    }
}
