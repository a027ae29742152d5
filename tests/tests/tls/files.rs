//! Files that cannot be used when a member starts, and files that change while it runs.

use anyhow::Result;
use portunus_tests::certificates::{Authority, Wanted};
use portunus_tests::eventually;

use crate::site::{REVOKED, Site, flag, put};

/// What a member that does not start says, without the directory.
fn start_refused(site: &Site, flags: &[String]) -> Result<String> {
    let mut member = site.member(flags);
    member.launch()?;
    let status = member.wait()?;
    assert!(!status.success(), "it started");
    assert!(!member.data_dir.exists(), "something was written");
    let dir = site.path().display().to_string();
    Ok(member.output().replace(&dir, "DIR"))
}

#[test]
fn what_cannot_be_used_is_named_and_nothing_starts() -> Result<()> {
    let site = Site::new()?;
    let other = site.ca.issue("other", &Wanted::default())?;
    let absent = site.path().join("absent.pem");
    let cases = [
        (vec![flag("cert-file", &absent)], "open DIR/absent.pem: no such file or directory"),
        (
            vec![flag("key-file", &other.key)],
            "the private key in DIR/other.key does not match the certificate in DIR/server.pem",
        ),
        (vec![flag("trusted-ca-file", &absent)], "open DIR/absent.pem: no such file or directory"),
        (
            vec![flag("trusted-ca-file", &site.server.key)],
            "DIR/server.key: holds no certificate in PEM form",
        ),
        (
            vec![
                flag("trusted-ca-file", &site.ca.file()),
                flag("client-crl-file", &site.server.cert),
            ],
            "DIR/server.pem: not a revocation list",
        ),
        (
            vec!["--key-file=".to_owned()],
            "--cert-file and --key-file must both be present[cert: DIR/server.pem, key: ]",
        ),
        (
            vec!["--cert-file=".to_owned(), "--key-file=".to_owned()],
            "TLS key/cert (--cert-file, --key-file) must be provided for client url https://",
        ),
        (
            vec!["--cipher-suites=TLS_NOTHING".to_owned()],
            "unexpected TLS cipher suite \"TLS_NOTHING\"",
        ),
        (
            vec!["--peer-cert-allowed-cn=a".into(), "--peer-cert-allowed-hostname=b".into()],
            "--peer-cert-allowed-cn and --peer-cert-allowed-hostname are mutually exclusive",
        ),
    ];
    for (flags, words) in cases {
        let said = start_refused(&site, &flags)?;
        assert!(said.contains(words), "{flags:?}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_new_certificate_is_shown_and_a_broken_one_is_not() -> Result<()> {
    let site = Site::new()?;
    let mut member = site.member(&[]);
    member.start()?;
    let url = member.client_url.clone();
    let mut before = put(&url, site.options(None)).await?;
    // Good for another host alone: whoever connects anew notices.
    let elsewhere = Wanted { hosts: &["a.example"], ..Wanted::default() };
    site.ca.issue("server", &elsewhere)?;
    let refused = put(&url, site.options(None)).await.map(drop).expect_err("another certificate");
    let words = "x509: certificate is valid for a.example, not 127.0.0.1";
    assert!(format!("{refused:#}").contains(words), "{refused:#}");
    member.wait_output("loaded changed tls files")?;
    before.kv.put(portunus_proto::etcdserverpb::PutRequest::default()).await.expect_err("no key");
    site.ca.issue("server", &Wanted { hosts: &["127.0.0.1"], ..Wanted::default() })?;
    put(&url, site.options(None)).await?;
    std::fs::write(&site.server.cert, "no certificate")?;
    put(&url, site.options(None)).await?;
    member.wait_output("changed tls files cannot be used, kept the old")?;
    Ok(())
}

#[tokio::test]
async fn a_new_authority_and_a_new_revocation_hold_at_once() -> Result<()> {
    let site = Site::new()?;
    let list = site.ca.revoke("list.crl", &[])?;
    let mut flags = site.asking();
    flags.push(flag("client-crl-file", &list));
    let mut member = site.member(&flags);
    member.start()?;
    let url = member.client_url.clone();
    let wanted = Wanted { common_name: "ada", serial: Some(REVOKED), ..Wanted::default() };
    let ada = site.ca.issue("ada", &wanted)?;
    put(&url, site.options(Some(&ada))).await?;
    site.ca.revoke("list.crl", &[REVOKED])?;
    assert!(put(&url, site.options(Some(&ada))).await.is_err());
    member.wait_output("transport: certificate serial 0bad revoked")?;
    put(&url, site.options(Some(&site.client))).await?;

    // The next authority beside the first, as when authorities are changed without a stop.
    let next = Authority::new(site.path(), "next")?;
    let bob = next.issue("bob", &Wanted { common_name: "bob", ..Wanted::default() })?;
    assert!(put(&url, site.options(Some(&bob))).await.is_err());
    let both = std::fs::read_to_string(site.ca.file())? + &std::fs::read_to_string(next.file())?;
    std::fs::write(site.ca.file(), both)?;
    put(&url, site.options(Some(&bob))).await?;
    eventually("both may come in", async || {
        put(&url, site.options(Some(&site.client))).await.map(drop)
    })
    .await;
    Ok(())
}
