//! Holding a lock while a command runs: the lease, the news of the lock, and the process.

use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::dial::Channel;
use anyhow::Context;
use portunus_proto::etcdserverpb::lease_client::LeaseClient;
use portunus_proto::etcdserverpb::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::lock_notice::Notice;
use portunus_proto::portunus::v1::{LockFollowRequest, LockPlace};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};

use crate::cli::lock::Options;
use crate::cli::lock_client::refused;

/// A command that was told to end is ended after this time.
const GRACE: Duration = Duration::from_secs(10);
/// Keep-alives within the life of a lease.
const KEEP_ALIVES: u32 = 3;

/// A lease that is kept alive.
pub struct Session {
    pub lease: i64,
    channel: Channel,
    /// Says why, once the lease must be taken for lost.
    lost: watch::Receiver<Option<String>>,
    keeper: tokio::task::JoinHandle<()>,
}

impl Session {
    /// # Errors
    /// The server grants no lease.
    pub async fn begin(channel: Channel, ttl: Duration) -> anyhow::Result<Self> {
        let seconds = ttl.as_millis().div_ceil(1000) as i64;
        let grant = LeaseGrantRequest { id: 0, ttl: seconds };
        let begun = Instant::now();
        let granted = LeaseClient::new(channel.clone()).lease_grant(grant).await;
        let granted = granted.map_err(|status| refused(&status))?.into_inner();
        let life = Duration::from_secs(granted.ttl.unsigned_abs());
        let (tell, lost) = watch::channel(None);
        let (client, lease) = (LeaseClient::new(channel.clone()), granted.id);
        let keeper = tokio::spawn(async move {
            let why = keep(client, lease, life, begun).await;
            tell.send_replace(Some(why));
        });
        Ok(Self { lease, channel, lost, keeper })
    }

    /// Revokes the lease, as well as can be: it ends by itself.
    pub async fn end(self) {
        self.keeper.abort();
        let revoke = LeaseRevokeRequest { id: self.lease };
        let _ = LeaseClient::new(self.channel).lease_revoke(revoke).await;
    }
}

/// Keeps the lease alive and returns, with the reason, when it is lost or must be taken for it:
/// nobody said in time that it lives.
async fn keep(
    mut client: LeaseClient<Channel>,
    lease: i64,
    life: Duration,
    begun: Instant,
) -> String {
    let mut end = begun + life;
    loop {
        sleep(life / KEEP_ALIVES).await;
        loop {
            let sent = Instant::now();
            let asked = tokio_stream::once(LeaseKeepAliveRequest { id: lease });
            let call = async { client.lease_keep_alive(asked).await?.into_inner().message().await };
            match timeout_at(end, call).await {
                Err(_) => return "the lease could not be kept alive in time".to_owned(),
                Ok(Ok(Some(kept))) if kept.ttl > 0 => {
                    end = sent + Duration::from_secs(kept.ttl.unsigned_abs());
                    break;
                }
                Ok(Ok(Some(_))) => return "the lease has ended".to_owned(),
                Ok(Ok(None) | Err(_)) => sleep(life / (10 * KEEP_ALIVES)).await,
            }
        }
    }
}

/// How a command came to its end.
pub enum Ended {
    Itself(ExitStatus),
    Stopped(String),
}

/// Runs the command until it ends, or the lock is lost and it is stopped.
pub async fn run_under(
    options: &Options,
    channel: Channel,
    session: &Session,
    places: &[LockPlace],
) -> anyhow::Result<Ended> {
    let (program, arguments) = options.command.split_first().context("a command is missing")?;
    let first = places.first().context("the server names no place")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PORTUNUS_LOCK_TOKEN", first.token.to_string())
        .env("PORTUNUS_LOCK_KEY", String::from_utf8_lossy(&first.key).as_ref())
        .env("PORTUNUS_LOCK_LEASE", session.lease.to_string())
        .spawn()
        .with_context(|| format!("run {}", program.display()))?;
    let pid = Pid::from_child(&child);
    let mut waiting = tokio::task::spawn_blocking(move || child.wait());
    let mut lost = session.lost.clone();
    let why = tokio::select! {
        status = &mut waiting => return Ok(Ended::Itself(status??)),
        why = lost_lease(&mut lost) => why,
        why = lost_lock(options, channel, session.lease, places) => why,
    };
    // It is not waited for yet, so the pid is its own.
    let _ = kill_process(pid, Signal::TERM);
    let ended = tokio::time::timeout(GRACE, &mut waiting).await;
    if ended.is_err() {
        let _ = kill_process(pid, Signal::KILL);
        waiting.await??;
    }
    Ok(Ended::Stopped(why))
}

async fn lost_lease(lost: &mut watch::Receiver<Option<String>>) -> String {
    match lost.wait_for(Option::is_some).await {
        Ok(why) => why.clone().unwrap_or_default(),
        Err(_) => "the lease is not kept alive any more".to_owned(),
    }
}

/// Follows every name; a server that ends the stream is asked again, since the lease tells all the
/// same when the lock is lost.
async fn lost_lock(
    options: &Options,
    channel: Channel,
    lease: i64,
    places: &[LockPlace],
) -> String {
    let following = places.iter().map(|place| {
        let client = LockClient::new(channel.clone());
        Box::pin(follow(options, client, lease, place))
    });
    futures::future::select_all(following).await.0
}

async fn follow(
    options: &Options,
    mut client: LockClient<Channel>,
    lease: i64,
    place: &LockPlace,
) -> String {
    let name = String::from_utf8_lossy(&place.name).into_owned();
    let mut told = String::new();
    loop {
        let request = LockFollowRequest { name: place.name.clone(), lease };
        let mut notices = match client.follow(request).await {
            Ok(notices) => notices.into_inner(),
            Err(status) if status.code() == tonic::Code::FailedPrecondition => {
                return format!("lock {name} is lost");
            }
            Err(_) => {
                sleep(options.ttl / 10).await;
                continue;
            }
        };
        while let Ok(Some(notice)) = notices.message().await {
            match notice.notice {
                Some(Notice::Lost(_)) => return format!("lock {name} is lost"),
                Some(Notice::Revocation(reason)) if reason != told => {
                    eprintln!("portunus lock: somebody asks for {name}: {reason}");
                    if options.yields {
                        return format!("lock {name} is asked for: {reason}");
                    }
                    told = reason;
                }
                Some(Notice::Revocation(_) | Notice::Held(_)) | None => {}
            }
        }
        sleep(options.ttl / 10).await;
    }
}
