//! What is wrong with a data directory or its surroundings: mended where nothing acknowledged is
//! lost, otherwise refused in words that name the thing and say what to do.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, CompactionOptions};
use portunus_tests::{Member, free_ports};

/// A start that is refused comes to its end at once; this is far beyond.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Where a segment's frames begin.
const FRAMES: u64 = 4096;
const KEYS: usize = 50;

/// A single member that is not running, with fixed addresses.
fn member(dir: &Path, [client, peer]: [u16; 2], more: &[&str]) -> Member {
    let url = format!("http://127.0.0.1:{peer}");
    let mut flags = vec![
        format!("--listen-peer-urls={url}"),
        format!("--initial-advertise-peer-urls={url}"),
        format!("--initial-cluster=m0={url}"),
    ];
    flags.extend(more.iter().map(|flag| (*flag).to_owned()));
    Member::new("m0", dir, client, flags)
}

async fn fill(client: &mut Client) -> Result<()> {
    for n in 0..KEYS {
        client.put(format!("key/{n}"), vec![n as u8; 1000], None).await?;
    }
    Ok(())
}

async fn assert_filled(member: &Member) -> Result<()> {
    let mut client = member.client().await?;
    for n in 0..KEYS {
        let got = client.get(format!("key/{n}"), None).await?;
        let value = got.kvs().first().with_context(|| format!("key/{n} is gone"))?.value();
        assert_eq!(value, vec![n as u8; 1000]);
    }
    Ok(())
}

/// Starts it, and it ends by itself, as refused, having said all this.
pub fn assert_refused(member: &mut Member, said: &[&str]) -> Result<()> {
    member.launch()?;
    assert_ends(member, 1, said)
}

/// It ends by itself with this code, having said all this.
pub fn assert_ends(member: &mut Member, code: i32, said: &[&str]) -> Result<()> {
    let start = Instant::now();
    let status = loop {
        if let Some(status) = member.try_wait()? {
            break status;
        }
        ensure!(start.elapsed() < ENDS_WITHIN, "it runs: {}", member.output());
        std::thread::sleep(Duration::from_millis(5));
    };
    member.wait()?;
    // Its last lines are still on their way through the pipe.
    for text in said {
        member.wait_output(text)?;
    }
    println!("{}", member.output().lines().last().unwrap_or_default());
    assert_eq!(status.code(), Some(code), "{}", member.output());
    Ok(())
}

/// A member that was filled and killed, and the log segment it wrote.
async fn filled_and_killed(dir: &Path) -> Result<(Member, PathBuf)> {
    let mut member = member(dir, free_ports(), &[]);
    member.start()?;
    fill(&mut member.client().await?).await?;
    member.kill()?;
    let segments = fs::read_dir(member.data_dir.join("wal"))?.collect::<Result<Vec<_>, _>>()?;
    let mut segments: Vec<_> = segments.iter().map(fs::DirEntry::path).collect();
    segments.retain(|path| path.extension().is_some_and(|extension| extension == "wal"));
    segments.sort();
    let first = segments.into_iter().next().context("a segment")?;
    Ok((member, first))
}

/// Where the segment's frames end.
fn written_end(segment: &Path) -> Result<u64> {
    let bytes = fs::read(segment)?;
    let last = bytes.iter().rposition(|byte| *byte != 0).context("an empty segment")?;
    Ok((last as u64 + 1).next_multiple_of(8))
}

