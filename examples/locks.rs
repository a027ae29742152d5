//! Distributed locks: exclusive, where one compare-and-swap of many wins; and in order, where each
//! contender gets a number from the server and waits only for the one before it: no herd.

use anyhow::{Context, Result};
use etcd_client::{Client, Compare, CompareOp, EventType, GetOptions, PutOptions, Txn, TxnOp};
use etcd_client::{SortOrder, SortTarget};
use portunus_proto::portunus::v1::PutSequentialRequest;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use tonic::transport::Channel;

const EXCLUSIVE: &str = "examples/locks/exclusive";
const LINE: &str = "examples/locks/line/";

/// Takes the lock if nobody has it: the key must not exist.
async fn try_lock(mut client: Client, who: usize) -> Result<bool> {
    let lease = client.lease_grant(60, None).await?.id();
    let absent = Compare::create_revision(EXCLUSIVE, CompareOp::Equal, 0);
    let options = Some(PutOptions::new().with_lease(lease));
    let put = TxnOp::put(EXCLUSIVE, who.to_string(), options);
    Ok(client.txn(Txn::new().when([absent]).and_then([put])).await?.succeeded())
}

/// Takes a number, waits for the one before it, holds the lock, and goes.
async fn in_order(mut client: Client, channel: Channel, who: usize) -> Result<()> {
    let lease = client.lease_grant(60, None).await?.id();
    let value = who.to_string().into();
    let request = PutSequentialRequest { prefix: LINE.into(), value, lease };
    let key = QueueClient::new(channel).put_sequential(request).await?.into_inner().key;
    let newest = GetOptions::new().with_range(key.clone()).with_limit(1);
    let newest = newest.with_sort(SortTarget::Key, SortOrder::Descend);
    let before = client.get(LINE, Some(newest)).await?;
    let after = before.header().context("a header")?.revision() + 1;
    if let Some(before) = before.kvs().first() {
        let from = etcd_client::WatchOptions::new().with_start_revision(after);
        let mut watch = client.watch(before.key(), Some(from)).await?;
        let gone = |event: &etcd_client::Event| event.event_type() == EventType::Delete;
        while !watch.message().await?.context("it goes on")?.events().iter().any(gone) {}
        println!("contender {who} was woken by contender {}", before.value_str()?);
    }
    println!("contender {who} holds the lock");
    client.delete(key.to_vec(), None).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = portunus_examples::begin("examples/locks/").await?;
    let tries: Vec<_> = (1..=5).map(|who| tokio::spawn(try_lock(client.clone(), who))).collect();
    let mut won = 0;
    for one in tries {
        won += usize::from(one.await??);
    }
    println!("exclusive: of 5 contenders {won} won");
    let channel = portunus_examples::channel().await?;
    let line = (1..=5).map(|who| tokio::spawn(in_order(client.clone(), channel.clone(), who)));
    for contender in line.collect::<Vec<_>>() {
        contender.await??;
    }
    Ok(())
}
