//! Snapshots of living clusters, and clusters made from them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use etcd_client::{
    CompactionOptions, GetOptions, LeaseTimeToLiveOptions, PutOptions, WatchOptions,
};
use portunus_tests::snapshots::{hash_kv, restored, revision, save, snapshot};
use portunus_tests::{Cluster, Member, Rpc, eventually, free_ports};

use crate::load::{Acked, Ledger};
use crate::turn::turn;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_taken_under_writes_holds_what_was_acknowledged() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let dir = tempfile::tempdir()?;
    let ledger = Ledger::start(&cluster.members, 3);
    ledger.grows_by(500).await;
    let leader = cluster.leader().await;
    let mut client = cluster.members[leader].client().await?;
    let deleted = client.put("deleted", "before", None).await?;
    client.delete("deleted", None).await?;
    let before = client.get("deleted", None).await?.header().context("header")?.revision();
    // A follower's: what others have acknowledged by now is in it too.
    let file = save(&cluster.members[(leader + 1) % 3].client_url, dir.path())?;
    ledger.grows_by(200).await;
    let Acked(acked) = ledger.stop().await?;
    let at = revision(&file)?;
    ensure!(at >= before, "the snapshot is of revision {at}, {before} was acknowledged");
    let expected = hash_kv(&cluster.members[leader].client_url, at).await?;
    cluster.members.iter_mut().try_for_each(Member::kill)?;

    let mut member = restored(&file, dir.path(), 1, &[])?.remove(0);
    member.start()?;
    assert_eq!(hash_kv(&member.client_url, 0).await?, expected);
    let mut client = member.client().await?;
    let kept = acked.into_iter().filter(|(_, revision)| *revision <= at).collect();
    Acked(kept).assert_kept(&mut client).await?;
    let old = deleted.header().context("header")?.revision();
    let was = client.get("deleted", Some(GetOptions::new().with_revision(old))).await?;
    assert_eq!(was.kvs()[0].value(), b"before", "history came along");
    Ok(())
}

/// Keys, a deleted one, a lease, and a compaction between them.
async fn fill(member: &Member) -> Result<i64> {
    let mut client = member.client().await?;
    let lease = client.lease_grant(3600, None).await?.id();
    for n in 0..300 {
        client.put(format!("key/{}", n % 40), format!("{n}"), None).await?;
    }
    client.put("leased", "x", Some(PutOptions::new().with_lease(lease))).await?;
    client.delete("key/7", None).await?;
    client.compact(200, Some(CompactionOptions::new().with_physical())).await?;
    client.put("key/8", "after", None).await?;
    Ok(lease)
}

