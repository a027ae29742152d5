//! A TCP proxy that can go silent: its connections stay open and carry nothing any more, as after
//! a peer's power loss.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub address: SocketAddr,
    /// Connections opened before the newest value was set are silent.
    silenced: watch::Sender<u64>,
}

impl Proxy {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let silenced = watch::Sender::new(0);
        let watching = silenced.clone();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(carry(from, target, watching.subscribe()));
            }
        });
        Self { address, silenced }
    }

    /// Silences what is open now; new connections work.
    pub fn silence(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

async fn carry(mut from: TcpStream, target: SocketAddr, mut silenced: watch::Receiver<u64>) {
    let Ok(mut to) = TcpStream::connect(target).await else { return };
    silenced.mark_unchanged();
    tokio::select! {
        _ = copy_bidirectional(&mut from, &mut to) => {}
        _ = silenced.changed() => {
            // Holds both ends open, and never reads from them again.
            std::future::pending::<()>().await;
        }
    }
}
