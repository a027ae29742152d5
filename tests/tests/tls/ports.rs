//! Which ports speak what: both schemes on one address, HTTP apart from gRPC, metrics over TLS.

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use portunus::tls::{ClientOptions, Dialer, Target};
use portunus_tests::{Rpc, free_ports, http};

use crate::site::{Site, put};

/// A GET over whatever the URL's scheme says; HTTP/1.1.
async fn get(url: &str, path: &str, options: ClientOptions) -> Result<(StatusCode, String)> {
    let target: Target = url.parse()?;
    let connection = Dialer::new(options).dial(&target).await?;
    let (mut sender, driver) =
        hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    tokio::spawn(driver);
    let request = Request::get(path).header("host", target.authority());
    let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    Ok((status, String::from_utf8(body.to_vec())?))
}

#[tokio::test]
async fn one_address_serves_both_schemes() -> Result<()> {
    let site = Site::new()?;
    let [port] = free_ports();
    let (secure, plain) = (format!("https://127.0.0.1:{port}"), format!("http://127.0.0.1:{port}"));
    let mut flags = site.asking();
    flags.push(format!("--listen-client-urls={secure},{plain}"));
    flags.push(format!("--advertise-client-urls={secure},{plain}"));
    let mut member = site.member(&flags);
    member.start()?;
    member.wait_output("ignoring client cert auth for this url")?;
    let shown = site.options(Some(&site.client));
    put(&secure, shown.clone()).await?;
    Rpc::connect(&plain).await?;
    assert_eq!(http::get(&plain, "/health").await?.status, 200);
    assert_eq!(get(&secure, "/health", shown).await?.0, StatusCode::OK);
    assert!(put(&secure, site.options(None)).await.is_err(), "no certificate, no way in");
    Ok(())
}

#[tokio::test]
async fn everything_beside_grpc_is_served_over_tls() -> Result<()> {
    let site = Site::new()?;
    let mut member = site.member(&[]);
    member.start()?;
    let url = member.client_url.clone();
    for (path, holds) in [
        ("/health", r#""health":"true""#),
        ("/version", r#""etcdserver":"3.7.1""#),
        ("/metrics", "etcd_server_has_leader 1"),
        ("/readyz", "ok"),
        ("/openapi.json", "/v3/kv/range"),
    ] {
        let (status, body) = get(&url, path, site.options(None)).await?;
        assert_eq!(status, StatusCode::OK, "{path}");
        assert!(body.contains(holds), "{path}: {body}");
    }
    // Who speaks plainly to it is cut off, and told of.
    let plain = url.replace("https://", "http://");
    assert!(get(&plain, "/health", ClientOptions::default()).await.is_err());
    member.wait_output("tls: first record does not look like a TLS handshake")?;
    Ok(())
}

#[tokio::test]
async fn metrics_ports_use_the_clients_certificate() -> Result<()> {
    let site = Site::new()?;
    let [port] = free_ports();
    let metrics = format!("https://127.0.0.1:{port}");
    let mut member = site.member(&[format!("--listen-metrics-urls={metrics}")]);
    member.start()?;
    let (status, body) = get(&metrics, "/metrics", site.options(None)).await?;
    assert!(status == StatusCode::OK && body.contains("etcd_server_has_leader 1"));
    drop(member);
    let url = "http://127.0.0.1:1";
    let mut without = site.member(&[
        "--cert-file=".to_owned(),
        "--key-file=".to_owned(),
        format!("--listen-client-urls={url}"),
        format!("--listen-metrics-urls={metrics}"),
    ]);
    without.launch()?;
    let ended = without.wait_ready().expect_err("it must not start").to_string();
    let words =
        "client TLS key/cert (--cert-file, --key-file) must be provided for metrics secure url";
    assert!(ended.contains(words), "{ended}");
    Ok(())
}

#[tokio::test]
async fn http_may_have_ports_of_its_own() -> Result<()> {
    let site = Site::new()?;
    let [port] = free_ports();
    let http_only = format!("https://127.0.0.1:{port}");
    let mut member = site.member(&[format!("--listen-client-http-urls={http_only}")]);
    member.start()?;
    put(&member.client_url, site.options(None)).await?;
    assert_eq!(get(&http_only, "/health", site.options(None)).await?.0, StatusCode::OK);
    let (status, body) = get(&member.client_url, "/health", site.options(None)).await?;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(body, "invalid gRPC request content-type \"\"\n");
    assert!(put(&http_only, site.options(None)).await.is_err(), "gRPC is not served there");
    drop(member);
    let mut both = site.member(&[]);
    let url = both.client_url.clone();
    both = site.member(&[
        format!("--listen-client-urls={url}"),
        format!("--listen-client-http-urls={url}"),
    ]);
    both.launch()?;
    let ended = both.wait_ready().expect_err("it must not start").to_string();
    let words =
        "cannot bind both --listen-client-urls and --listen-client-http-urls on the same url";
    assert!(ended.contains(words), "{ended}");
    Ok(())
}

#[tokio::test]
async fn a_member_makes_its_own_certificate_once() -> Result<()> {
    let site = Site::new()?;
    let auto = ["--cert-file=".to_owned(), "--key-file=".to_owned(), "--auto-tls".to_owned()];
    let mut member = site.member(&auto);
    member.start()?;
    let believing = ClientOptions { insecure_skip_verify: true, ..ClientOptions::default() };
    put(&member.client_url, believing.clone()).await?;
    let made = member.data_dir.join("fixtures/client/cert.pem");
    let first = std::fs::read(&made).context("it is there")?;
    member.terminate()?;
    member.start()?;
    put(&member.client_url, believing).await?;
    assert_eq!(std::fs::read(&made)?, first);
    Ok(())
}

#[tokio::test]
async fn hosts_that_are_not_listed_are_sent_away() -> Result<()> {
    let site = Site::new()?;
    let [port] = free_ports();
    let plain = format!("http://127.0.0.1:{port}");
    let mut flags =
        vec![format!("--listen-client-urls={plain}"), "--host-whitelist=a.example".into()];
    flags.push(format!("--advertise-client-urls={plain}"));
    let mut member = site.member(&flags);
    member.start()?;
    assert_eq!(http::get(&plain, "/health").await?.status, 421);
    Rpc::connect(&plain).await?;
    let metrics = put(&plain, ClientOptions::default()).await;
    assert!(metrics.is_ok(), "gRPC names no host that a browser could be led by");
    Ok(())
}
