//! What clients do while things go wrong: registers, whose histories are checked for
//! linearizability, and ledgers, of which nothing that was acknowledged may be missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use etcd_client::{Client, Compare, CompareOp, ConnectOptions, GetOptions, Txn, TxnOp};
use parking_lot::Mutex;
use portunus_tests::{Member, Observed, Recorder};
use rand::Rng;
use tokio::task::JoinHandle;

/// How long a client waits for one answer. Shorter than the server's own deadline, so that a test
/// does not wait for requests that were lost with their member.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two requests of a client.
const PACE: Duration = Duration::from_millis(4);
/// After a failure. Each unknown outcome makes a history harder to check.
const PAUSE: Duration = Duration::from_millis(100);
/// How long the check of one key's history may take.
pub const CHECK: Duration = Duration::from_secs(60);
const KEYS: u64 = 4;

/// A client of this member alone that gives up soon.
pub async fn impatient(url: &str) -> Result<Client> {
    let options = ConnectOptions::new().with_connect_timeout(PATIENCE).with_timeout(PATIENCE);
    Ok(Client::connect([url], Some(options)).await?)
}

/// Clients at work until they are told to stop.
struct Crew {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<()>>>,
}

impl Crew {
    /// `each` clients of every member.
    fn start<F>(
        members: &[Member],
        each: u32,
        work: impl Fn(u32, String, Arc<AtomicBool>) -> F,
    ) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let stop = Arc::new(AtomicBool::new(false));
        let urls = members.iter().flat_map(|m| (0..each).map(move |_| m.client_url.clone()));
        let clients =
            urls.zip(1..).map(|(url, id)| tokio::spawn(work(id, url, stop.clone()))).collect();
        Self { stop, clients }
    }

    async fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.await??;
        }
        Ok(())
    }
}

/// Clients of every member that read, write and compare-and-swap a few keys.
pub struct Registers {
    recorder: Recorder,
    crew: Crew,
}

impl Registers {
    pub fn start(members: &[Member], each: u32) -> Self {
        let recorder = Recorder::default();
        let values = Arc::new(AtomicU64::new(1));
        let crew = Crew::start(members, each, |id, url, stop| {
            let (recorder, values) = (recorder.clone(), values.clone());
            async move {
                let client = impatient(&url).await?;
                let mut user = User { id, client, recorder, values, seen: [0; KEYS as usize] };
                while !stop.load(Ordering::Relaxed) {
                    let pause = if user.act().await.is_some() { PACE } else { PAUSE };
                    tokio::time::sleep(pause).await;
                }
                Ok(())
            }
        });
        Self { recorder, crew }
    }

    /// Operations that came to an end so far.
    pub fn len(&self) -> usize {
        self.recorder.len()
    }

    /// Stops the clients and returns what they saw.
    pub async fn stop(self) -> Result<Recorder> {
        self.crew.stop().await?;
        Ok(self.recorder)
    }
}

struct User {
    id: u32,
    client: Client,
    recorder: Recorder,
    values: Arc<AtomicU64>,
    /// What it saw last in each key.
    seen: [u64; KEYS as usize],
}

impl User {
    /// One operation; `None` when its outcome is not known.
    async fn act(&mut self) -> Option<()> {
        let key = rand::rng().random_range(0..KEYS);
        let value = self.values.fetch_add(1, Ordering::Relaxed);
        let kind = rand::rng().random_range(0..3);
        let called = self.recorder.now();
        let (op, known) = match kind {
            0 => (self.read(key).await.map(|value| Observed::Read { value })?, true),
            1 => match self.client.put(name(key), text(value), None).await {
                Ok(_) => (Observed::Write { value }, true),
                Err(_) => (Observed::MaybeWrite { value }, false),
            },
            _ => {
                let expected = self.seen[key as usize];
                match self.swap(key, expected, value).await {
                    Ok(swapped) => (Observed::CompareAndSwap { expected, value, swapped }, true),
                    Err(_) => (Observed::MaybeCompareAndSwap { expected, value }, false),
                }
            }
        };
        if let Observed::Read { value: Some(value) } = op {
            self.seen[key as usize] = value;
        }
        self.recorder.record(self.id, key, called, op);
        known.then_some(())
    }

