//! The links between members: every connection to a member's peer URL passes a relay, which can
//! cut the connections from and to one member. Who opened a connection is found by its socket's
//! owner, so no privilege and no network of its own is needed.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use parking_lot::Mutex;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Relays between the members of one cluster.
#[derive(Clone, Default)]
pub struct Links {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<()>>,
}

#[derive(Default)]
struct State {
    /// Process of each member that runs.
    pids: HashMap<usize, u32>,
    cut: HashSet<usize>,
}

impl Links {
    /// Relays from the public port of member `to` to where it really listens.
    pub async fn relay(&self, to: usize, public: u16, real: u16) -> Result<()> {
        let listener = TcpListener::bind(("127.0.0.1", public)).await?;
        let links = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, from)) = listener.accept().await {
                tokio::spawn(links.clone().carry(stream, from, to, real));
            }
        });
        Ok(())
    }

    /// Which process is which member from now on.
    pub fn set_pid(&self, member: usize, pid: u32) {
        self.state.lock().pids.insert(member, pid);
    }

    /// Cuts a member off from all others; its connections break and new ones are not made.
    pub fn cut(&self, member: usize) {
        self.state.lock().cut.insert(member);
        self.changed.send_replace(());
    }

    pub fn heal(&self, member: usize) {
        self.state.lock().cut.remove(&member);
        self.changed.send_replace(());
    }

    async fn carry(self, mut stream: TcpStream, from: SocketAddr, to: usize, real: u16) {
        let pids = self.state.lock().pids.clone();
        let Ok(here) = stream.local_addr() else { return };
        let owner = tokio::task::spawn_blocking(move || owner(from, here, &pids));
        // What cannot be told apart could not be cut either; its member connects again.
        let Some(owner) = owner.await.ok().flatten() else { return };
        let is_cut = || {
            let state = self.state.lock();
            state.cut.contains(&to) || state.cut.contains(&owner)
        };
        let mut changed = self.changed.subscribe();
        if is_cut() {
            return;
        }
        let Ok(mut target) = TcpStream::connect(("127.0.0.1", real)).await else { return };
        let _ = (stream.set_nodelay(true), target.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut target) => {}
            _ = changed.wait_for(|()| is_cut()) => {}
        }
    }
}

/// The member whose process owns the local socket that is connected from `from` to `here`. Both
/// ends count: a port may be in use to several places, most of them long closed.
fn owner(from: SocketAddr, here: SocketAddr, pids: &HashMap<usize, u32>) -> Option<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").ok()?;
    let end = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let ends = [end(from), end(here)];
    let line = table.lines().find(|line| line.split_whitespace().skip(1).take(2).eq(&ends))?;
    let socket = format!("socket:[{}]", line.split_whitespace().nth(9)?);
    pids.iter().find(|(_, pid)| holds(**pid, &socket)).map(|(member, _)| *member)
}

fn holds(pid: u32, socket: &str) -> bool {
    let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| {
        std::fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == socket)
    })
}
