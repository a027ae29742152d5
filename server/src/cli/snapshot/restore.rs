//! `portunus snapshot restore`: etcdutl's command with its flags. What they say of the new cluster
//! is read and checked as a starting member reads it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;

use crate::backup;
use crate::cli::dispatch::REFUSED;
use crate::cli::output;
use crate::config::Config;
use crate::config::read::{self, Request};
use crate::node::{self, Identity, RestorePlan};
use crate::raft::Peer;

/// Room for as many revisions again.
const BUMP_MAX: i64 = i64::MAX / 2;

/// What from, and for whom.
#[derive(Debug, Args)]
pub struct Restore {
    /// The snapshot, from here or from an etcd
    file: PathBuf,
    /// Path to the output data directory, which must not exist or be empty [default: NAME.portunus]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Path to the log's directory; the member is then started with --wal-dir too
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Human-readable name for this member
    #[arg(long, default_value = "default")]
    name: String,
    /// Initial cluster configuration for restore bootstrap
    #[arg(long, value_name = "NAME=URL,...", default_value = "default=http://localhost:2380")]
    initial_cluster: String,
    /// Initial cluster token for the cluster during restore bootstrap
    #[arg(long, value_name = "TOKEN", default_value = "etcd-cluster")]
    initial_cluster_token: String,
    /// List of this member's peer URLs to advertise to the rest of the cluster
    #[arg(long, value_name = "URLS", default_value = "http://localhost:2380")]
    initial_advertise_peer_urls: String,
    /// Ignore snapshot integrity hash value (required if copied from data directory)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", action = clap::ArgAction::Set)]
    skip_hash_check: bool,
    /// How much to increase the latest revision after restore
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(i64).range(0..=BUMP_MAX))]
    bump_revision: i64,
    /// Mark the latest revision after restore as compacted (required if --bump-revision > 0,
    /// disallowed otherwise)
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
          default_value = "false", action = clap::ArgAction::Set)]
    mark_compacted: bool,
    /// Accepted for etcdutl's scripts, without effect: nothing is mapped
    #[arg(long, value_name = "BYTES", hide = true)]
    initial_memory_map_size: Option<u64>,
}

pub fn run(options: Restore) -> anyhow::Result<ExitCode> {
    if (options.bump_revision > 0) != options.mark_compacted {
        eprintln!("portunus snapshot: --mark-compacted required if --revision-bump > 0");
        return Ok(ExitCode::from(REFUSED));
    }
    let config = match configure(&options)? {
        Ok(config) => config,
        Err(error) => {
            eprintln!("portunus snapshot: {error}");
            return Ok(ExitCode::from(REFUSED));
        }
    };
    let restored = node::restore(&plan(&options, &config))?;
    for bucket in &restored.ignored {
        eprintln!("portunus snapshot: bucket \"{bucket}\" has no meaning here and was left out");
    }
    output::print(&format!(
        "restored {} keys and {} leases at revision {} to {}\n",
        restored.keys,
        restored.leases,
        restored.revision,
        config.data_dir.display()
    ))?;
    Ok(ExitCode::SUCCESS)
}

/// The configuration that a member would start with; the inner error refuses a flag.
fn configure(options: &Restore) -> anyhow::Result<Result<Config, crate::config::Error>> {
    let flag = |name: &str, value: &str| OsString::from(format!("--{name}={value}"));
    let mut flags = vec![
        flag("name", &options.name),
        flag("initial-cluster", &options.initial_cluster),
        flag("initial-cluster-token", &options.initial_cluster_token),
        flag("initial-advertise-peer-urls", &options.initial_advertise_peer_urls),
    ];
    if let Some(dir) = &options.data_dir {
        flags.push(flag("data-dir", dir.to_str().context("--data-dir is not UTF-8")?));
    }
    let values = match read::read(flags, std::iter::empty()) {
        Ok(Request::Serve(values)) => values,
        Ok(_) => bail!("flags that say how a member starts were taken for others"),
        Err(error) => return Ok(Err(error)),
    };
    Ok(Config::from_values(&values).and_then(|config| {
        config.check_bootstrap()?;
        Ok(config)
    }))
}

fn plan(options: &Restore, config: &Config) -> RestorePlan {
    let (cluster, token) = (&config.initial_cluster, config.initial_cluster_token.as_str());
    let members: Vec<_> = cluster
        .members
        .iter()
        .map(|member| {
            let peer_urls = member.peer_urls.iter().map(ToString::to_string).collect();
            let peer = Peer { name: member.name.clone(), peer_urls, ..Peer::default() };
            (member.id(token), peer)
        })
        .collect();
    let own = cluster.member(&config.name).map(|member| member.id(token));
    let identity = Identity {
        cluster: cluster.cluster_id(token),
        member: own.expect("the bootstrap check has found this member in the list"),
    };
    let bump = options.bump_revision;
    RestorePlan {
        snapshot: options.file.clone(),
        data_dir: config.data_dir.clone(),
        wal_dir: options.wal_dir.clone(),
        identity,
        members,
        skip_hash_check: options.skip_hash_check,
        options: backup::Options { bump_revision: options.mark_compacted.then_some(bump) },
    }
}