    async fn read(&mut self, key: u64) -> Option<Option<u64>> {
        let read = self.client.get(name(key), None).await.ok()?;
        Some(read.kvs().first().map(|kv| number(kv.value())))
    }

    async fn swap(&mut self, key: u64, expected: u64, value: u64) -> Result<bool> {
        let holds = Compare::value(name(key), CompareOp::Equal, text(expected));
        let put = TxnOp::put(name(key), text(value), None);
        let txn = Txn::new().when([holds]).and_then([put]);
        Ok(self.client.txn(txn).await?.succeeded())
    }
}

fn name(key: u64) -> String {
    format!("register/{key}")
}

fn text(value: u64) -> String {
    value.to_string()
}

fn number(value: &[u8]) -> u64 {
    std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(u64::MAX)
}

/// Where ledgers are kept.
pub const LEDGER: &str = "ledger/";

/// Clients of every member that put one new key after the other and note what was acknowledged.
pub struct Ledger {
    acked: Arc<Mutex<BTreeMap<String, i64>>>,
    crew: Crew,
}

impl Ledger {
    pub fn start(members: &[Member], each: u32) -> Self {
        let acked = Arc::default();
        let crew = Crew::start(members, each, |id, url, stop| {
            keep_ledger(id, url, stop, Arc::clone(&acked))
        });
        Self { acked, crew }
    }

    /// Writes acknowledged so far.
    pub fn len(&self) -> usize {
        self.acked.lock().len()
    }

    /// Waits until `more` writes have been acknowledged from now on.
    pub async fn grows_by(&self, more: usize) {
        let target = self.len() + more;
        portunus_tests::eventually("acknowledged writes", || async {
            ensure!(self.len() >= target, "{} of {target}", self.len());
            Ok(())
        })
        .await;
    }

    /// Stops the clients and returns what they were told: each key's revision.
    pub async fn stop(self) -> Result<Acked> {
        self.crew.stop().await?;
        Ok(Acked(std::mem::take(&mut *self.acked.lock())))
    }
}

/// Revisions must grow from one acknowledgement to the next, whatever happens in between.
async fn keep_ledger(
    id: u32,
    url: String,
    stop: Arc<AtomicBool>,
    acked: Arc<Mutex<BTreeMap<String, i64>>>,
) -> Result<()> {
    // So that a second ledger in one test does not write the first one's keys.
    static LEDGERS: AtomicU64 = AtomicU64::new(0);
    let ledger = LEDGERS.fetch_add(1, Ordering::Relaxed);
    let mut client = impatient(&url).await?;
    let mut last = 0;
    for entry in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("{LEDGER}{ledger:04}/{id:02}/{entry:08}");
        let Ok(put) = client.put(key.clone(), "entry", None).await else {
            tokio::time::sleep(PACE * 5).await;
            continue;
        };
        let revision = put.header().context("a header")?.revision();
        ensure!(revision > last, "revision {revision} follows {last} at {url}");
        last = revision;
        acked.lock().insert(key, revision);
    }
    Ok(())
}

/// What was acknowledged.
pub struct Acked(pub BTreeMap<String, i64>);

impl Acked {
    /// Each acknowledged key is there, as it was acknowledged.
    pub async fn assert_kept(&self, client: &mut Client) -> Result<()> {
        assert!(!self.0.is_empty(), "nothing was acknowledged, so nothing is proved");
        let all = client.get(LEDGER, Some(GetOptions::new().with_prefix())).await?;
        let stored: BTreeMap<_, _> = all
            .kvs()
            .iter()
            .map(|kv| (kv.key_str().unwrap_or_default(), kv.mod_revision()))
            .collect();
        for (key, revision) in &self.0 {
            let found = stored.get(key.as_str());
            assert_eq!(found, Some(revision), "{key} was acknowledged at {revision}");
        }
        Ok(())
    }
}

/// How long it takes from now until a write through this member is acknowledged.
pub async fn writes_resume(member: &Member) -> Result<Duration> {
    let start = Instant::now();
    loop {
        let mut client = impatient(&member.client_url).await?;
        if client.put("resume", "now", None).await.is_ok() {
            return Ok(start.elapsed());
        }
        // A panic, so that every member shows its output.
        assert!(start.elapsed() < Duration::from_secs(60), "no write through {}", member.name);
        tokio::time::sleep(PACE).await;
    }
}
