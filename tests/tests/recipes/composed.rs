//! Recipes that need nothing of their own: keys, leases, transactions, locks and queues put
//! together, as `docs/recipes.md` says.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use etcd_client::{
    Client, Compare, CompareOp, EventType, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse,
    WatchOptions,
};
use portunus_proto::portunus::v1::lock_client::LockClient;
use portunus_proto::portunus::v1::queue_client::QueueClient;
use portunus_proto::portunus::v1::{
    LockAcquireRequest, LockMode, LockReleaseRequest, PutSequentialRequest, QueueDequeueRequest,
    QueueEnqueueRequest, QueueNackRequest, QueueNewItem, QueueRedriveRequest, QueueRemoveRequest,
};
use portunus_tests::refusal;
use tonic::Code;
use tonic::transport::Channel;

use crate::fixture::{Single, lease};

fn queues(single: &Single) -> QueueClient<Channel> {
    QueueClient::new(single.rpc.channel.clone())
}

async fn put(
    queue: &mut QueueClient<Channel>,
    name: &str,
    items: &[QueueNewItem],
) -> Result<Vec<u64>> {
    let queue_name = name.to_owned().into();
    let request = QueueEnqueueRequest { queue: queue_name, items: items.to_vec(), wait: false };
    Ok(queue.enqueue(request).await?.into_inner().ids)
}

fn item(payload: &str) -> QueueNewItem {
    QueueNewItem { payload: payload.to_owned().into(), ..QueueNewItem::default() }
}

async fn take(queue: &mut QueueClient<Channel>, name: &str, max: u32) -> Result<Vec<(u64, i64)>> {
    let request = QueueDequeueRequest { queue: name.to_owned().into(), max, ..Default::default() };
    let taken = queue.dequeue(request).await?.into_inner().deliveries;
    Ok(taken.iter().filter_map(|it| it.claim).map(|claim| (claim.id, claim.token)).collect())
}

