//! Members that reach each other over TLS, and one whose certificate keeps it out.

use std::path::Path;

use anyhow::Result;
use portunus_proto::etcdserverpb::RangeRequest;
use portunus_tests::certificates::{Authority, Issued, Wanted};
use portunus_tests::{Member, Rpc, eventually, free_ports};

use crate::site::{Site, flag};

/// Three members with the same flags of TLS but for `certificates`.
fn three(dir: &Path, certificates: [&[String]; 3]) -> Vec<Member> {
    let ports: [[u16; 2]; 3] = [free_ports(), free_ports(), free_ports()];
    let url = |port: u16| format!("https://127.0.0.1:{port}");
    let all: Vec<_> =
        ports.iter().enumerate().map(|(n, [_, peer])| format!("m{n}={}", url(*peer))).collect();
    let member = |(n, [client, peer]): (usize, [u16; 2])| {
        let mut flags = vec![
            format!("--listen-peer-urls={}", url(peer)),
            format!("--initial-advertise-peer-urls={}", url(peer)),
            format!("--initial-cluster={}", all.join(",")),
            format!("--initial-cluster-token=tls-{}", ports[0][1]),
        ];
        flags.extend(certificates[n].iter().cloned());
        Member::new(&format!("m{n}"), dir, client, flags)
    };
    ports.into_iter().enumerate().map(member).collect()
}

fn flags(site: &Site, issued: &Issued) -> Vec<String> {
    vec![
        flag("peer-cert-file", &issued.cert),
        flag("peer-key-file", &issued.key),
        flag("peer-trusted-ca-file", &site.ca.file()),
        "--peer-client-cert-auth".to_owned(),
        "--peer-cert-allowed-cn=peer".to_owned(),
    ]
}

async fn put_through(member: &Member, key: &str) -> Result<()> {
    let mut client = member.client().await?;
    client.put(key, "v", None).await?;
    Ok(())
}

/// Two members agree and the third, which shows `issued`, hears nothing and is refused with `words`.
async fn left_out(site: &Site, issued: &Issued, words: &str) -> Result<()> {
    let peer = Wanted { common_name: "peer", hosts: &["127.0.0.1"], ..Wanted::default() };
    let good = flags(site, &site.ca.issue("peer", &peer)?);
    let bad = flags(site, issued);
    let mut members = three(site.path(), [&good, &good, &bad]);
    for member in &mut members {
        member.launch()?;
    }
    members[0].wait_ready()?;
    members[1].wait_ready()?;
    put_through(&members[1], "a").await?;
    members[0].wait_output("rejected connection on peer endpoint")?;
    members[0].wait_output(words)?;
    let mut third = Rpc::connect(&members[2].client_url).await?;
    let local = RangeRequest { key: "a".into(), serializable: true, ..RangeRequest::default() };
    assert!(third.kv.range(local).await?.into_inner().kvs.is_empty(), "it heard of a write");
    assert!(!members[2].output().contains("ready to serve client requests"));
    Ok(())
}

#[tokio::test]
async fn members_agree_over_tls() -> Result<()> {
    let site = Site::new()?;
    let peer = Wanted { common_name: "peer", hosts: &["127.0.0.1"], ..Wanted::default() };
    let good = flags(&site, &site.ca.issue("peer", &peer)?);
    let mut members = three(site.path(), [&good, &good, &good]);
    for member in &mut members {
        member.launch()?;
    }
    for member in &mut members {
        member.wait_ready()?;
    }
    // A follower forwards, so calls go over TLS as well as the log.
    for (n, member) in members.iter().enumerate() {
        put_through(member, &format!("k{n}")).await?;
    }
    // With a new certificate under it, a member that comes back is let in again.
    site.ca.issue("peer", &peer)?;
    members[2].kill()?;
    put_through(&members[0], "meanwhile").await?;
    members[2].start()?;
    let mut back = members[2].client().await?;
    assert_eq!(back.get("meanwhile", None).await?.count(), 1);
    Ok(())
}

#[tokio::test]
async fn members_that_made_their_certificates_agree() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let auto = ["--peer-auto-tls".to_owned()];
    let mut members = three(dir.path(), [&auto, &auto, &auto]);
    for member in &mut members {
        member.launch()?;
    }
    for member in &mut members {
        member.wait_ready()?;
        assert!(member.data_dir.join("fixtures/peer/cert.pem").exists());
    }
    put_through(&members[1], "k").await
}

#[tokio::test]
async fn a_peer_with_another_name_stays_out() -> Result<()> {
    let site = Site::new()?;
    let wanted = Wanted { common_name: "eve", hosts: &["127.0.0.1"], ..Wanted::default() };
    let eve = site.ca.issue("eve", &wanted)?;
    left_out(&site, &eve, "client certificate authentication failed").await
}

#[tokio::test]
async fn a_peer_of_another_authority_stays_out() -> Result<()> {
    let site = Site::new()?;
    let other = Authority::new(site.path(), "other")?;
    let wanted = Wanted { common_name: "peer", hosts: &["127.0.0.1"], ..Wanted::default() };
    let stranger = other.issue("stranger", &wanted)?;
    left_out(&site, &stranger, "certificate signed by unknown authority").await
}

#[tokio::test]
async fn a_member_says_why_it_cannot_reach_another() -> Result<()> {
    let site = Site::new()?;
    let peer = Wanted { common_name: "peer", hosts: &["127.0.0.1"], ..Wanted::default() };
    let good = flags(&site, &site.ca.issue("peer", &peer)?);
    let elsewhere = Wanted { common_name: "peer", hosts: &["10.9.8.7"], ..Wanted::default() };
    let bad = flags(&site, &site.ca.issue("elsewhere", &elsewhere)?);
    let mut members = three(site.path(), [&good, &good, &bad]);
    for member in &mut members {
        member.launch()?;
    }
    eventually("the reason is told", async || {
        let told = members[..2].iter().any(|member| {
            member.output().contains("x509: certificate is valid for 10.9.8.7, not 127.0.0.1")
        });
        anyhow::ensure!(told, "not yet");
        Ok(())
    })
    .await;
    Ok(())
}
