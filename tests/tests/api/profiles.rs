//! `--enable-pprof`: profiles of the process that `go tool pprof` reads.

use std::io::Read;

use anyhow::{Context, Result};
use portunus_tests::Member;
use portunus_tests::http::{get, get_bytes, post};

use crate::fixture::Single;

/// A profile without its compression, and the name of its file. Names of functions stand in it as
/// they are.
async fn profile(url: &str, path: &str) -> Result<(String, String)> {
    let (status, headers, packed) = get_bytes(url, path).await?;
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&packed));
    let file = headers.get("content-disposition").context("a name")?.to_str()?.to_owned();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain)?;
    Ok((String::from_utf8_lossy(&plain).into_owned(), file))
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_tell_of_this_process_by_the_names_of_its_functions() -> Result<()> {
    let single = Single::with(&["--enable-pprof"]).await;
    let url = single.member.client_url.clone();
    let mut client = single.member.client().await?;
    let load = tokio::spawn(async move {
        for number in 0_u64.. {
            client.put(format!("k{}", number % 100), vec![7; 1000], None).await?;
        }
        anyhow::Ok(())
    });
    let (cpu, file) = profile(&url, "/debug/pprof/profile?seconds=1").await?;
    assert_eq!(file, "attachment; filename=\"profile\"");
    assert!(cpu.contains("nanoseconds") && cpu.contains("portunus::"), "no function of ours");
    let (heap, _) = profile(&url, "/debug/pprof/heap").await?;
    assert!(heap.contains("inuse_space") && heap.contains("portunus::"), "no function of ours");
    load.abort();
    let again = get(&url, "/debug/pprof/cmdline").await?.body;
    assert!(again.contains("\0--enable-pprof"), "{again:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_profile_of_the_cpu_is_taken_at_a_time() -> Result<()> {
    let single = Single::with(&["--enable-pprof"]).await;
    let url = &single.member.client_url;
    let path = "/debug/pprof/profile?seconds=1";
    let (one, other) = tokio::join!(get_bytes(url, path), get_bytes(url, path));
    let mut both = [one?, other?];
    both.sort_unstable_by_key(|(status, ..)| *status);
    let [(taken, ..), (refused, _, why)] = both;
    assert_eq!([taken, refused], [200, 500]);
    let why = String::from_utf8(why.to_vec())?;
    assert!(why.starts_with("could not enable CPU profiling: "), "{why}");
    assert_eq!(get_bytes(url, path).await?.0, 200, "the next one is taken");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_profile_is_refused_and_without_the_flag_there_are_none() -> Result<()> {
    let single = Single::with(&["--enable-pprof"]).await;
    let url = &single.member.client_url;
    let wrong = get(url, "/debug/pprof/profile?seconds=0").await?;
    assert_eq!((wrong.status, wrong.body.trim()), (400, "invalid seconds \"0\": give 1 to 600"));
    let unknown = get(url, "/debug/pprof/goroutine").await?;
    assert_eq!((unknown.status, unknown.body.trim()), (404, "Unknown profile"));
    assert_eq!(post(url, "/debug/pprof/heap", "").await?.status, 405);
    let dir = tempfile::tempdir()?;
    let without = Member::single(dir.path(), &[])?;
    assert_eq!(get(&without.client_url, "/debug/pprof/heap").await?.status, 404);
    assert_eq!(get(&without.client_url, "/debug/pprof/").await?.status, 404);
    Ok(())
}
