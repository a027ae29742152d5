//! Watches that ask for the same are one watch at the member, and each is still its client's own.

use std::collections::HashMap;

use anyhow::{Result, ensure};
use etcd_client::{Txn, TxnOp};
use portunus_proto::etcdserverpb as pb;
use portunus_proto::etcdserverpb::watch_create_request::FilterType;
use portunus_tests::{events, eventually};

use crate::fixture::{Pair, metric, watchers};
use crate::streams::{WatchStream, on, under};

const STREAMS: usize = 10;
const WATCHES: usize = 100;
const WRITES: usize = 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watches_of_one_key_are_one() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = WatchStream::open(&pair.proxy.url).await?;
        for id in 0..WATCHES {
            let created = stream.watch(on("k")).await?;
            assert_eq!((created.watch_id, created.canceled), (id as i64, false));
        }
        streams.push(stream);
    }
    assert_eq!(watchers(&pair.member).await?, 1);
    let url = &pair.proxy.url;
    let clients = metric(url, "/proxy/metrics", "portunus_proxy_client_watches").await?;
    assert_eq!(clients, (STREAMS * WATCHES) as i64);
    let mut direct = pair.member.client().await?;
    let mut revisions = Vec::new();
    for n in 0..WRITES {
        let put = direct.put("k", n.to_string(), None).await?;
        revisions.push(put.header().expect("a header").revision());
        direct.put("other", "", None).await?;
    }
    for stream in &mut streams {
        let mut seen: HashMap<i64, Vec<i64>> = HashMap::new();
        for (id, event) in stream.events(WATCHES * WRITES).await? {
            seen.entry(id).or_default().push(event.kv.mod_revision);
        }
        assert_eq!(seen.len(), WATCHES);
        assert!(seen.values().all(|seen| *seen == revisions), "each event once and in order");
    }
    assert_eq!(watchers(&pair.member).await?, 1);
    let more = metric(url, "/proxy/metrics", "etcd_grpc_proxy_events_coalescing_total").await?;
    assert_eq!(more, ((STREAMS * WATCHES - 1) * WRITES) as i64);
    drop(streams);
    eventually("the end of the watch at the member", || async {
        let left = watchers(&pair.member).await?;
        ensure!(left == 0, "{left} are left");
        Ok(())
    })
    .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_cancels_and_refusals_are_those_of_a_member() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut both = Vec::new();
    for url in [&pair.member.client_url, &pair.proxy.url] {
        let mut stream = WatchStream::open(url).await?;
        stream.watch(pb::WatchCreateRequest { watch_id: 7, ..on("a") }).await?;
        stream.watch(on("b")).await?;
        stream.create(pb::WatchCreateRequest { watch_id: 7, ..on("c") })?;
        stream.create(pb::WatchCreateRequest { range_end: "a".into(), ..on("b") })?;
        stream.create(pb::WatchCreateRequest { start_revision: -1, ..on("c") })?;
        stream.create(on("d"))?;
        stream.cancel(99)?;
        stream.cancel(7)?;
        stream.progress()?;
        let mut told = Vec::new();
        for _ in 0..6 {
            let answer = stream.next().await?;
            let header = answer.header.expect("a header");
            told.push((
                (answer.watch_id, answer.created, answer.canceled, answer.compact_revision),
                answer.cancel_reason,
                (header.revision, header.cluster_id),
            ));
        }
        both.push(told);
    }
    assert_eq!(both[0], both[1]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_from_the_past_is_alone_until_it_has_caught_up() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut direct = pair.member.client().await?;
    let first = direct.put("p/0", "", None).await?.header().expect("a header").revision();
    for n in 1..50 {
        direct.put(format!("p/{n}"), "", None).await?;
    }
    let mut now = WatchStream::open(&pair.proxy.url).await?;
    let begun = now.watch(under("p/")).await?.header.expect("a header").revision;
    assert_eq!(begun, first + 49, "what was before is not told");
    let mut past = WatchStream::open(&pair.proxy.url).await?;
    past.watch(pb::WatchCreateRequest { start_revision: first, ..under("p/") }).await?;
    let mut later = WatchStream::open(&pair.proxy.url).await?;
    later.watch(pb::WatchCreateRequest { start_revision: begun + 2, ..under("p/") }).await?;
    let seen = past.events(50).await?;
    let revisions: Vec<_> = seen.iter().map(|(_, event)| event.kv.mod_revision).collect();
    assert_eq!(revisions, (first..first + 50).collect::<Vec<_>>());
    eventually("one watch at the member", || async {
        let left = watchers(&pair.member).await?;
        ensure!(left == 1, "{left} watches");
        Ok(())
    })
    .await;
    for n in 0..3 {
        direct.put("p/new", n.to_string(), None).await?;
    }
    for (stream, from) in [(&mut now, begun + 1), (&mut past, begun + 1), (&mut later, begun + 2)] {
        let count = (begun + 4 - from) as usize;
        let seen = stream.events(count).await?;
        let revisions: Vec<_> = seen.iter().map(|(_, event)| event.kv.mod_revision).collect();
        assert_eq!(revisions, (from..begun + 4).collect::<Vec<_>>());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compacted_ends_the_one_watch_that_wants_it() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut direct = pair.member.client().await?;
    for n in 0..5 {
        direct.put("k", n.to_string(), None).await?;
    }
    let mut fine = WatchStream::open(&pair.proxy.url).await?;
    fine.watch(on("k")).await?;
    direct.compact(4, None).await?;
    let mut late = WatchStream::open(&pair.proxy.url).await?;
    late.watch(pb::WatchCreateRequest { start_revision: 2, ..on("k") }).await?;
    let answer = late.next().await?;
    assert!(answer.canceled, "{answer:?}");
    assert_eq!((answer.watch_id, answer.compact_revision), (0, 4));
    direct.put("k", "new", None).await?;
    assert_eq!(fine.events(1).await?[0].1.kv.value, "new");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_old_values_and_fragments_stay_apart() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut stream = WatchStream::open(&pair.proxy.url).await?;
    let filter = |filter: FilterType| vec![filter.into()];
    stream.watch(on("k")).await?;
    let deletes = pb::WatchCreateRequest { filters: filter(FilterType::Noput), ..on("k") };
    stream.watch(deletes).await?;
    let olds =
        pb::WatchCreateRequest { filters: filter(FilterType::Nodelete), prev_kv: true, ..on("k") };
    stream.watch(olds).await?;
    assert_eq!(watchers(&pair.member).await?, 3);
    let mut direct = pair.member.client().await?;
    direct.put("k", "1", None).await?;
    direct.put("k", "2", None).await?;
    direct.delete("k", None).await?;
    let mut seen: HashMap<i64, Vec<(bool, Option<String>)>> = HashMap::new();
    for (id, event) in stream.events(6).await? {
        let old = event.prev_kv.map(|kv| String::from_utf8_lossy(&kv.value).into_owned());
        seen.entry(id).or_default().push((event.deleted, old));
    }
    assert_eq!(seen[&0], [(false, None), (false, None), (true, None)]);
    assert_eq!(seen[&1], [(true, None)]);
    assert_eq!(seen[&2], [(false, None), (false, Some("1".to_owned()))]);

    // Four events of a megabyte in one revision, for one who can take pieces and one who cannot.
    let mut pieces = WatchStream::open(&pair.proxy.url).await?;
    pieces.watch(pb::WatchCreateRequest { fragment: true, ..under("f/") }).await?;
    let mut whole = WatchStream::open(&pair.proxy.url).await?;
    whole.watch(under("f/")).await?;
    for n in 0..4 {
        direct.put(format!("f/{n}"), vec![b'x'; 1 << 20], None).await?;
    }
    whole.events(4).await?;
    pieces.events(4).await?;
    let lease = direct.lease_grant(600, None).await?.id();
    let options = etcd_client::PutOptions::new().with_lease(lease).with_ignore_value();
    let puts = (0..4).map(|n| TxnOp::put(format!("f/{n}"), "", Some(options.clone())));
    direct.txn(Txn::new().and_then(puts.collect::<Vec<_>>())).await?;
    let answer = whole.next().await?;
    assert_eq!((events(&answer.events).len(), answer.fragment), (4, false));
    let mut told = Vec::new();
    while told.last().is_none_or(|(_, more)| *more) {
        let answer = pieces.next().await?;
        told.push((answer.events.len(), answer.fragment));
    }
    assert!(told.len() > 1, "{told:?}");
    assert_eq!(told.iter().map(|(events, _)| events).sum::<usize>(), 4);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_is_told_when_everything_before_it_was() -> Result<()> {
    let pair = Pair::start(&[])?;
    let mut stream = WatchStream::open(&pair.proxy.url).await?;
    for key in ["a", "b"] {
        stream.watch(on(key)).await?;
    }
    let mut direct = pair.member.client().await?;
    for n in 0..20 {
        direct.put("a", n.to_string(), None).await?;
        let last = direct.put("c", "", None).await?.header().expect("a header").revision();
        stream.progress()?;
        let (mut told, mut reached) = (0, 0);
        while reached == 0 {
            let answer = stream.next().await?;
            told += answer.events.len();
            if answer.watch_id == -1 {
                assert!(answer.events.is_empty());
                reached = answer.header.expect("a header").revision;
            }
        }
        assert_eq!(told, 1, "the event comes before the progress that covers it");
        assert!(reached >= last, "{reached} is behind {last}");
    }
    Ok(())
}
