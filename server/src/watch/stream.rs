//! One watch stream for the API: requests are calls, answers are awaited. All waiting happens
//! here, on the caller's task: for the publisher, for the progress timer, for the history.
//!
//! The progress timer is tokio's and not the server's clock: it decides nothing but when an idle
//! client hears from us.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::history::{HistoryError, Scan, Scanned};
use super::hub::Shared;
use super::message::{Create, Ended, Response};
use super::session::{Session, Work};

/// Dropping it removes its watchers.
pub struct WatchStream {
    session: Session,
    scan: Option<Pin<Box<dyn Future<Output = Scanned> + Send>>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl fmt::Debug for WatchStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchStream").field("session", &self.session).finish_non_exhaustive()
    }
}

enum Wake {
    Rung,
    Turned,
    Scanned(Scanned),
}

impl WatchStream {
    pub(super) fn new(session: Session) -> Self {
        Self { session, scan: None, timer: None }
    }

    /// Answers follow from [`WatchStream::next`], the first one `created`. Permission is checked
    /// before this, on the request as it came; see [`WatchStream::refuse`].
    pub fn create(&mut self, create: Create) {
        self.session.create(create);
    }

    /// Answers a create request with `created` and `canceled`, id -1, and this reason.
    pub fn refuse(&mut self, reason: impl Into<Cow<'static, str>>) {
        self.session.refuse(reason.into());
    }

    /// Answered with `canceled`; an unknown id is not answered.
    pub fn cancel(&mut self, watch_id: i64) {
        self.session.cancel(watch_id);
    }

    /// Answered once, with id -1, when all watchers of the stream have all events; not at all
    /// when there are none. Requests that wait for the same moment share the answer.
    pub fn request_progress(&mut self) {
        self.session.request_progress();
    }

    pub fn watchers(&self) -> usize {
        self.session.watchers()
    }

    /// The next answer. Cancel-safe: no answer is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Response, Ended> {
        loop {
            if let Some(why) = self.session.ended() {
                return Err(why.clone());
            }
            if let Some(response) = self.session.pop() {
                return Ok(response);
            }
            match self.session.work() {
                // Long stretches of history may hold nothing for us: let others run.
                Work::More => tokio::task::yield_now().await,
                Work::Idle if self.session.has_ready() || self.session.ended().is_some() => {}
                Work::Idle => self.wait().await,
            }
        }
    }

    /// An answer that is there without waiting: lets the service send what has gathered in one go.
    pub fn next_ready(&mut self) -> Option<Response> {
        if self.session.ended().is_some() {
            return None;
        }
        self.session.pop()
    }

    async fn wait(&mut self) {
        if self.scan.is_none() {
            let shared = self.session.shared();
            let shared = Arc::clone(shared);
            self.scan = self.session.scan().map(|scan| run(scan, shared) as _);
        }
        self.set_timer();
        let Self { session, scan, timer } = self;
        let wake = tokio::select! {
            () = session.mailbox().rung() => Wake::Rung,
            () = or_never(timer) => Wake::Turned,
            scanned = or_never(scan) => Wake::Scanned(scanned),
        };
        match wake {
            Wake::Rung => {}
            Wake::Turned => {
                self.timer = None;
                self.session.tick();
            }
            Wake::Scanned(scanned) => {
                self.scan = None;
                self.session.scanned(scanned);
            }
        }
    }

    fn set_timer(&mut self) {
        if self.timer.is_none() && self.session.wants_ticks() {
            let interval = self.session.shared().options.progress_interval;
            let wait = interval + jitter(interval, self.session.number());
            self.timer = Some(Box::pin(sleep_until(Instant::now() + wait)));
        }
    }
}

async fn or_never<F: Future + ?Sized>(future: &mut Option<Pin<Box<F>>>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

/// Up to a tenth of the interval, different for each stream, so that they do not all report at
/// once.
fn jitter(interval: Duration, session: usize) -> Duration {
    let step = (session as u32).wrapping_mul(0x9e37_79b9) >> 22;
    (interval / 10) * step / 1024
}

fn run(scan: Scan, shared: Arc<Shared>) -> Pin<Box<dyn Future<Output = Scanned> + Send>> {
    Box::pin(async move {
        let failed =
            |members, from, text| Scanned { members, from, found: Err(HistoryError::Failed(text)) };
        let (members, from) = (scan.members.clone(), scan.from);
        let Ok(permit) = Arc::clone(&shared.scans).acquire_owned().await else {
            return failed(members, from, "the hub is closed".to_owned());
        };
        let reading = tokio::task::spawn_blocking(move || {
            let scanned = scan.run(&*shared.history);
            drop(permit);
            scanned
        });
        match reading.await {
            Ok(scanned) => scanned,
            Err(error) => failed(members, from, format!("the read did not end: {error}")),
        }
    })
}
