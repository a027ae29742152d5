//! What the proxy's port speaks: TLS on both sides, HTTP beside gRPC, and the bare gateway.

use std::process::{Child, Command, Stdio};

use anyhow::Result;
use etcd_client::{Client, ConnectOptions};
use portunus::tls::ClientOptions;
use portunus_proto::etcdserverpb::PutRequest;
use portunus_tests::certificates::{Authority, Wanted};
use portunus_tests::http::{get, post};
use portunus_tests::{Member, Rpc, eventually, free_ports};
use tokio::net::TcpStream;

use crate::fixture::{Pair, Proxy};

#[tokio::test(flavor = "multi_thread")]
async fn http_passes_beside_grpc() -> Result<()> {
    let pair = Pair::start(&[])?;
    let url = &pair.proxy.url;
    let health = get(url, "/health").await?;
    assert_eq!((health.status, health.json()["health"].as_str()), (200, Some("true")));
    assert_eq!(get(url, "/proxy/health").await?.status, 200);
    assert!(get(url, "/version").await?.json()["etcdserver"].is_string());
    let metrics = get(url, "/metrics").await?;
    assert!(metrics.body.contains("etcd_server_has_leader 1"), "the member's");
    let own = get(url, "/proxy/metrics").await?.body;
    assert!(own.contains("portunus_proxy_failovers_total 0"), "{own}");
    assert!(!own.contains("etcd_server_has_leader"));
    let put = post(url, "/v3alpha/kv/put", r#"{"key": "Zm9v", "value": "YmFy"}"#).await?;
    assert_eq!(put.json()["header"]["revision"], "2");
    let read = post(url, "/v3/kv/range", r#"{"key": "Zm9v"}"#).await?;
    assert_eq!(read.json()["kvs"][0]["value"], "YmFy");
    assert_eq!(get(url, "/debug/vars").await?.status, 404);
    assert_eq!(post(url, "/health", "").await?.status, 405);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_may_have_a_port_of_their_own() -> Result<()> {
    let [port] = free_ports();
    let url = format!("http://127.0.0.1:{port}");
    let pair = Pair::start(&[&format!("--metrics-addr={url}")])?;
    assert_eq!(get(&url, "/health").await?.status, 200);
    assert!(get(&url, "/proxy/metrics").await?.body.contains("portunus_proxy_client_watches 0"));
    assert_eq!(post(&url, "/v3/kv/range", r#"{"key": "Zm9v"}"#).await?.status, 404);
    drop(pair);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_may_ask_for_certificates() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let hosts = &["127.0.0.1", "localhost"];
    let wanted = |common_name| Wanted { common_name, hosts, ..Wanted::default() };
    // Without a name: whoever comes through the proxy would be that user.
    let (server, client) = (ca.issue("server", &wanted("s"))?, ca.issue("client", &wanted(""))?);
    let flag = |name: &str, file: &std::path::Path| format!("--{name}={}", file.display());
    let [port, peer] = free_ports();
    let (url, peer) = (format!("https://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer}"));
    let mut flags = vec![
        format!("--listen-client-urls={url}"),
        format!("--advertise-client-urls={url}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=m0={peer}"),
        "--client-cert-auth".to_owned(),
    ];
    let serving = [
        flag("cert-file", &server.cert),
        flag("key-file", &server.key),
        flag("trusted-ca-file", &ca.file()),
    ];
    flags.extend(serving.clone());
    let mut member = Member::new("m0", dir.path(), port, flags);
    member.start()?;
    let mut flags = vec![
        format!("--endpoints=127.0.0.1:{port}"),
        flag("cert", &client.cert),
        flag("key", &client.key),
        flag("cacert", &ca.file()),
    ];
    flags.extend(serving);
    let proxy = Proxy::start_with("https", &flags)?;
    let connect = |identity| {
        let options = ClientOptions {
            identity,
            trusted_ca_file: Some(ca.file()),
            ..ClientOptions::default()
        };
        let url = &proxy.url;
        async move { Rpc::secured(url, &options).await }
    };
    let rpc = connect(Some((client.cert.clone(), client.key.clone()))).await?;
    let put = PutRequest { key: "k".into(), ..Default::default() };
    rpc.kv.clone().put(put.clone()).await?;
    // TLS 1.3 lets the client find out with its first call only.
    let stranger = match connect(None).await {
        Ok(rpc) => rpc.kv.clone().put(put).await.is_err(),
        Err(_) => true,
    };
    assert!(stranger, "a client without a certificate came in");
    Ok(())
}

/// Ends with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gateway_passes_connections_to_whoever_accepts() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let member = Member::single(dir.path(), &[])?;
    let [port, nobody] = free_ports();
    let child = Command::new(Member::program()?)
        .args(["gateway", "start"])
        .arg(format!("--listen-addr=127.0.0.1:{port}"))
        .arg(format!("--endpoints=127.0.0.1:{nobody},{}", member.client_url))
        .stderr(Stdio::null())
        .spawn()?;
    let _running = Running(child);
    eventually("the gateway listens", || TcpStream::connect(("127.0.0.1", port))).await;
    for n in 0..4 {
        let options = ConnectOptions::new().with_timeout(std::time::Duration::from_secs(8));
        let url = format!("http://127.0.0.1:{port}");
        let mut client = Client::connect([url], Some(options)).await?;
        client.put("k", n.to_string(), None).await?;
    }
    assert_eq!(member.client().await?.get("k", None).await?.kvs()[0].version(), 4);
    Ok(())
}
