//! A client that does not read holds nobody up, and misses nothing when it reads again.

use anyhow::{Result, ensure};
use portunus_tests::eventually;

use crate::fixture::{Pair, metric, watchers};
use crate::streams::{WatchStream, on};

/// Far more than what fits into windows and the proxy's mailbox.
const WRITES: usize = 600;
const VALUE_BYTES: usize = 64 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_is_left_behind_and_catches_up() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut slow = WatchStream::open(&pair.proxy.url).await?;
    slow.watch(on("k")).await?;
    let mut quick = WatchStream::open(&pair.proxy.url).await?;
    quick.watch(on("k")).await?;
    assert_eq!(watchers(&pair.member).await?, 1);
    let mut direct = pair.member.client().await?;
    let mut revisions = Vec::new();
    for _ in 0..WRITES {
        let put = direct.put("k", vec![b'v'; VALUE_BYTES], None).await?;
        revisions.push(put.header().expect("a header").revision());
        // It hears of each write while the other reads nothing.
        let seen = quick.events(1).await?;
        assert_eq!(seen[0].1.kv.mod_revision, revisions[revisions.len() - 1]);
    }
    let url = &pair.proxy.url;
    assert!(metric(url, "/proxy/metrics", "portunus_proxy_lagging_watches_total").await? > 0);
    let seen = slow.events(WRITES).await?;
    let seen: Vec<_> = seen.iter().map(|(_, event)| event.kv.mod_revision).collect();
    assert_eq!(seen, revisions, "each once and in order");
    eventually("both watches to be one again", || async {
        let left = watchers(&pair.member).await?;
        ensure!(left == 1, "{left} watches");
        Ok(())
    })
    .await;
    direct.put("k", "last", None).await?;
    assert_eq!(slow.events(1).await?[0].1.kv.value, "last");
    assert_eq!(quick.events(1).await?[0].1.kv.value, "last");
    Ok(())
}
