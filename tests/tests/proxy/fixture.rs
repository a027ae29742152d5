//! A running proxy, and watch streams through it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use etcd_client::{Client, ConnectOptions};
use portunus_tests::{Member, free_ports};
use tempfile::TempDir;

const READY: &str = "started gRPC proxy";
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A proxy; ends with its value.
pub struct Proxy {
    pub url: String,
    output: PathBuf,
    child: Child,
    _dir: TempDir,
}

impl Proxy {
    /// A proxy that says that it is ready.
    pub fn start(flags: &[String]) -> Result<Self> {
        Self::start_with("http", flags)
    }

    pub fn start_with(scheme: &str, flags: &[String]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let [port] = free_ports();
        let output = dir.path().join("output");
        let child = Command::new(Member::program()?)
            .arg("proxy")
            .arg(format!("--listen-addr=127.0.0.1:{port}"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&output)?)
            .spawn()?;
        let url = format!("{scheme}://127.0.0.1:{port}");
        let mut proxy = Self { url, output, child, _dir: dir };
        let start = Instant::now();
        while !proxy.said().contains(READY) {
            if let Some(status) = proxy.child.try_wait()? {
                bail!("the proxy ended with {status}: {}", proxy.said());
            }
            if start.elapsed() > READY_WITHIN {
                bail!("the proxy is not ready: {}", proxy.said());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(proxy)
    }

    /// Before these members.
    pub fn before(members: &[&Member], more: &[&str]) -> Result<Self> {
        let urls: Vec<_> = members.iter().map(|member| member.client_url.as_str()).collect();
        let endpoints = format!("--endpoints={}", urls.join(","));
        let more = more.iter().map(|flag| (*flag).to_owned());
        Self::start(&std::iter::once(endpoints).chain(more).collect::<Vec<_>>())
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    pub async fn client(&self) -> Result<Client> {
        let options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(2))
            .with_timeout(Duration::from_secs(15));
        Ok(Client::connect([&self.url], Some(options)).await?)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- output of the proxy\n{}", self.said());
        }
    }
}

/// One member with a proxy before it.
pub struct Pair {
    pub proxy: Proxy,
    pub member: Member,
    _dir: TempDir,
}

impl Pair {
    pub fn start(flags: &[&str]) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let member = Member::single(dir.path(), &[])?;
        let proxy = Proxy::before(&[&member], flags)?;
        Ok(Self { proxy, member, _dir: dir })
    }
}

/// Runs the program to its end: its exit code and what it wrote.
pub fn run(words: &[&str], dir: &Path) -> Result<(Option<i32>, String)> {
    let output = Command::new(Member::program()?).args(words).current_dir(dir).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8_lossy(&text).into_owned()))
}

/// The value of a metric without labels.
pub async fn metric(url: &str, path: &str, name: &str) -> Result<i64> {
    let answer = portunus_tests::http::get(url, path).await?;
    let line = answer.body.lines().find(|line| line.split(' ').next() == Some(name));
    let value = line.and_then(|line| line.split(' ').nth(1)).context(name.to_owned())?;
    Ok(value.parse::<f64>()? as i64)
}

/// Watches that the member knows.
pub async fn watchers(member: &Member) -> Result<i64> {
    metric(&member.client_url, "/metrics", "etcd_debugging_mvcc_watcher_total").await
}
