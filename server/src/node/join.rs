//! Joining a cluster that runs: its members are asked who belongs to it, and that must be exactly
//! who this member was told of, itself among them. Texts are etcd's.

use std::fmt;
use std::sync::Arc;

use super::shared::Identity;
use crate::raft::{Roll, RollMember, ask_rolls};
use crate::tls::Dialer;
use crate::types::{ClusterId, MemberId};

/// A member that was added and has no data yet.
#[derive(Clone, Debug)]
pub struct Newcomer {
    pub name: String,
    /// All members as `--initial-cluster` lists them: name and sorted peer URLs.
    pub listed: Vec<(String, Vec<String>)>,
    /// `--max-learners`.
    pub learners_max: usize,
}

/// Why this member does not join.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum JoinError {
    #[error(
        "cannot fetch cluster info from peer urls: could not retrieve cluster information from \
         the given URLs"
    )]
    NoAnswer,
    #[error("error validating peerURLs {listed}: member count is unequal")]
    CountUnequal { listed: Listed },
    #[error(
        "error validating peerURLs {listed}: PeerURLs: no match found for existing member \
         ({member}, [{urls}]), last resolver error (<nil>)"
    )]
    NoMatch { listed: Listed, member: MemberId, urls: String },
    #[error("couldn't find local name \"{0}\" in the initial cluster configuration")]
    NotListed(String),
    #[error(
        "member {0} has already been bootstrapped, and holds no data: what it has voted for and \
         acknowledged is lost; put the data back, or remove the member from the cluster and add \
         it as a new one"
    )]
    Bootstrapped(MemberId),
    #[error(
        "the cluster has {found} learner members and --max-learners is {max}: start this member \
         with a larger one"
    )]
    TooManyLearners { found: usize, max: usize },
}

/// The members of the running cluster, printed as Go prints etcd's.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    cluster: ClusterId,
    members: Vec<RollMember>,
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{ClusterID:{} Members:[", self.cluster)?;
        for (at, member) in self.members.iter().enumerate() {
            let RollMember { id, name, peer_urls, client_urls, is_learner } = member;
            let (peers, clients) = (peer_urls.join(" "), client_urls.join(" "));
            let gap = if at > 0 { " " } else { "" };
            write!(
                f,
                "{gap}&{{ID:{id} RaftAttributes:{{PeerURLs:[{peers}] IsLearner:{is_learner}}} \
                 Attributes:{{Name:{name} ClientURLs:[{clients}]}}}}"
            )?;
        }
        f.write_str("] RemovedMemberIDs:[]}")
    }
}

/// Asks the listed members but this one, and finds out who this one is.
pub async fn join(newcomer: &Newcomer, dialer: Arc<Dialer>) -> Result<Identity, JoinError> {
    let others = newcomer.listed.iter().filter(|(name, _)| *name != newcomer.name);
    let urls: Vec<String> = others.flat_map(|(_, urls)| urls.clone()).collect();
    let mut rolls = ask_rolls(dialer, &urls).await;
    // One that a quorum has confirmed knows of this member for certain.
    rolls.sort_by_key(|roll| !roll.confirmed);
    let Some(roll) = rolls.into_iter().next() else {
        tracing::warn!(urls = urls.join(","), "no member of the cluster answers");
        return Err(JoinError::NoAnswer);
    };
    newcomer.place(&roll)
}