async fn keys(client: &mut Client, prefix: &str) -> Result<Vec<String>> {
    let got = client.get(prefix, Some(GetOptions::new().with_prefix())).await?;
    Ok(got.kvs().iter().map(|kv| String::from_utf8_lossy(kv.key()).into_owned()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_shared_and_had_alone_without_letting_go() -> Result<()> {
    let single = Single::start().await?;
    let mut lock = LockClient::new(single.rpc.channel.clone());
    let (one, two) = (lease(&single.client).await?, lease(&single.client).await?);
    let asking = |lease, mode: LockMode| {
        let names = vec!["door".into()];
        LockAcquireRequest { names, lease, mode: mode.into(), try_only: true, ..Default::default() }
    };
    let alone = lock.acquire(asking(one, LockMode::Exclusive)).await?.into_inner().held;
    let shared = lock.acquire(asking(one, LockMode::Shared)).await?.into_inner().held;
    assert_eq!(alone[0].token, shared[0].token);
    lock.acquire(asking(two, LockMode::Shared)).await?;
    let refused = refusal(lock.acquire(asking(one, LockMode::Exclusive)).await);
    assert_eq!(refused, (Code::Aborted, "portunus: lock door is held".into()));
    let release = LockReleaseRequest { names: vec!["door".into()], lease: two, entirely: true };
    lock.release(release).await?;
    lock.acquire(asking(one, LockMode::Exclusive)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_is_leased_without_waiting_and_comes_back_with_its_lease() -> Result<()> {
    let single = Single::start().await?;
    let mut lock = LockClient::new(single.rpc.channel.clone());
    let slot = |lease| LockAcquireRequest {
        names: vec!["slots".into()],
        lease,
        mode: LockMode::Permits.into(),
        permits: 1,
        try_only: true,
        ..Default::default()
    };
    let (one, two) = (lease(&single.client).await?, lease(&single.client).await?);
    lock.acquire(slot(one)).await?;
    assert_eq!(refusal(lock.acquire(slot(two)).await).0, Code::Aborted);
    single.client.lease_client().revoke(one).await?;
    lock.acquire(slot(two)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_atomic_value_is_compared_swapped_and_read_in_one_transaction() -> Result<()> {
    let mut single = Single::start().await?;
    let mut swap = async |expected: &str, new: &str| {
        let same = Compare::value("value", CompareOp::Equal, expected);
        let ops = [TxnOp::put("value", new, Some(PutOptions::new().with_prev_key()))];
        let txn = Txn::new().when([same]).and_then(ops).or_else([TxnOp::get("value", None)]);
        let answer = single.client.txn(txn).await?;
        Ok::<_, anyhow::Error>(match answer.op_responses().remove(0) {
            TxnOpResponse::Put(put) => put.prev_key().context("a value")?.value_str()?.to_owned(),
            TxnOpResponse::Get(got) => {
                let is = got.kvs().first().map(|kv| kv.value_str()).transpose()?;
                format!("it is {}", is.unwrap_or("not there"))
            }
            other => anyhow::bail!("{other:?}"),
        })
    };
    assert_eq!(swap("1", "2").await?, "it is not there");
    single.client.put("value", "1", None).await?;
    let mut swap = async |expected: &str, new: &str| {
        let same = Compare::value("value", CompareOp::Equal, expected);
        let txn = Txn::new().when([same]).and_then([TxnOp::put("value", new, None)]);
        Ok::<_, anyhow::Error>(single.client.txn(txn).await?.succeeded())
    };
    assert!(swap("1", "2").await?);
    assert!(!swap("1", "3").await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_are_keys() -> Result<()> {
    let mut single = Single::start().await?;
    let mut sequence = queues(&single);
    let client = &mut single.client;
    // A set: an element is a key, added once.
    let add = |element: &str| {
        let key = format!("set/{element}");
        let absent = Compare::version(&key[..], CompareOp::Equal, 0);
        Txn::new().when([absent]).and_then([TxnOp::put(key, "", None)])
    };
    assert!(client.txn(add("a")).await?.succeeded());
    assert!(!client.txn(add("a")).await?.succeeded());
    // A list, and a multimap: keys in the order of their creation.
    for (name, value) in [("list/", "x"), ("list/", "y"), ("multi/k/", "1"), ("multi/k/", "2")] {
        let (prefix, value) = (name.into(), value.into());
        sequence.put_sequential(PutSequentialRequest { prefix, value, lease: 0 }).await?;
    }
    let values = async |prefix: &str, client: &mut Client| {
        let got = client.get(prefix, Some(GetOptions::new().with_prefix())).await?;
        Ok::<_, anyhow::Error>(
            got.kvs()
                .iter()
                .map(|kv| String::from_utf8_lossy(kv.value()).into_owned())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(values("list/", client).await?, ["x", "y"]);
    assert_eq!(values("multi/k/", client).await?, ["1", "2"]);
    // A sorted map and a tree: a range of keys, and all that is below one.
    for key in ["map/b", "map/a", "map/c", "tree/1/x", "tree/1/y/z", "tree/2"] {
        client.put(key, "", None).await?;
    }
    let range = client.get("map/a", Some(GetOptions::new().with_range("map/c"))).await?;
    assert_eq!(range.kvs().iter().map(|kv| kv.key()).collect::<Vec<_>>(), [b"map/a", b"map/b"]);
    assert_eq!(keys(client, "tree/1/").await?, ["tree/1/x", "tree/1/y/z"]);
    // A ring of the last three: what is pushed takes the oldest along, in one transaction.
    for n in 0..5 {
        let ops = [TxnOp::put(format!("ring/{n:03}"), "", None)];
        let oldest = (n >= 3).then(|| TxnOp::delete(format!("ring/{:03}", n - 3), None));
        client.txn(Txn::new().and_then(ops.into_iter().chain(oldest).collect::<Vec<_>>())).await?;
    }
    assert_eq!(keys(client, "ring/").await?, ["ring/002", "ring/003", "ring/004"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_waits_until_its_item_is_done() -> Result<()> {
    let single = Single::start().await?;
    let mut queue = queues(&single);
    let id = put(&mut queue, "jobs", &[item("a")]).await?[0];
    // An item is in one of its places until it is acknowledged: then nothing of it is left.
    let mut client = single.client.clone();
    let done = tokio::spawn(async move {
        let options = WatchOptions::new().with_prefix();
        let mut watch = client.watch("jobs/taken/", Some(options)).await?;
        loop {
            let told = watch.message().await?.context("it goes on")?;
            let gone = |it: &&etcd_client::Event| it.event_type() == EventType::Delete;
            if let Some(event) = told.events().iter().find(gone) {
                return Ok::<_, anyhow::Error>(event.kv().context("a key")?.key().to_vec());
            }
        }
    });
    let (_, token) = take(&mut queue, "jobs", 1).await?[0];
    assert!(!done.is_finished());
    let claims = vec![portunus_proto::portunus::v1::QueueClaim { id, token, lease: 0 }];
    let request =
        portunus_proto::portunus::v1::QueueAckRequest { queue: "jobs".into(), claims, txn: None };
    ensure!(queue.ack(request).await?.into_inner().acked);
    assert_eq!(done.await??, format!("jobs/taken/{id:016x}").as_bytes());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sharded_queue_is_a_queue_for_each_shard() -> Result<()> {
    let single = Single::start().await?;
    let mut queue = queues(&single);
    for n in 0..20_u64 {
        put(&mut queue, &format!("jobs/{}", n % 4), &[item(&n.to_string())]).await?;
    }
    let mut seen = BTreeSet::new();
    for shard in 0..4 {
        let name = format!("jobs/{shard}");
        seen.extend(take(&mut queue, &name, 9).await?.into_iter().map(|(id, _)| (shard, id)));
        assert!(take(&mut queue, &name, 9).await?.is_empty());
    }
    assert_eq!(seen.len(), 20, "each shard has its own numbers and its own consumers");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_driven_back_and_items_removed_by_id() -> Result<()> {
    let single = Single::start().await?;
    let mut queue = queues(&single);
    let ids = put(&mut queue, "jobs", &[item("a"), item("b"), item("c")]).await?;
    let claims = take(&mut queue, "jobs", 9).await?;
    let claims = claims.into_iter().map(|(id, token)| portunus_proto::portunus::v1::QueueClaim {
        id,
        token,
        lease: 0,
    });
    let (queue_name, claims) = ("jobs".into(), claims.collect());
    let nack = QueueNackRequest { queue: queue_name, claims, dead: true, ..Default::default() };
    queue.nack(nack).await?;
    let remove = QueueRemoveRequest { queue: "jobs".into(), id: ids[1] };
    ensure!(queue.remove(remove).await?.into_inner().removed);
    let redrive = QueueRedriveRequest { queue: "jobs".into(), ids: vec![ids[2]], max: 0 };
    let answer = queue.redrive(redrive).await?.into_inner();
    assert_eq!((answer.redriven, answer.left), (1, 1));
    let mut command = std::process::Command::new(portunus_tests::Member::program()?);
    let endpoint = format!("--endpoints={}", single.member.client_url);
    command.args(["queue", &endpoint, "redrive", "jobs"]);
    let done = tokio::task::block_in_place(|| command.output())?;
    assert_eq!((done.status.success(), &done.stdout[..]), (true, &b"1\n"[..]), "{done:?}");
    let back: Vec<u64> = take(&mut queue, "jobs", 9).await?.into_iter().map(|it| it.0).collect();
    assert_eq!(back, [ids[0], ids[2]]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_that_was_away_is_told_all_it_missed() -> Result<()> {
    let mut single = Single::start().await?;
    let seen = single.client.put("topic/a", "1", None).await?;
    let cursor = seen.header().context("a header")?.revision();
    for value in ["2", "3"] {
        single.client.put("topic/a", value, None).await?;
    }
    // It kept the revision of the last message: the next one continues there, in order.
    let options = WatchOptions::new().with_prefix().with_start_revision(cursor + 1);
    let mut watch = single.client.watch("topic/", Some(options)).await?;
    let mut told = Vec::new();
    while told.len() < 2 {
        for event in watch.message().await?.context("it goes on")?.events() {
            told.push(event.kv().context("a key")?.value_str()?.to_owned());
        }
    }
    assert_eq!(told, ["2", "3"]);
    Ok(())
}
