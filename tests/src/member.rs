//! One member as a process: started, waited for, killed, stopped, continued, ended.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use etcd_client::{Client, ConnectOptions};
use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};

/// What `portunus` prints when it serves.
const READY: &str = "ready to serve client requests";
const READY_WITHIN: Duration = Duration::from_secs(30);
/// Lines of a member's output kept for the report of a failure.
const KEPT_LINES: usize = 200;

/// A member's command line.
pub type Flags = Vec<String>;

/// A process of the program under test.
pub struct Member {
    pub name: String,
    pub data_dir: PathBuf,
    pub client_url: String,
    flags: Flags,
    child: Option<Child>,
    output: Arc<Mutex<VecDeque<String>>>,
    /// What reads the output; they end with the process.
    readers: Vec<JoinHandle<()>>,
}

impl Member {
    /// A single member on free ports, started and ready.
    pub fn single(dir: &Path, more: &[&str]) -> Result<Self> {
        let [client, peer] = crate::free_ports();
        let peer_url = format!("http://127.0.0.1:{peer}");
        let flags = vec![
            format!("--listen-peer-urls={peer_url}"),
            format!("--initial-advertise-peer-urls={peer_url}"),
            format!("--initial-cluster=m0={peer_url}"),
        ];
        let more = more.iter().map(|flag| (*flag).to_owned());
        let mut member = Self::new("m0", dir, client, flags.into_iter().chain(more).collect());
        member.start()?;
        Ok(member)
    }

    /// A member that is not running yet; `flags` are those beside name, data directory and client
    /// URLs.
    pub fn new(name: &str, dir: &Path, client_port: u16, flags: Flags) -> Self {
        Self::at(name, dir, format!("http://127.0.0.1:{client_port}"), flags)
    }

    /// The same with its client URL, which may be https.
    pub fn at(name: &str, dir: &Path, client_url: String, flags: Flags) -> Self {
        let data_dir = dir.join(format!("{name}.portunus"));
        let mut all = vec![
            format!("--name={name}"),
            format!("--data-dir={}", data_dir.display()),
            format!("--listen-client-urls={client_url}"),
            format!("--advertise-client-urls={client_url}"),
        ];
        all.extend(flags);
        let output = Arc::default();
        Self {
            name: name.into(),
            data_dir,
            client_url,
            flags: all,
            child: None,
            output,
            readers: Vec::new(),
        }
    }

    /// The program under test: the one that cargo built beside this test.
    pub fn program() -> Result<PathBuf> {
        let test = std::env::current_exe()?;
        let dir = test.ancestors().nth(2).context("the test runs from cargo's target folder")?;
        let program = dir.join("portunus");
        ensure!(program.exists(), "{} is missing: cargo build first", program.display());
        Ok(program)
    }

    /// Starts the process and waits until it serves.
    pub fn start(&mut self) -> Result<()> {
        self.launch()?;
        self.wait_ready()
    }

    /// Starts the process without waiting for it.
    pub fn launch(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "{} runs already", self.name);
        self.output.lock().clear();
        let mut child = Command::new(Self::program()?)
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        self.readers.extend(follow(stdout, &self.output));
        self.readers.extend(follow(stderr, &self.output));
        self.child = Some(child);
        Ok(())
    }

    pub fn wait_ready(&mut self) -> Result<()> {
        self.wait_output(READY)
    }

    /// Waits for a line that contains `text`; fails at once when the process ends before.
    pub fn wait_output(&mut self, text: &str) -> Result<()> {
        let start = Instant::now();
        loop {
            if self.output.lock().iter().any(|line| line.contains(text)) {
                return Ok(());
            }
            if let Some(status) = self.try_wait()? {
                self.read_to_end();
                bail!("{} ended with {status} before {text:?}:\n{}", self.name, self.output());
            }
            if start.elapsed() > READY_WITHIN {
                bail!("{} did not say {text:?}:\n{}", self.name, self.output());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Of a process that has ended, everything it wrote is there afterwards.
    fn read_to_end(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    /// The last lines the process wrote.
    pub fn output(&self) -> String {
        self.output.lock().iter().map(|line| format!("{line}\n")).collect()
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGTERM, and waits until it has ended by itself.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        let mut child = self.child.take().context("not running")?;
        Ok(child.wait()?)
    }

    /// SIGSTOP.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// SIGCONT.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// The status with which the process ended, if it has.
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>> {
        match &mut self.child {
            Some(child) => Ok(child.try_wait()?),
            None => Ok(None),
        }
    }

    /// Waits until the process has ended by itself.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        let mut child = self.child.take().context("not running")?;
        let status = child.wait()?;
        self.read_to_end();
        Ok(status)
    }

    /// A client of this member alone. Requests time out by themselves.
    pub async fn client(&self) -> Result<Client> {
        let options = ConnectOptions::new()
            .with_connect_timeout(Duration::from_secs(2))
            .with_timeout(Duration::from_secs(8));
        Ok(Client::connect([&self.client_url], Some(options)).await?)
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = self.pid().context("not running")?;
        let pid = Pid::from_raw(pid as i32).context("a process id is positive")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // A stopped process must be continued to be reaped; a test that failed shows its output.
        let _ = self.resume();
        let _ = self.kill();
        if std::thread::panicking() {
            eprintln!("--- output of {}\n{}", self.name, self.output());
        }
    }
}

fn follow(
    pipe: Option<impl std::io::Read + Send + 'static>,
    output: &Arc<Mutex<VecDeque<String>>>,
) -> Option<JoinHandle<()>> {
    let (pipe, output) = (pipe?, output.clone());
    Some(std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            let mut kept = output.lock();
            if kept.len() == KEPT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }))
}
