//! An orderly end: leadership is handed over, what clients have asked is answered, and the process
//! ends by itself within its grace.

use std::time::Instant;

use anyhow::{Result, ensure};
use etcd_client::Client;
use portunus_tests::{Cluster, eventually};
use tokio::task::JoinHandle;

use crate::load::{Ledger, impatient, writes_resume};
use crate::turn::turn;

/// What a member says of its end, in this order, and what it says when the order was broken off:
/// the handover and the whole end have bounds of their own in the server, so a member that waits
/// for an election or for a client is caught by its own words, however slow the machine is.
const HANDED_OVER: &str = "leadership handed over";
const NOT_HANDED_OVER: &str = "leadership was not handed over";
const NOT_IN_TIME: &str = "not everything ended in time";

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_told_to_stop_hands_over_and_ends() -> Result<()> {
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let ledger = Ledger::start(&cluster.members, 2);
    for _ in 0..2 {
        ledger.grows_by(100).await;
        let leader = cluster.leader().await;
        let other = (leader + 1) % 3;
        let start = Instant::now();
        let status = tokio::task::block_in_place(|| cluster.members[leader].terminate())?;
        let out = start.elapsed();
        let resumed = writes_resume(&cluster.members[other]).await?;
        println!("out after {out:?}, then {resumed:?} until a write was taken");
        assert!(status.success(), "{status}: {}", cluster.members[leader].output());
        tokio::task::block_in_place(|| cluster.members[leader].wait_output(HANDED_OVER))?;
        let output = cluster.members[leader].output();
        assert!(!output.contains(NOT_HANDED_OVER) && !output.contains(NOT_IN_TIME), "{output}");
        cluster.restart(leader).await?;
    }
    let acked = ledger.stop().await?;
    acked.assert_kept(&mut cluster.client().await?).await?;
    cluster.assert_equal().await;
    Ok(())
}

/// Puts one new key after the other until a put fails; returns the key that was not acknowledged.
fn put_until_refused(mut client: Client, stopped: usize, name: usize) -> JoinHandle<String> {
    tokio::spawn(async move {
        for entry in 0.. {
            let key = format!("drain/{stopped}/{name:02}/{entry:06}");
            if client.put(key.clone(), "", None).await.is_err() {
                return key;
            }
        }
        unreachable!("numbers do not end")
    })
}

/// Whatever a member has begun when it is told to stop comes to its answer: a client that gets
/// none can be sure that its request was not executed.
#[tokio::test(flavor = "multi_thread")]
async fn a_member_told_to_stop_answers_what_it_has_begun() -> Result<()> {
    const CLIENTS: usize = 16;
    let _turn = turn().await;
    let mut cluster = Cluster::three(&[]).await?;
    let leader = cluster.leader().await;
    for stopped in [(leader + 1) % 3, leader] {
        let mut clients = Vec::new();
        for name in 0..CLIENTS {
            let client = impatient(&cluster.members[stopped].client_url).await?;
            clients.push(put_until_refused(client, stopped, name));
        }
        let mut reader = cluster.members[(stopped + 1) % 3].client().await?;
        let mine = format!("drain/{stopped}/");
        eventually("puts of all clients", || {
            let (mut reader, mine) = (reader.clone(), mine.clone());
            async move {
                let range = etcd_client::GetOptions::new().with_prefix().with_count_only();
                let count = reader.get(mine, Some(range)).await?.count();
                ensure!(count >= 20 * CLIENTS as i64, "{count}");
                Ok(())
            }
        })
        .await;
        let status = tokio::task::block_in_place(|| cluster.members[stopped].terminate())?;
        assert!(status.success(), "{status}: {}", cluster.members[stopped].output());
        let output = cluster.members[stopped].output();
        assert!(!output.contains(NOT_IN_TIME), "{output}");
        for client in clients {
            let refused = client.await?;
            let found = reader.get(refused.clone(), None).await?;
            assert!(found.kvs().is_empty(), "{refused} was executed and not answered");
        }
        cluster.restart(stopped).await?;
    }
    cluster.assert_equal().await;
    Ok(())
}
