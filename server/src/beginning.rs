//! Who this member is when it starts: whom its data names, one that founds a cluster with the
//! members it was told of, or one that joins a cluster that runs. Flags for a first start count
//! only where there is no data, as in etcd.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::config::{Bootstrap, ClusterState, Config, InitialCluster, cluster_id, member_id};
use crate::discovery::{registry, srv};
use crate::node::{self, Identity, Newcomer};
use crate::raft::Peer;
use crate::srv::Names;
use crate::tls::Dialer;
use crate::types::MemberId;

/// How a member begins.
pub struct Beginning {
    pub identity: Identity,
    /// With whom it founds a cluster; nobody where it does not.
    pub founders: Vec<(MemberId, Peer)>,
}

/// Finds out who this member is, by asking others where need be. What it finds out about the first
/// members is put where `--initial-cluster` would have said so.
pub async fn find(config: &mut Config, dialer: &Arc<Dialer>) -> Result<Beginning> {
    if let Some(identity) = node::identity_on_disk(&config.data_dir, config.wal_dir.as_deref())? {
        let founding = match config.bootstrap {
            Bootstrap::Listed => Some(founding(config)),
            _ => {
                tracing::info!("discovery is not used since there is data");
                None
            }
        };
        return Ok(continuing(founding, identity, config.initial_cluster_state));
    }
    refuse_etcds(&config.data_dir)?;
    discover(config).await?;
    match config.initial_cluster_state {
        ClusterState::New => Ok(founding(config)),
        ClusterState::Existing => {
            let identity = node::join(&newcomer(config), dialer.clone()).await?;
            tracing::info!(
                "cluster-id" = %identity.cluster,
                "member-id" = %identity.member,
                "joining a running cluster"
            );
            Ok(Beginning { identity, founders: Vec::new() })
        }
    }
}

/// Whoever changes the program and nothing else must not find an empty store where theirs was.
fn refuse_etcds(data_dir: &Path) -> Result<()> {
    let theirs = data_dir.join("member");
    if !theirs.join("snap").is_dir() && !theirs.join("wal").is_dir() {
        return Ok(());
    }
    bail!(
        "{dir} holds the data of an etcd, which is not opened in place. To bring it along, start \
         that etcd once more, take a snapshot of it (\"etcdctl snapshot save FILE\") and restore it \
         elsewhere (\"portunus snapshot restore FILE --data-dir DIR\", see docs/backup.md). To \
         begin without it, name another --data-dir",
        dir = data_dir.display()
    )
}

/// Replaces the list of members by one from elsewhere, where flags say so.
async fn discover(config: &mut Config) -> Result<()> {
    let found = match &config.bootstrap {
        Bootstrap::Listed => return Ok(()),
        Bootstrap::Srv { domain, service } => {
            let (name, advertised) = (&config.name, &config.initial_advertise_peer_urls);
            let query = srv::Query { domain, service, name, advertised };
            srv::initial_cluster(&query, &Names::of_system()?).await?
        }
        Bootstrap::Registry(discovery) => {
            config.initial_cluster_token.clone_from(&discovery.token);
            let own = config.initial_cluster.to_string();
            let member = member_id(&own_urls(config), &discovery.token);
            let joined = registry::join(discovery, member, &own).await;
            joined.context("failed to join discovery cluster")?
        }
    };
    tracing::info!(found, "discovered the first members");
    config.initial_cluster = InitialCluster::parse(&found).map_err(anyhow::Error::msg)?;
    config.check_bootstrap()?;
    Ok(())
}

/// With data, the data says who this is. Flags that name the same cluster must name the same
/// member of it: otherwise this is the data of one of the others, and opening it says so.
fn continuing(founding: Option<Beginning>, found: Identity, state: ClusterState) -> Beginning {
    match founding {
        Some(founding)
            if state == ClusterState::New && founding.identity.cluster == found.cluster =>
        {
            founding
        }
        _ => Beginning { identity: found, founders: Vec::new() },
    }
}

fn founding(config: &Config) -> Beginning {
    let token = &config.initial_cluster_token;
    let founders: Vec<(MemberId, Peer)> = config
        .initial_cluster
        .members
        .iter()
        .map(|member| {
            let peer_urls: Vec<String> = member.peer_urls.iter().map(ToString::to_string).collect();
            // What DNS lists has names that differ from one member to the other, and all founders
            // must write the same.
            let name = match config.bootstrap {
                Bootstrap::Srv { .. } => String::new(),
                _ => member.name.clone(),
            };
            (member.id(token), Peer { name, peer_urls, ..Peer::default() })
        })
        .collect();
    let ids: Vec<MemberId> = founders.iter().map(|(id, _)| *id).collect();
    let listed = config.initial_cluster.member(&config.name).map(|own| own.id(token));
    let member = listed.unwrap_or_else(|| member_id(&own_urls(config), token));
    Beginning { identity: Identity { cluster: cluster_id(&ids), member }, founders }
}

fn newcomer(config: &Config) -> Newcomer {
    let listed = config.initial_cluster.members.iter().map(|member| {
        let mut urls: Vec<String> = member.peer_urls.iter().map(ToString::to_string).collect();
        urls.sort_unstable();
        (member.name.clone(), urls)
    });
    Newcomer {
        name: config.name.clone(),
        listed: listed.collect(),
        learners_max: config.max_learners,
    }
}

/// Where this member says it is reached by peers.
pub fn own_urls(config: &Config) -> Vec<String> {
    config.initial_advertise_peer_urls.iter().map(ToString::to_string).collect()
}

/// Where the other listed members are reached.
pub fn others_urls(config: &Config) -> Vec<String> {
    let others = config.initial_cluster.members.iter().filter(|other| other.name != config.name);
    others.flat_map(|other| other.peer_urls.iter().map(ToString::to_string)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ClusterId;

    fn beginning(cluster: u64, member: u64) -> Beginning {
        let identity = Identity { cluster: ClusterId(cluster), member: MemberId(member) };
        Beginning { identity, founders: vec![(MemberId(member), Peer::default())] }
    }

    fn found(cluster: u64, member: u64) -> Identity {
        Identity { cluster: ClusterId(cluster), member: MemberId(member) }
    }

    #[test]
    fn data_says_who_a_member_is() {
        let joined = continuing(Some(beginning(1, 2)), found(8, 9), ClusterState::New);
        assert_eq!((joined.identity.cluster.0, joined.identity.member.0), (8, 9));
        assert!(joined.founders.is_empty());
        // One that founded the cluster may not have got to found it.
        let again = continuing(Some(beginning(1, 2)), found(1, 2), ClusterState::New);
        assert_eq!(again.founders.len(), 1);
        let later = continuing(Some(beginning(1, 2)), found(1, 2), ClusterState::Existing);
        assert_eq!((later.identity.member.0, later.founders.len()), (2, 0));
    }

    #[test]
    fn the_data_of_another_member_does_not_make_this_one_it() {
        let mixed_up = continuing(Some(beginning(1, 2)), found(1, 3), ClusterState::New);
        assert_eq!(mixed_up.identity.member.0, 2, "so the log, which is of 3, refuses to open");
    }
}
