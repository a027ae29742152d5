//! `ada`, who writes one number after the other through whichever member answers, and remembers
//! what was acknowledged and by whom.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;
use portunus::tls::ClientOptions;
use portunus_proto::etcdserverpb as pb;
use portunus_proto::mvccpb::KeyValue;
use portunus_tests::{Member, Rpc, Token, eventually, key_values, login};
use tokio::task::JoinHandle;
use tonic::{Code, Status};

use crate::fixture::BAD_TOKEN;

/// How long she waits for one answer before she asks another member.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two numbers: the load's own pace.
const PACE: Duration = Duration::from_millis(4);
/// Before another member is asked.
const PAUSE: Duration = Duration::from_millis(20);
const NUMBERS: &str = "a/number/";
const NUMBERS_END: &str = "a/number0";

/// A number that was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acked {
    pub number: usize,
    pub revision: i64,
    /// The client URL of the member that answered.
    pub by: String,
}

pub struct Writer {
    shared: Arc<Shared>,
    task: JoinHandle<Result<()>>,
}

#[derive(Default)]
struct Shared {
    urls: Mutex<Vec<String>>,
    acked: Mutex<Vec<Acked>>,
    /// Why the last attempt came to nothing.
    failure: Mutex<String>,
    logins: AtomicUsize,
    stop: AtomicBool,
}

impl Writer {
    /// Shows `client` to whomever it connects to, and logs in with a password.
    pub fn start(client: ClientOptions, members: &[Member]) -> Self {
        let shared = Arc::new(Shared::default());
        *shared.urls.lock() = urls(members);
        let ada = Ada { client, token: None, members: HashMap::new(), shared: shared.clone() };
        Self { shared, task: tokio::spawn(ada.work()) }
    }

    /// From now on it asks these members that run, and no others.
    pub fn turn_to(&self, members: &[Member]) {
        *self.shared.urls.lock() = urls(members);
    }

    pub fn acked(&self) -> Vec<Acked> {
        self.shared.acked.lock().clone()
    }

    /// How often it had to log in.
    pub fn logins(&self) -> usize {
        self.shared.logins.load(Ordering::SeqCst)
    }

    /// Waits until so many more numbers have been acknowledged.
    pub async fn grows_by(&self, more: usize) {
        let len = || self.shared.acked.lock().len();
        let target = len() + more;
        eventually("acknowledged numbers", || async {
            ensure!(!self.task.is_finished(), "it has given up: {}", self.shared.failure.lock());
            ensure!(len() >= target, "{} of {target}: {}", len(), self.shared.failure.lock());
            Ok(())
        })
        .await;
    }

    /// Has it end, and returns everything that was acknowledged.
    pub async fn stop(self) -> Result<Vec<Acked>> {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.task.await??;
        Ok(std::mem::take(&mut *self.shared.acked.lock()))
    }
}

fn urls(members: &[Member]) -> Vec<String> {
    let running = members.iter().filter(|member| member.is_running());
    running.map(|member| member.client_url.clone()).collect()
}

struct Ada {
    client: ClientOptions,
    token: Option<Token>,
    /// Connections that have not failed yet.
    members: HashMap<String, Rpc>,
    shared: Arc<Shared>,
}

