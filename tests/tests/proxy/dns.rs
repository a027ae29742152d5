//! Members found by SRV records, and found again when they have moved.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};
use parking_lot::Mutex;
use portunus_tests::{Member, eventually};
use tokio::net::UdpSocket;

use crate::fixture::{Proxy, run};

const SERVICE: &[&str] = &["_etcd-client-blue", "_tcp", "etcd", "example"];
const SRV: u16 = 33;

fn name(labels: &[&str]) -> Vec<u8> {
    let labels = labels.iter().flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

/// The answer to one question: the ports as records of host 127.0.0.1, or that there are none.
fn answer(question: &[u8], ports: &[u16]) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
    let known = question[12..].starts_with(&name(SERVICE));
    let count = if known { ports.len() as u16 } else { 0 };
    let code = if known { 0x8580_u16 } else { 0x8583 };
    let mut answer = question[..2].to_vec();
    for number in [code, 1, count, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(&question[12..end]);
    for port in &ports[..usize::from(count)] {
        let target = name(&["127", "0", "0", "1"]);
        // The name of the question, and a life of no time.
        answer.extend(0xc00c_u16.to_be_bytes());
        for number in [SRV, 1, 0, 0, 6 + target.len() as u16, 10, 10, *port] {
            answer.extend(number.to_be_bytes());
        }
        answer.extend(target);
    }
    answer
}

async fn name_server(ports: Arc<Mutex<Vec<u16>>>) -> Result<SocketAddr> {
    let socket = UdpSocket::bind("127.0.0.1:0").await?;
    let address = socket.local_addr()?;
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let answer = answer(&packet[..length], &ports.lock());
            let _ = socket.send_to(&answer, from).await;
        }
    });
    Ok(address)
}

fn port(member: &Member) -> u16 {
    let (_, port) = member.client_url.rsplit_once(':').expect("a port");
    port.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_looked_up_again_when_none_answers() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let mut old = Member::single(&dir.path().join("old"), &[])?;
    let new = Member::single(&dir.path().join("new"), &[])?;
    let ports = Arc::new(Mutex::new(vec![port(&old)]));
    let server = name_server(ports.clone()).await?;
    let flags = [
        "--discovery-srv=etcd.example".to_owned(),
        "--discovery-srv-name=blue".to_owned(),
        format!("--discovery-srv-server={server}"),
    ];
    let proxy = Proxy::start(&flags)?;
    let mut client = proxy.client().await?;
    client.put("k", "", None).await?;
    assert_eq!(old.client().await?.get("k", None).await?.count(), 1);
    *ports.lock() = vec![port(&new)];
    client.put("k2", "", None).await?;
    assert_eq!(old.client().await?.get("k2", None).await?.count(), 1, "it still answers");
    old.kill()?;
    eventually("the member that the records name now", || async {
        let put = client.clone().put("k3", "", None).await?;
        ensure!(put.header().is_some());
        Ok(())
    })
    .await;
    assert_eq!(new.client().await?.get("k3", None).await?.count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_without_records_is_refused() -> Result<()> {
    let server = name_server(Arc::default()).await?;
    let dir = tempfile::tempdir()?;
    let server = format!("--discovery-srv-server={server}");
    let words = ["proxy", "--listen-addr=127.0.0.1:0", "--discovery-srv=nothing.example", &server];
    let (code, text) = tokio::task::block_in_place(|| run(&words, dir.path()))?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("_etcd-client._tcp.nothing.example."), "{text}");
    Ok(())
}
