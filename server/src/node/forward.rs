//! Questions that another member hands over, believing that this one leads. They are asked here
//! once and never handed on: a member that does not lead says so, and nothing was executed.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;

use super::answer::{Bounce, Delivery};
use super::error::Failure;
use super::handle::Node;
use super::members::Member;
use super::peer_hash;
use super::{wire, wire_auth};
use crate::raft::{Peer, PeerHandler, Roll};

/// What this member does for its peers. Filled once the node exists.
#[derive(Clone, Default)]
pub struct Door(pub Arc<OnceLock<Node>>);

impl PeerHandler for Door {
    fn forward(&self, request: Bytes) -> BoxFuture<'static, Bytes> {
        let node = self.0.get().cloned();
        async move {
            match (peer_hash::asked_revision(&request), node) {
                (Some(revision), Some(node)) => node.tell_hash(revision).await,
                (_, node) => wire::encode_delivery(&answer(node, request).await),
            }
        }
        .boxed()
    }

    fn members(&self) -> Option<Vec<(u64, Peer)>> {
        let members = self.0.get()?.members().into_iter().map(|member| {
            let Member { id, name, peer_urls, client_urls, .. } = member;
            (id.0, Peer { name, peer_urls, client_urls, joining: false })
        });
        Some(members.collect())
    }

    fn roll(&self) -> BoxFuture<'static, Option<Roll>> {
        let node = self.0.get().cloned();
        async move { Some(Box::pin(node?.roll()).await) }.boxed()
    }
}

async fn answer(node: Option<Node>, request: Bytes) -> Delivery {
    let (caller, ask) = match wire_auth::decode(request) {
        Ok(asked) => asked,
        Err(error) => {
            tracing::error!(%error, "a peer's question cannot be read");
            return Err(Bounce::Unknown(Failure::TimedOut));
        }
    };
    let Some(node) = node else {
        return Err(Bounce::NotExecuted(Box::new(ask), Failure::NotLeader));
    };
    let node = node.acting(caller);
    if ask.may_wait() {
        // Until the asking member calls it off.
        return node.ask_here(ask).await;
    }
    // The asking member has a deadline of its own; this one only keeps the task from staying.
    let timeout = node.shared.options.request_timeout();
    let asked = tokio::time::timeout(timeout, node.ask_here(ask)).await;
    asked.unwrap_or(Err(Bounce::Unknown(Failure::TimedOut)))
}