fn open(path: &Path) -> Result<File> {
    Ok(OpenOptions::new().read(true).write(true).open(path)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_end_of_the_log_is_cut() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut member, segment) = filled_and_killed(dir.path()).await?;
    // As if power had failed in the middle of a frame.
    open(&segment)?.write_all_at(&[0xa5; 777], written_end(&segment)?)?;
    tokio::task::block_in_place(|| member.start())?;
    assert!(member.output().contains("cut the torn tail"), "{}", member.output());
    assert_filled(&member).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_damaged_in_its_middle_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut member, segment) = filled_and_killed(dir.path()).await?;
    let middle = (FRAMES + written_end(&segment)?) / 2;
    let mut byte = [0];
    open(&segment)?.read_exact_at(&mut byte, middle)?;
    open(&segment)?.write_all_at(&[!byte[0]], middle)?;
    let name = segment.display().to_string();
    assert_refused(&mut member, &[&name, "is damaged at offset", "remove this member from"])?;
    // Made good again it is accepted: refusing changed nothing.
    open(&segment)?.write_all_at(&byte, middle)?;
    tokio::task::block_in_place(|| member.start())?;
    assert_filled(&member).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_cut_short_or_is_gone_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let (mut member, segment) = filled_and_killed(dir.path()).await?;
    let whole = fs::read(&segment)?;
    open(&segment)?.set_len(written_end(&segment)? / 2)?;
    let name = segment.display().to_string();
    assert_refused(&mut member, &[&name, "is damaged", "remove this member from the cluster"])?;
    fs::write(&segment, &whole)?;
    tokio::task::block_in_place(|| member.start())?;
    assert_filled(&member).await?;
    let status = tokio::task::block_in_place(|| member.terminate())?;
    assert!(status.success());
    // The store remembers what the log has forgotten: the member must not vote again.
    fs::remove_dir_all(member.data_dir.join("wal"))?;
    assert_refused(&mut member, &["wal", "remove this member from the cluster"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_deleted_store_is_rebuilt_from_the_log() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut member = member(dir.path(), free_ports(), &[]);
    member.start()?;
    fill(&mut member.client().await?).await?;
    tokio::task::block_in_place(|| member.terminate())?;
    let store = member.data_dir.join("store");
    let damaged = damage_tables(&store)?;
    assert!(damaged > 0, "an orderly end leaves tables to damage");
    tokio::task::block_in_place(|| member.start())?;
    assert!(member.output().contains("set aside"), "{}", member.output());
    assert_filled(&member).await?;

    tokio::task::block_in_place(|| member.kill())?;
    fs::remove_dir_all(&store)?;
    tokio::task::block_in_place(|| member.start())?;
    assert_filled(&member).await
}

/// Overwrites every table below `dir`; returns how many there were.
fn damage_tables(dir: &Path) -> Result<usize> {
    let mut damaged = 0;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_table = path.parent().is_some_and(|parent| parent.ends_with("tables"));
        if path.is_dir() {
            damaged += damage_tables(&path)?;
        } else if is_table {
            let length = fs::metadata(&path)?.len();
            open(&path)?.write_all_at(&vec![0xa5; length as usize], 0)?;
            damaged += 1;
        }
    }
    Ok(damaged)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_gone_together_with_its_log_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let more = ["--snapshot-catchup-entries=10", "--log-level=debug"];
    let mut member = member(dir.path(), free_ports(), &more);
    member.start()?;
    let mut client = member.client().await?;
    let mut revision = 0;
    for _ in 0..2 {
        for _ in 0..40 {
            let put = client.put("key", "value", None).await?;
            revision = put.header().context("a header")?.revision();
        }
        client.compact(revision, Some(CompactionOptions::new().with_physical())).await?;
    }
    tokio::task::block_in_place(|| member.wait_output("purged the log"))?;
    member.kill()?;
    fs::remove_dir_all(member.data_dir.join("store"))?;
    let said = ["reaches back only to entry", "remove it from the cluster and add it anew"];
    assert_refused(&mut member, &said)?;
    assert_refused(&mut member, &said)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_data_directory_are_one_too_many() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [client, peer, other_client, other_peer] = free_ports();
    let mut first = member(dir.path(), [client, peer], &[]);
    first.start()?;
    let advertised = format!("--initial-advertise-peer-urls=http://127.0.0.1:{peer}");
    let cluster = format!("--initial-cluster=m0=http://127.0.0.1:{peer}");
    let listen = format!("--listen-peer-urls=http://127.0.0.1:{other_peer}");
    let mut second = Member::new("m0", dir.path(), other_client, vec![listen, advertised, cluster]);
    assert_refused(&mut second, &["is in use by another process", "its own data directory"])?;
    fill(&mut first.client().await?).await?;
    assert_filled(&first).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ports = free_ports();
    for (port, flag) in ports.into_iter().zip(["--listen-client-urls", "--listen-peer-urls"]) {
        let _taken = TcpListener::bind(("127.0.0.1", port))?;
        let url = format!("http://127.0.0.1:{port}");
        assert_refused(&mut member(dir.path(), ports, &[]), &[flag, &url, "in use"])?;
    }
    assert!(!dir.path().join("m0.portunus").exists(), "a refused start writes nothing");
    tokio::task::block_in_place(|| member(dir.path(), ports, &[]).start())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_cannot_be_written_is_named() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("file");
    fs::write(&file, "not a directory")?;
    let mut member = member(&file, free_ports(), &[]);
    let path = member.data_dir.display().to_string();
    assert_refused(&mut member, &["data directory", &path, "--data-dir"])
}
