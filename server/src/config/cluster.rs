//! `--initial-cluster`: which members a new cluster begins with, and whether this one is among
//! them at the addresses it advertises.

use crate::config::Error;
use crate::config::address::{self, Url};
use crate::config::discovery::Bootstrap;
use crate::config::identity;
use crate::config::options::{ClusterState, Config, InitialCluster, InitialMember};
use crate::types::{ClusterId, MemberId};

impl InitialCluster {
    /// Reads `name=url,name=url`. A name that comes again adds a URL to the same member, as in
    /// etcd; members keep the order in which they are first named.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut members: Vec<InitialMember> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, url) = pair
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| format!("\"{pair}\" is not of the form name=url"))?;
            let url = Url::parse(url)?;
            url.check_advertise()?;
            match members.iter_mut().find(|member| member.name == name) {
                Some(member) => member.peer_urls.push(url),
                None => members.push(InitialMember { name: name.to_owned(), peer_urls: vec![url] }),
            }
        }
        if members.is_empty() {
            return Err("expected name=url,...".to_owned());
        }
        for member in &mut members {
            member.peer_urls.sort();
        }
        Ok(Self { members })
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&InitialMember> {
        self.members.iter().find(|member| member.name == name)
    }

    /// The id of the cluster that begins with these members under `token`.
    pub fn cluster_id(&self, token: &str) -> ClusterId {
        let ids: Vec<_> = self.members.iter().map(|member| member.id(token)).collect();
        identity::cluster_id(&ids)
    }

    fn has_duplicate_url(&self) -> bool {
        let mut urls: Vec<_> = self.members.iter().flat_map(|member| &member.peer_urls).collect();
        urls.sort();
        urls.windows(2).any(|pair| pair[0] == pair[1])
    }
}

impl InitialMember {
    /// The id this member has in a new cluster with `token`.
    pub fn id(&self, token: &str) -> MemberId {
        let urls: Vec<_> = self.peer_urls.iter().map(Url::as_str).collect();
        identity::member_id(&urls, token)
    }
}

impl std::fmt::Display for InitialCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs = self.members.iter().flat_map(|member| {
            member.peer_urls.iter().map(move |url| format!("{}={url}", member.name))
        });
        f.write_str(&pairs.collect::<Vec<_>>().join(","))
    }
}

impl Config {
    /// Checks what only a first start uses: this member is part of `--initial-cluster`, with the
    /// peer URLs it advertises when the cluster is new. A member with data ignores these flags,
    /// as in etcd, and must not be refused for them.
    ///
    /// Where members are to be found first, it is checked once they are found; what DNS says of this
    /// member may be another spelling of its address.
    pub fn check_bootstrap(&self) -> Result<(), Error> {
        let Some(member) = self.initial_cluster.member(&self.name) else {
            return Err(Error::Contradiction(format!(
                "couldn't find local name \"{}\" in the initial cluster configuration",
                self.name
            )));
        };
        let is_spelled_alike = !matches!(self.bootstrap, Bootstrap::Srv { .. });
        if self.initial_cluster_state == ClusterState::New && is_spelled_alike {
            self.check_advertised(member)?;
        }
        if self.initial_cluster.has_duplicate_url() {
            return Err(Error::Contradiction(format!(
                "initial cluster {} has duplicate url",
                self.initial_cluster
            )));
        }
        Ok(())
    }

    /// Compares texts; etcd also lets names and the addresses they resolve to pass as equal.
    fn check_advertised(&self, member: &InitialMember) -> Result<(), Error> {
        let advertised = &self.initial_advertise_peer_urls;
        let missing = |from: &[Url], of: &[Url]| {
            of.iter().filter(|url| !from.contains(url)).cloned().collect::<Vec<_>>()
        };
        let unadvertised = missing(advertised, &member.peer_urls);
        if !unadvertised.is_empty() {
            let pairs: Vec<_> =
                unadvertised.iter().map(|url| format!("{}={url}", self.name)).collect();
            return Err(Error::Contradiction(format!(
                "--initial-cluster has {} but missing from --initial-advertise-peer-urls={}",
                pairs.join(","),
                address::join(advertised)
            )));
        }
        let unlisted = missing(&member.peer_urls, advertised);
        if !unlisted.is_empty() {
            return Err(Error::Contradiction(format!(
                "--initial-advertise-peer-urls has {} but missing from --initial-cluster={}",
                address::join(&unlisted),
                self.initial_cluster
            )));
        }
        Ok(())
    }
}
