//! One endpoint of the cluster: its few connections, made when they are needed, and whether it is
//! worth asking right now.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::{Authority, Scheme};
use parking_lot::Mutex as SyncMutex;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::connection::{Connection, KeepAlive};
use crate::clock::{Clock, Tick};
use crate::tls::{Dialer, Target};

/// Connections to each endpoint: one alone would make all calls wait behind a large answer on one
/// socket and in one task.
const CONNECTIONS: usize = 2;
/// A member that has not accepted by then is not there.
const DIAL_TIMEOUT: Duration = Duration::from_secs(3);
/// A member that said that it cannot serve now is asked last for this long.
const REST: Duration = Duration::from_secs(2);

/// How connections are made.
#[derive(Clone)]
pub struct Dialing {
    pub dialer: Arc<Dialer>,
    pub keep_alive: KeepAlive,
    pub clock: Clock,
}

/// An endpoint.
pub struct Endpoint {
    pub target: Target,
    pub scheme: Scheme,
    pub authority: Authority,
    dialing: Dialing,
    slots: [Mutex<Slot>; CONNECTIONS],
    next: AtomicUsize,
    standing: SyncMutex<Standing>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// Those who waited for this attempt need none of their own.
    failed: Option<(Tick, String)>,
}

#[derive(Clone, Copy, Default)]
struct Standing {
    /// It could not be connected to; it is again once it can.
    down: bool,
    rests_until: Tick,
}

impl Endpoint {
    /// # Errors
    /// The host cannot stand in a request.
    pub fn new(target: Target, dialing: Dialing) -> Result<Self, http::uri::InvalidUri> {
        let authority = target.authority().parse()?;
        let scheme = if target.secure { Scheme::HTTPS } else { Scheme::HTTP };
        Ok(Self {
            target,
            scheme,
            authority,
            dialing,
            slots: Default::default(),
            next: AtomicUsize::new(0),
            standing: SyncMutex::default(),
        })
    }

    /// A connection, made if there is none.
    ///
    /// # Errors
    /// Nobody accepts there; it is then held to be down.
    pub async fn connection(&self) -> io::Result<Connection> {
        let asked = self.dialing.clock.now();
        let slot = &self.slots[self.next.fetch_add(1, Ordering::Relaxed) % CONNECTIONS];
        let mut slot = slot.lock().await;
        if let Some(connection) = slot.connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(connection.clone());
        }
        slot.connection = None;
        if let Some((when, why)) = &slot.failed
            && *when >= asked
        {
            return Err(io::Error::other(why.clone()));
        }
        match self.dial().await {
            Ok(connection) => {
                slot.connection = Some(connection.clone());
                slot.failed = None;
                self.is_up();
                Ok(connection)
            }
            Err(error) => {
                slot.failed = Some((self.dialing.clock.now(), error.to_string()));
                self.is_down(&error.to_string());
                Err(error)
            }
        }
    }

    async fn dial(&self) -> io::Result<Connection> {
        let Dialing { dialer, keep_alive, .. } = &self.dialing;
        let dialed = timeout(DIAL_TIMEOUT, async {
            Connection::open(dialer.dial(&self.target).await?, *keep_alive).await
        });
        match dialed.await {
            Ok(outcome) => outcome,
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("nobody accepted within {DIAL_TIMEOUT:?}"),
            )),
        }
    }

    fn is_up(&self) {
        let was_down = std::mem::take(&mut self.standing.lock().down);
        if was_down {
            tracing::info!(endpoint = %self.target, "endpoint can be reached again");
        }
    }

    fn is_down(&self, error: &str) {
        let was_down = std::mem::replace(&mut self.standing.lock().down, true);
        if !was_down {
            tracing::warn!(endpoint = %self.target, error, "endpoint cannot be reached");
        }
    }

    /// It answered that it cannot serve, or broke off: others are asked first for a while.
    pub fn rest(&self) {
        let until = self.dialing.clock.now().after(REST);
        self.standing.lock().rests_until = until;
    }

    pub fn down(&self) -> bool {
        self.standing.lock().down
    }

    /// Neither down nor resting.
    pub fn fit(&self) -> bool {
        let standing = *self.standing.lock();
        !standing.down && standing.rests_until <= self.dialing.clock.now()
    }
}
