//! What a client's certificate must be, and what is logged of one that is not.

use anyhow::Result;
use portunus::tls::ClientOptions;
use portunus_tests::certificates::{Authority, Issued, Wanted};

use crate::site::{REVOKED, Site, flag, put};

const HERE: &[&str] = &["127.0.0.1"];

/// Starts a member with `flags`, has one client refused and one let in, and waits for the words.
async fn refused(site: &Site, flags: &[String], shown: Option<&Issued>, words: &str) -> Result<()> {
    let mut member = site.member(flags);
    member.start()?;
    let refused = put(&member.client_url, site.options(shown)).await;
    anyhow::ensure!(refused.is_err(), "a client was let in that should not be");
    member.wait_output("rejected connection on client endpoint")?;
    member.wait_output(words)?;
    put(&member.client_url, site.options(Some(&site.client))).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() -> Result<()> {
    let site = Site::new()?;
    let words = "tls: client didn't provide a certificate";
    refused(&site, &site.asking(), None, words).await
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() -> Result<()> {
    let site = Site::new()?;
    let other = Authority::new(site.path(), "other")?;
    let wanted = Wanted { common_name: "ada", hosts: HERE, ..Wanted::default() };
    let stranger = other.issue("stranger", &wanted)?;
    let words = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    refused(&site, &site.asking(), Some(&stranger), words).await
}

#[tokio::test]
async fn an_expired_certificate_is_refused() -> Result<()> {
    let site = Site::new()?;
    let wanted = Wanted { common_name: "ada", hosts: HERE, expired: true, ..Wanted::default() };
    let old = site.ca.issue("old", &wanted)?;
    let words =
        "tls: failed to verify certificate: x509: certificate has expired or is not yet valid";
    refused(&site, &site.asking(), Some(&old), words).await
}

#[tokio::test]
async fn a_certificate_for_servers_alone_is_refused() -> Result<()> {
    let site = Site::new()?;
    let wanted = Wanted { common_name: "s", hosts: HERE, server_only: true, ..Wanted::default() };
    let server = site.ca.issue("s", &wanted)?;
    let words =
        "tls: failed to verify certificate: x509: certificate specifies an incompatible key usage";
    refused(&site, &site.asking(), Some(&server), words).await
}

#[tokio::test]
async fn a_certificate_for_another_address_is_refused() -> Result<()> {
    let site = Site::new()?;
    let wanted = Wanted { common_name: "ada", hosts: &["10.1.2.3"], ..Wanted::default() };
    let elsewhere = site.ca.issue("elsewhere", &wanted)?;
    let words = "x509: certificate is valid for 10.1.2.3, not 127.0.0.1";
    refused(&site, &site.asking(), Some(&elsewhere), words).await?;
    let named = Wanted { common_name: "ada", hosts: &["a.invalid"], ..Wanted::default() };
    let named = site.ca.issue("named", &named)?;
    // As JSON, in which quotes are escaped.
    let words = r#"tls: \"127.0.0.1\" does not match any of DNSNames [\"a.invalid\"]"#;
    refused(&site, &site.asking(), Some(&named), words).await
}

#[tokio::test]
async fn a_certificate_that_covers_no_host_may_come_from_anywhere() -> Result<()> {
    let site = Site::new()?;
    let anywhere =
        site.ca.issue("anywhere", &Wanted { common_name: "ada", ..Wanted::default() })?;
    let mut member = site.member(&site.asking());
    member.start()?;
    put(&member.client_url, site.options(Some(&anywhere))).await?;
    Ok(())
}

#[tokio::test]
async fn a_revoked_certificate_is_refused() -> Result<()> {
    let site = Site::new()?;
    let serial = Some(REVOKED);
    let wanted = Wanted { common_name: "ada", hosts: HERE, serial, ..Wanted::default() };
    let revoked = site.ca.issue("revoked", &wanted)?;
    let list = site.ca.revoke("revoked.crl", &[1, REVOKED])?;
    let mut flags = site.asking();
    flags.push(flag("client-crl-file", &list));
    let words = "transport: certificate serial 0bad revoked";
    refused(&site, &flags, Some(&revoked), words).await
}

#[tokio::test]
async fn only_allowed_hosts_are_let_in() -> Result<()> {
    let site = Site::new()?;
    let wanted = Wanted { common_name: "ada", hosts: HERE, ..Wanted::default() };
    let other = site.ca.issue("other", &wanted)?;
    let mut flags = site.asking();
    // The certificate of the site's own client covers the second.
    flags.push("--client-cert-allowed-hostname=b.example,localhost".to_owned());
    let words = "client certificate authentication failed";
    refused(&site, &flags, Some(&other), words).await
}

#[tokio::test]
async fn only_allowed_names_are_let_in() -> Result<()> {
    let site = Site::new()?;
    let wanted = Wanted { common_name: "eve", hosts: HERE, ..Wanted::default() };
    let eve = site.ca.issue("eve", &wanted)?;
    let mut flags = site.asking();
    flags.push("--client-cert-allowed-cn=bob,ada".to_owned());
    refused(&site, &flags, Some(&eve), "client certificate authentication failed").await
}

#[tokio::test]
async fn a_client_that_does_not_believe_the_server_says_so() -> Result<()> {
    let site = Site::new()?;
    let stranger = Authority::new(site.path(), "stranger")?;
    let mut member = site.member(&[]);
    member.start()?;
    let believes = ClientOptions { trusted_ca_file: Some(stranger.file()), ..Default::default() };
    let refused = put(&member.client_url, believes).await.map(drop).expect_err("not believed");
    let words = "tls: failed to verify certificate: x509: certificate signed by unknown authority";
    assert!(format!("{refused:#}").contains(words), "{refused:#}");
    member.wait_output("remote error: tls: unknown certificate authority")?;
    Ok(())
}

#[tokio::test]
async fn versions_and_suites_are_kept_to() -> Result<()> {
    let site = Site::new()?;
    let mut old = site.member(&["--tls-max-version=TLS1.2".to_owned()]);
    old.start()?;
    let mut only_new = site.options(None);
    only_new.versions.tls12 = false;
    assert!(put(&old.client_url, only_new.clone()).await.is_err());
    old.wait_output("tls: client offered only unsupported versions")?;
    put(&old.client_url, site.options(None)).await?;
    drop(old);

    let rsa = "--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256";
    let mut member = site.member(&[rsa.to_owned()]);
    member.start()?;
    let mut only_old = site.options(None);
    only_old.versions.tls13 = false;
    // The certificate's key is no RSA key, so in TLS 1.2 nothing is left.
    assert!(put(&member.client_url, only_old).await.is_err());
    member.wait_output("rejected connection on client endpoint")?;
    put(&member.client_url, only_new).await?;
    Ok(())
}
