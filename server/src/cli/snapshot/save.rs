//! `portunus snapshot save`: the stream of one member into a file, complete or not there at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use clap::Args;
use portunus_proto::etcdserverpb::SnapshotRequest;
use portunus_proto::etcdserverpb::maintenance_client::MaintenanceClient;

use crate::backup;
use crate::cli::connection::{Servers, connect, refused};
use crate::cli::output;

/// Where from and where to.
#[derive(Debug, Args)]
pub struct Save {
    /// The file to make; one that is there is replaced
    file: PathBuf,
    #[command(flatten)]
    servers: Servers,
}

pub fn run(options: Save) -> anyhow::Result<ExitCode> {
    let endpoints = &options.servers.endpoints;
    if endpoints.len() != 1 {
        bail!("snapshot must be requested to one selected node, not multiple {endpoints:?}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let version = runtime.block_on(save(&options))?;
    let mut said = format!("Snapshot saved at {}\n", options.file.display());
    if !version.is_empty() {
        said += &format!("Server version {version}\n");
    }
    output::print(&said)?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the version that the server names.
async fn save(options: &Save) -> anyhow::Result<String> {
    let channel = connect(&options.servers).await?;
    let partial = options.file.with_added_extension("part");
    let received = receive(channel, &partial).await.and_then(|version| {
        // Its checksum, before it takes the place of an older one.
        backup::open(&partial, false)?;
        fs::rename(&partial, &options.file)
            .with_context(|| format!("cannot name it {}", options.file.display()))?;
        sync_dir(&options.file)?;
        Ok(version)
    });
    if received.is_err() {
        // What is left over says nothing; the reason why is told.
        let _ = fs::remove_file(&partial);
    }
    received
}

async fn receive(channel: crate::dial::Channel, path: &Path) -> anyhow::Result<String> {
    let create = || format!("cannot create {}", path.display());
    let mut file = File::create(path).with_context(create)?;
    let mut client = MaintenanceClient::new(channel);
    let stream = client.snapshot(SnapshotRequest {}).await.map_err(|status| refused(&status))?;
    let (mut stream, mut version, mut bytes) = (stream.into_inner(), String::new(), 0);
    while let Some(piece) = stream.message().await.map_err(|status| refused(&status))? {
        file.write_all(&piece.blob).with_context(|| format!("cannot write {}", path.display()))?;
        bytes += piece.blob.len() as u64;
        version = piece.version;
    }
    ensure!(bytes % 512 == backup::CHECKSUM_BYTES, "sha256 checksum not found [bytes: {bytes}]");
    file.sync_all().with_context(|| format!("cannot sync {}", path.display()))?;
    Ok(version)
}

/// Makes the new name last.
fn sync_dir(path: &Path) -> anyhow::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all().with_context(|| format!("cannot sync {}", dir.display()))
}