impl Ada {
    async fn work(mut self) -> Result<()> {
        // A turn for each member, and the next one's where one fails.
        let mut turn = 0;
        for number in 0.. {
            let acked = loop {
                if self.shared.stop.load(Ordering::SeqCst) {
                    return Ok(());
                }
                let url = {
                    let urls = self.shared.urls.lock();
                    urls[turn % urls.len()].clone()
                };
                turn += 1;
                match tokio::time::timeout(PATIENCE, self.write(&url, number)).await {
                    Ok(Ok(revision)) => break Acked { number, revision, by: url },
                    Ok(Err(error)) => self.look_at(&url, number, error)?,
                    Err(_) => self.look_at(&url, number, Status::deadline_exceeded("").into())?,
                }
                tokio::time::sleep(PAUSE).await;
            };
            self.shared.acked.lock().push(acked);
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    /// Forgets what a failure says is of no more use. What no failure of a member explains is an
    /// error: she may write her keys, and everybody knows it.
    fn look_at(&mut self, url: &str, number: usize, error: anyhow::Error) -> Result<()> {
        *self.shared.failure.lock() = format!("{number} through {url}: {error:#}");
        self.members.remove(url);
        let code = error.downcast_ref::<Status>().map(Status::code);
        if code == Some(BAD_TOKEN.0) {
            self.token = None;
        }
        match code {
            Some(Code::PermissionDenied | Code::InvalidArgument | Code::FailedPrecondition) => {
                bail!("{number} through {url}: {error:#}")
            }
            _ => Ok(()),
        }
    }

    /// Puts the number unless an earlier attempt has. Returns the revision it was put at.
    async fn write(&mut self, url: &str, number: usize) -> Result<i64> {
        let rpc = match self.members.remove(url) {
            Some(rpc) => rpc,
            None => Rpc::secured(url, &self.client).await?,
        };
        // There again only if it is not given up in the middle.
        let mut asked = rpc.clone();
        let token = match &self.token {
            Some(token) => token.clone(),
            None => {
                let token = login(&mut asked, "ada", "secret").await?;
                self.shared.logins.fetch_add(1, Ordering::SeqCst);
                self.token.insert(token).clone()
            }
        };
        let answer = asked.kv.txn(token.with(unless_there(number))).await?.into_inner();
        self.members.insert(url.to_owned(), rpc);
        if answer.succeeded {
            return Ok(answer.header.context("a header")?.revision);
        }
        let found = answer.responses.into_iter().next().and_then(|op| op.response);
        let Some(pb::response_op::Response::ResponseRange(found)) = found else {
            bail!("{number} is neither put nor there: {found:?}");
        };
        let kv = key_values(&found.kvs).pop().context("it was there")?;
        Ok(kv.mod_revision)
    }
}

fn key(number: usize) -> String {
    format!("{NUMBERS}{number:08}")
}

/// An attempt that was given up and arrives late does nothing.
fn unless_there(number: usize) -> pb::TxnRequest {
    use pb::compare::{CompareResult, CompareTarget, TargetUnion};
    use pb::request_op::Request;
    let (key, value) = (key(number), number.to_string());
    let absent = pb::Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Create.into(),
        key: key.clone().into(),
        target_union: Some(TargetUnion::CreateRevision(0)),
        ..pb::Compare::default()
    };
    let put = pb::PutRequest { key: key.clone().into(), value: value.into(), ..Default::default() };
    let range = pb::RangeRequest { key: key.into(), ..Default::default() };
    let op = |request| vec![pb::RequestOp { request: Some(request) }];
    pb::TxnRequest {
        compare: vec![absent],
        success: op(Request::RequestPut(put)),
        failure: op(Request::RequestRange(range)),
    }
}

/// Each of these is there, as it was acknowledged, once, and in their order.
pub async fn assert_kept(rpc: &mut Rpc, token: &Token, acked: &[Acked]) -> Result<()> {
    let (key_first, range_end) = (NUMBERS.into(), NUMBERS_END.into());
    let all = pb::RangeRequest { key: key_first, range_end, ..Default::default() };
    let kvs = key_values(&rpc.kv.range(token.with(all)).await?.into_inner().kvs);
    let stored: HashMap<&[u8], &KeyValue> = kvs.iter().map(|kv| (&kv.key[..], kv)).collect();
    let mut last = 0;
    for Acked { number, revision, by } in acked {
        let kv = stored.get(key(*number).as_bytes());
        let kv = kv.with_context(|| format!("{number}, acknowledged by {by}, is lost"))?;
        let found = (kv.create_revision, kv.mod_revision, kv.version, &kv.value[..]);
        assert_eq!(found, (*revision, *revision, 1, number.to_string().as_bytes()), "{number}");
        assert!(*revision > last, "{number} at {revision}, after one at {last}");
        last = *revision;
    }
    Ok(())
}
