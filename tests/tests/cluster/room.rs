//! A disk that is nearly full. Needs a file system of its own, so it runs only where one may be
//! mounted.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType};
use portunus_tests::{Member, eventually};

const MIB: u64 = 1024 * 1024;
/// A member keeps a quarter of so small a file system in reserve.
const SIZE: u64 = 640 * MIB;
const REFUSED: &str = "etcdserver: mvcc: database space exceeded";

/// A small file system in memory, until dropped.
struct Disk(PathBuf);

impl Disk {
    fn mount(dir: &Path) -> Option<Self> {
        let size = format!("size={SIZE}");
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "portunus-test"])
            .arg(dir)
            .stderr(Stdio::null())
            .status();
        mount.is_ok_and(|status| status.success()).then(|| Self(dir.to_owned()))
    }

    fn free(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(&self.0)?;
        Ok(stat.f_bavail * stat.f_frsize)
    }

    /// Takes all but `left` bytes.
    fn fill(&self, left: u64) -> Result<()> {
        let bytes = self.free()?.checked_sub(left).context("it is fuller than that")?;
        std::fs::write(self.ballast(), vec![1; bytes as usize])?;
        Ok(())
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nearly_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let Some(disk) = Disk::mount(dir.path()) else {
        println!("skipped: a file system cannot be mounted here");
        return Ok(());
    };
    let mut member = Member::single(dir.path(), &[])?;
    let mut client = member.client().await?;
    client.put("key", "before", None).await?;
    disk.fill(SIZE / 8)?;
    eventually("writes to be refused", || {
        let mut client = client.clone();
        async move {
            let put = client.put("refused", "value", None).await;
            let error = put.err().context("it was taken")?.to_string();
            ensure!(error.contains(REFUSED), "{error}");
            Ok(())
        }
    })
    .await;
    assert_eq!(client.get("key", None).await?.kvs().len(), 1, "reads go on");
    client.delete("key", None).await?;

    // It comes up on the full disk, too, and a crash there costs nothing.
    member.kill()?;
    tokio::task::block_in_place(|| member.start())?;
    let mut client = member.client().await?;
    assert!(client.get("key", None).await?.kvs().is_empty(), "the delete was acknowledged");
    assert!(client.put("refused", "value", None).await.is_err());

    std::fs::remove_file(disk.ballast())?;
    eventually("writes to be taken", || {
        let mut client = client.clone();
        async move {
            // As with etcd, an operator clears the alarm when there is room.
            let raised = client.alarm(AlarmAction::Get, AlarmType::Nospace, None).await?;
            for alarm in raised.alarms() {
                let mut of = AlarmOptions::new();
                of.with_member(alarm.member_id());
                client.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(of)).await?;
            }
            client.put("key", "after", None).await?;
            anyhow::Ok(())
        }
    })
    .await;
    drop(member);
    Ok(())
}
