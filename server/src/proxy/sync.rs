//! Endpoints that follow the cluster: the members say who the members are.

use std::sync::Arc;
use std::time::Duration;

use portunus_proto::etcdserverpb::cluster_client::ClusterClient;
use portunus_proto::etcdserverpb::{Member, MemberListRequest};
use tonic::Status;

use super::forward::Forwarder;
use super::upstream::Upstream;
use crate::tls::Target;

/// Asks every so often, until the task is dropped. What cannot be learnt leaves all as it was.
pub async fn follow_members(upstream: Arc<Upstream>, members: Forwarder, every: Duration) {
    if every.is_zero() {
        return;
    }
    loop {
        tokio::time::sleep(every).await;
        match client_urls(&members, every).await {
            // Nobody has published a URL that can be used.
            Ok(targets) if targets.is_empty() => {}
            Ok(targets) => drop(upstream.replace(targets)),
            Err(error) => {
                tracing::warn!(%error, "members cannot be asked who the members are");
            }
        }
    }
}

async fn client_urls(members: &Forwarder, patience: Duration) -> Result<Vec<Target>, Status> {
    let mut client = ClusterClient::new(members.clone());
    let request = MemberListRequest { linearizable: true };
    let asked = tokio::time::timeout(patience, client.member_list(request)).await;
    let answer = asked.map_err(|_| Status::deadline_exceeded("no answer in time"))??;
    Ok(targets(&answer.into_inner().members))
}

/// Of members that have started and serve everything. A URL that is none is left out.
fn targets(members: &[Member]) -> Vec<Target> {
    let serving = members.iter().filter(|member| !member.name.is_empty() && !member.is_learner);
    let mut targets: Vec<Target> = Vec::new();
    for url in serving.flat_map(|member| &member.client_urls) {
        match url.parse() {
            Ok(target) if !targets.contains(&target) => targets.push(target),
            Ok(_) => {}
            Err(error) => tracing::warn!(url, %error, "a member has no usable client URL"),
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_serve_are_endpoints_each_once() {
        let member = |name: &str, urls: &[&str], is_learner| Member {
            name: name.into(),
            client_urls: urls.iter().map(|url| (*url).to_owned()).collect(),
            is_learner,
            ..Member::default()
        };
        let members = [
            member("a", &["http://a:1", "http://a:1", "rubbish"], false),
            member("", &["http://unstarted:1"], false),
            member("l", &["http://learner:1"], true),
            member("b", &["https://b:2", "http://a:1"], false),
        ];
        let found: Vec<_> = targets(&members).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["http://a:1", "https://b:2"]);
    }
}