#[tokio::test(flavor = "multi_thread")]
async fn three_members_made_from_one_snapshot_are_a_new_cluster() -> Result<()> {
    let _turn = turn().await;
    let dir = tempfile::tempdir()?;
    let mut old = Member::single(dir.path(), &[])?;
    let lease = fill(&old).await?;
    let file = save(&old.client_url, dir.path())?;
    let expected = hash_kv(&old.client_url, 0).await?;
    let old_header = old.client().await?.get("x", None).await?.header().context("header")?.clone();
    old.kill()?;

    let new = tempfile::tempdir()?;
    let mut members = restored(&file, new.path(), 3, &[])?;
    members.iter_mut().try_for_each(Member::launch)?;
    members.iter_mut().try_for_each(Member::wait_ready)?;
    for member in &members {
        assert_eq!(hash_kv(&member.client_url, 0).await?, expected, "{}", member.name);
        let mut client = member.client().await?;
        let got = client.get("key/", Some(GetOptions::new().with_prefix())).await?;
        let header = got.header().context("header")?;
        assert_eq!((got.count(), header.revision()), (39, old_header.revision()));
        assert_ne!(header.cluster_id(), old_header.cluster_id(), "another cluster");
        let options = Some(LeaseTimeToLiveOptions::new().with_keys());
        let left = client.lease_time_to_live(lease, options).await?;
        assert_eq!((left.granted_ttl(), left.keys()), (3600, &[b"leased".to_vec()][..]));
    }
    // It lives: a write through one member, and the lease's end, reach all.
    let mut client = members[0].client().await?;
    let put = client.put("new", "x", None).await?.header().context("header")?.revision();
    assert_eq!(put, old_header.revision() + 1);
    client.lease_revoke(lease).await?;
    for member in &members {
        eventually("the lease's key to go everywhere", || async {
            let mut client = member.client().await?;
            let left = client.get("leased", Some(GetOptions::new().with_serializable())).await?;
            ensure!(left.count() == 0, "it is still there on {}", member.name);
            anyhow::Ok(())
        })
        .await;
    }
    // And comes back from its own disk.
    members[1].kill()?;
    members[1].start()?;
    let mut client = members[1].client().await?;
    assert_eq!(client.get("new", None).await?.count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_bump_watchers_hear_that_the_past_is_gone() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let old = Member::single(dir.path(), &[])?;
    fill(&old).await?;
    let file = save(&old.client_url, dir.path())?;
    let at = revision(&file)?;
    let new = tempfile::tempdir()?;
    let bump = ["--bump-revision=1000000000", "--mark-compacted"];
    let mut member = restored(&file, new.path(), 1, &bump)?.remove(0);
    member.start()?;
    let mut client = member.client().await?;
    let got = client.get("key/", Some(GetOptions::new().with_prefix())).await?;
    let bumped = at + 1_000_000_000;
    assert_eq!((got.header().context("header")?.revision(), got.count()), (bumped, 39));
    let options = Some(WatchOptions::new().with_start_revision(at));
    let mut watch = client.watch("key/", options).await?;
    let created = watch.message().await?.context("an answer")?;
    assert!(created.created(), "first as any watch, as etcd has it: {created:?}");
    let told = watch.message().await?.context("an answer")?;
    assert_eq!((told.canceled(), told.compact_revision()), (true, bumped));
    let put = client.put("key/8", "new", None).await?.header().context("header")?.revision();
    assert_eq!(put, bumped + 1);
    Ok(())
}

/// A running member's snapshot, and a place beside it.
async fn one_snapshot(dir: &Path) -> Result<PathBuf> {
    let member = Member::single(dir, &[])?;
    fill(&member).await?;
    save(&member.client_url, dir)
}

fn refusal(words: &[&str]) -> Result<(Option<i32>, String)> {
    let output = snapshot(words)?;
    let text = String::from_utf8(output.stderr)?;
    let text = text.strip_prefix("portunus snapshot: ").unwrap_or(&text).trim_end().to_owned();
    Ok((output.status.code(), text))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_restored_is_refused_and_leaves_nothing_behind() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = one_snapshot(dir.path()).await?;
    let whole = std::fs::read(&file)?;
    let path = file.to_str().context("a path")?;
    let data = dir.path().join("restored");
    let data_dir = format!("--data-dir={}", data.display());
    let damaged = dir.path().join("damaged.db");
    let bad = damaged.to_str().context("a path")?;

    // A flipped bit anywhere, the checksum itself included.
    for at in [0, 30, 5_000, whole.len() / 2, whole.len() - 40, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        std::fs::write(&damaged, flipped)?;
        for command in [vec!["restore", bad, &data_dir], vec!["status", bad]] {
            let (code, text) = refusal(&command)?;
            let told = text.starts_with("expected sha256 [") && text.contains("], got [");
            assert!(code == Some(1) && told, "byte {at}: {command:?}: {text}");
        }
    }
    // A file cut short has no checksum where one is expected; without its checksum it is a
    // member's own file, of which pages are missing.
    std::fs::write(&damaged, &whole[..whole.len() - 100])?;
    let missing = "snapshot missing hash but --skip-hash-check=false";
    assert_eq!(refusal(&["restore", bad, &data_dir])?, (Some(1), missing.into()));
    let (code, text) = refusal(&["restore", bad, &data_dir, "--skip-hash-check"])?;
    assert!(code == Some(1) && text.starts_with("the file is cut: "), "{text}");
    std::fs::write(&damaged, b"not a database")?;
    let (_, text) = refusal(&["restore", bad, &data_dir, "--skip-hash-check=true"])?;
    assert_eq!(text, "not a bbolt file: it has 14 bytes, too few for two meta pages");
    let (_, text) = refusal(&["restore", "/nowhere.db", &data_dir])?;
    assert!(text.starts_with("cannot open the snapshot: No such file"), "{text}");
    assert!(!data.exists(), "nothing was left behind");

    // Without its checksum a file is taken when that is said.
    std::fs::write(&damaged, &whole[..whole.len() - 32])?;
    assert_eq!(refusal(&["restore", bad, &data_dir])?.1, missing);
    let raw = snapshot(["restore", bad, &data_dir, "--skip-hash-check"])?;
    assert!(raw.status.success(), "{raw:?}");
    // And now the place is taken.
    let taken = format!("data-dir {:?} not empty or could not be read", data.display().to_string());
    assert_eq!(refusal(&["restore", path, &data_dir])?, (Some(1), taken));
    assert!(data.join("store").exists(), "what was there stays");
    Ok(())
}

#[test]
fn flags_that_do_not_go_together_are_refused_as_by_etcdutl() -> Result<()> {
    let bump = "--mark-compacted required if --revision-bump > 0";
    for words in [&["restore", "f", "--bump-revision=5"][..], &["restore", "f", "--mark-compacted"]]
    {
        assert_eq!(refusal(words)?, (Some(2), bump.into()));
    }
    let stranger = r#"couldn't find local name "x" in the initial cluster configuration"#;
    assert_eq!(refusal(&["restore", "f", "--name=x"])?, (Some(2), stranger.into()));
    let [port] = free_ports();
    let nobody = format!("--endpoints=127.0.0.1:{port}");
    let (code, text) = refusal(&["save", "f", &nobody])?;
    assert!(code == Some(1) && text.starts_with("no server answers (127.0.0.1:"), "{text}");
    let several = refusal(&["save", "f", "--endpoints=a:1,b:1"])?;
    let one = r#"snapshot must be requested to one selected node, not multiple ["a:1", "b:1"]"#;
    assert_eq!(several, (Some(1), one.into()));
    Ok(())
}

/// As etcd streams it: pieces, what remains, the version, and the checksum last.
#[tokio::test(flavor = "multi_thread")]
async fn the_stream_is_etcds() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    fill(&member).await?;
    let mut rpc = Rpc::connect(&member.client_url).await?;
    let request = portunus_proto::etcdserverpb::SnapshotRequest {};
    let mut stream = rpc.maintenance.snapshot(request).await?.into_inner();
    let mut pieces = Vec::new();
    while let Some(piece) = stream.message().await? {
        assert_eq!(piece.version, "3.7.0");
        pieces.push(piece);
    }
    let sum = pieces.pop().context("a last piece")?;
    assert_eq!((sum.blob.len(), sum.remaining_bytes), (32, 0));
    let mut left: u64 = pieces.iter().map(|piece| piece.blob.len() as u64).sum();
    assert!(left > 0 && left.is_multiple_of(4096), "{left} bytes are whole pages");
    for piece in &pieces {
        left -= piece.blob.len() as u64;
        assert_eq!(piece.remaining_bytes, left);
        assert!(piece.blob.len() == 32 * 1024 || left == 0);
    }
    let left_behind: Vec<_> = std::fs::read_dir(&member.data_dir)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("snapshot"))
        .collect();
    assert_eq!(left_behind, [""; 0], "the file had no name");
    Ok(())
}
