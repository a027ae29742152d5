//! Sending the log to a peer that is down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use openraft::RaftNetworkFactory;
use openraft::raft::AppendEntriesRequest;

use super::stream;
use crate::raft::network::client::Network;
use crate::raft::network::identity::Identity;
use crate::raft::network::pool::Pool;
use crate::raft::types::{Peer, TypeConfig, Vote};
use crate::types::{ClusterId, MemberId};

/// openraft pauses in its request stream, so one that is not polled has no pauses.
#[tokio::test]
async fn a_peer_that_is_down_is_called_only_after_the_pause_for_it() {
    let own = Identity { cluster: ClusterId(1), member: MemberId(1) };
    // Bound and dropped: nobody listens there.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("a bound socket"));
    drop(listener);
    let peer = Peer { peer_urls: vec![url], ..Peer::default() };
    let route = Network::new(Pool::new(own, crate::tls::Dialer::new(Default::default())))
        .new_client(2, &peer)
        .await;
    let polled = Arc::new(AtomicUsize::new(0));
    let counter = polled.clone();
    let request = || AppendEntriesRequest::<TypeConfig> {
        vote: Vote::new(1, 1),
        prev_log_id: None,
        entries: Vec::new(),
        leader_commit: None,
    };
    let requests = futures::stream::repeat_with(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        request()
    });
    assert!(stream(&route, requests.boxed()).await.is_err(), "nobody listens there");
    assert_eq!(polled.load(Ordering::SeqCst), 1);
}
