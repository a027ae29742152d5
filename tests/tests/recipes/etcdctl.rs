//! etcdctl's own locks and elections, which are plain transactions of the client, in one line with
//! those of the services. Needs an `etcdctl`, in `PATH` or named by `REAL_ETCDCTL`; without one the
//! test says so and passes.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result};
use etcd_client::LockOptions;
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::block_in_place;

use crate::fixture::{Single, lease, line, stand};

const PROGRAM: &str = "REAL_ETCDCTL";

/// A running etcdctl and what it prints.
struct Etcdctl {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
}

impl Etcdctl {
    fn start(single: &Single, arguments: &[&str]) -> Option<Self> {
        let program = std::env::var_os(PROGRAM).unwrap_or("etcdctl".into());
        let mut command = Command::new(program);
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(&single.member.client_url);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let Ok(mut child) = command.spawn() else {
            eprintln!("SKIPPED: no etcdctl; install one or set {PROGRAM}");
            return None;
        };
        let out = BufReader::new(child.stdout.take()?).lines();
        Some(Self { child, out })
    }

    fn line(&mut self) -> Result<String> {
        Ok(block_in_place(|| self.out.next()).context("etcdctl ended")??)
    }

    /// As ctrl-C does: it gives back what it holds.
    fn interrupt(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::INT)?;
        block_in_place(|| self.child.wait())?;
        Ok(())
    }
}

impl Drop for Etcdctl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn its_locks_and_those_of_the_service_stand_in_one_line() -> Result<()> {
    let mut single = Single::start().await?;
    let Some(mut holder) = Etcdctl::start(&single, &["lock", "door"]) else { return Ok(()) };
    let held = holder.line()?;
    let ours = lease(&single.client).await?;
    let mut client = single.client.clone();
    let waiting = tokio::spawn(async move {
        client.lock("door", Some(LockOptions::new().with_lease(ours))).await
    });
    let two = stand(&single.client, "door", 2).await;
    assert_eq!(two[0], held);
    let mut last = Etcdctl::start(&single, &["lock", "door"]).context("it ran before")?;
    stand(&single.client, "door", 3).await;
    holder.interrupt()?;
    let locked = waiting.await??;
    assert_eq!(locked.key(), two[1].as_bytes());
    single.client.unlock(locked.key()).await?;
    assert_eq!(last.line()?, line(&single.client, "door").await?[0]);
    last.interrupt()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_elections_and_those_of_the_service_are_one() -> Result<()> {
    let mut single = Single::start().await?;
    let Some(mut first) = Etcdctl::start(&single, &["elect", "seat", "theirs"]) else {
        return Ok(());
    };
    let key = first.line()?;
    assert_eq!(first.line()?, "theirs");
    let now = single.client.leader("seat").await?;
    assert_eq!(now.kv().context("a leader")?.key_str()?, key);
    let mut observer =
        Etcdctl::start(&single, &["elect", "--listen", "seat"]).context("it ran before")?;
    assert_eq!((observer.line()?, observer.line()?), (key, "theirs".to_owned()));
    let ours = lease(&single.client).await?;
    let mut client = single.client.clone();
    let waiting = tokio::spawn(async move { client.campaign("seat", "ours", ours).await });
    stand(&single.client, "seat", 2).await;
    first.interrupt()?;
    let elected = waiting.await??;
    let elected = elected.leader().context("a leader")?;
    assert_eq!(observer.line()?, elected.key_str()?);
    assert_eq!(observer.line()?, "ours");
    Ok(())
}
