//! The link between a client and a member: a relay that can be cut. While it is, nothing passes and
//! nobody is told, as when a network fails; when it heals, its old connections break.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One client's way to one member.
pub struct Wire {
    /// What the client connects to.
    pub url: String,
    cut: Arc<watch::Sender<bool>>,
    accepting: JoinHandle<()>,
}

impl Wire {
    /// A relay to a member's client URL.
    pub async fn to(member_url: &str) -> Result<Self> {
        let target = member_url.strip_prefix("http://").context("a plain URL")?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let cut = Arc::new(watch::Sender::new(false));
        let seen = Arc::clone(&cut);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(carry(stream, target.clone(), seen.subscribe()));
            }
        });
        Ok(Self { url, cut, accepting })
    }

    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    pub fn heal(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(mut stream: TcpStream, target: String, mut cut: watch::Receiver<bool>) {
    // One that is made while the link is cut gets nowhere, and breaks with the others.
    if !*cut.borrow_and_update() {
        let Ok(mut member) = TcpStream::connect(target).await else { return };
        let _ = (stream.set_nodelay(true), member.set_nodelay(true));
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut member) => return,
            _ = cut.wait_for(|cut| *cut) => {}
        }
        // Both ends stay open and hear nothing.
        let _ = cut.wait_for(|cut| !*cut).await;
        return;
    }
    let _ = cut.wait_for(|cut| !*cut).await;
}