impl Newcomer {
    fn place(&self, roll: &Roll) -> Result<Identity, JoinError> {
        let mut members = roll.members.clone();
        members.iter_mut().for_each(|member| member.peer_urls.sort_unstable());
        members.sort_by(|a, b| a.peer_urls.cmp(&b.peer_urls));
        let listed = || Listed { cluster: roll.cluster, members: members.clone() };
        if members.len() != self.listed.len() {
            return Err(JoinError::CountUnequal { listed: listed() });
        }
        let own = self.listed.iter().find(|(name, _)| *name == self.name);
        let (_, own) = own.ok_or_else(|| JoinError::NotListed(self.name.clone()))?;
        let mut found = None;
        for member in &members {
            if !self.listed.iter().any(|(_, urls)| *urls == member.peer_urls) {
                let (id, urls) = (member.id, member.peer_urls.join(" "));
                return Err(JoinError::NoMatch { listed: listed(), member: id, urls });
            }
            if member.peer_urls == *own {
                found = Some(member);
            }
        }
        let found = found.ok_or_else(|| JoinError::NotListed(self.name.clone()))?;
        if !found.client_urls.is_empty() {
            return Err(JoinError::Bootstrapped(found.id));
        }
        let learners = members.iter().filter(|member| member.is_learner).count();
        if learners > self.learners_max {
            return Err(JoinError::TooManyLearners { found: learners, max: self.learners_max });
        }
        Ok(Identity { cluster: roll.cluster, member: found.id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, name: &str, url: &str) -> RollMember {
        let clients = if name.is_empty() { vec![] } else { vec!["http://c:1".to_owned()] };
        RollMember {
            id: MemberId(id),
            name: name.into(),
            peer_urls: vec![url.into()],
            client_urls: clients,
            is_learner: false,
        }
    }

    fn roll() -> Roll {
        let members = vec![member(0xa, "one", "http://a:1"), member(0xb, "", "http://b:1")];
        Roll { cluster: ClusterId(0xc), member: MemberId(0xa), confirmed: true, members }
    }

    fn newcomer(listed: &[(&str, &str)]) -> Newcomer {
        let pair = |(name, url): &(&str, &str)| ((*name).to_owned(), vec![(*url).to_owned()]);
        let listed = listed.iter().map(pair).collect();
        Newcomer { name: "two".into(), listed, learners_max: 1 }
    }

    const BOTH: [(&str, &str); 2] = [("one", "http://a:1"), ("two", "http://b:1")];

    #[test]
    fn who_was_added_gets_the_id_it_was_given() {
        let found = newcomer(&BOTH).place(&roll()).unwrap();
        assert_eq!((found.cluster, found.member), (ClusterId(0xc), MemberId(0xb)));
    }

    #[test]
    fn another_list_is_refused_in_etcds_words() {
        let said =
            |listed: &[(&str, &str)]| newcomer(listed).place(&roll()).unwrap_err().to_string();
        let cluster = "{ClusterID:c Members:[&{ID:a RaftAttributes:{PeerURLs:[http://a:1] \
                       IsLearner:false} Attributes:{Name:one ClientURLs:[http://c:1]}} &{ID:b \
                       RaftAttributes:{PeerURLs:[http://b:1] IsLearner:false} Attributes:{Name: \
                       ClientURLs:[]}}] RemovedMemberIDs:[]}";
        assert_eq!(
            said(&BOTH[1..]),
            format!("error validating peerURLs {cluster}: member count is unequal")
        );
        assert_eq!(
            said(&[BOTH[0], ("two", "http://x:1")]),
            format!(
                "error validating peerURLs {cluster}: PeerURLs: no match found for existing \
                 member (b, [http://b:1]), last resolver error (<nil>)"
            )
        );
        assert_eq!(
            said(&[BOTH[0], ("three", "http://b:1")]),
            "couldn't find local name \"two\" in the initial cluster configuration"
        );
    }

    #[test]
    fn a_member_that_has_served_must_have_data() {
        let mut roll = roll();
        roll.members[1] = member(0xb, "two", "http://b:1");
        let refused = newcomer(&BOTH).place(&roll).unwrap_err();
        assert_eq!(refused, JoinError::Bootstrapped(MemberId(0xb)));
    }

    #[test]
    fn no_more_learners_than_this_member_allows() {
        let mut roll = roll();
        roll.members[1].is_learner = true;
        assert!(newcomer(&BOTH).place(&roll).is_ok());
        let newcomer = Newcomer { learners_max: 0, ..newcomer(&BOTH) };
        let refused = newcomer.place(&roll).unwrap_err();
        assert_eq!(refused, JoinError::TooManyLearners { found: 1, max: 0 });
    }
}
