//! What is refused before anything is served, and with which words.

use anyhow::Result;
use portunus_tests::certificates::{Authority, Wanted};
use portunus_tests::free_ports;

use crate::fixture::run;

#[test]
fn bad_flags_are_refused_with_the_one_to_mend() -> Result<()> {
    let dir = tempfile::tempdir()?;
    for (words, code, part) in [
        (&["proxy", "--endpoint=a:1"][..], 2, "--endpoints"),
        (&["proxy", "--endpoints=a:1", "--discovery-srv=x"], 2, "--discovery-srv"),
        (&["proxy", "--cert-file=c.pem"], 2, "--key-file"),
        (&["proxy", "--dial-keepalive-time=5"], 2, "the unit is missing"),
        (&["proxy", "--endpoints=nowhere"], 1, "--endpoints"),
        (&["proxy", "--listen-addr=nowhere"], 1, "--listen-addr"),
        (&["proxy", "--trusted-ca-file=ca.pem"], 1, "--cert-file"),
        (&["proxy", "--cert=c.pem"], 1, "--cert needs its private key"),
        (&["proxy", "--listen-addr=127.0.0.1:0", "--cacert=absent.pem"], 1, "absent.pem"),
        (
            &["proxy", "--listen-addr=127.0.0.1:0", "--cert-file=no.pem", "--key-file=no.key"],
            1,
            "no.pem",
        ),
        (&["grpc-proxy", "start", "--resolver-prefix=x"], 2, "--resolver-prefix"),
        (&["gateway", "start", "--retry-delay=soon"], 2, "expected a duration"),
        (&["gateway", "--endpoints=nowhere", "--listen-addr=127.0.0.1:0"], 1, "nowhere"),
        (&["proxie"], 2, "did you mean proxy?"),
    ] {
        let (found, text) = run(words, dir.path())?;
        assert_eq!(found, Some(code), "{words:?}: {text}");
        assert!(text.contains(part), "{words:?}: {text}");
    }
    Ok(())
}

#[test]
fn a_proxy_does_not_lend_its_name_to_everybody() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let named = ca.issue("named", &Wanted { common_name: "root", ..Wanted::default() })?;
    let (cert, key) = (named.cert.display().to_string(), named.key.display().to_string());
    let flags = ["proxy", "--listen-addr=127.0.0.1:0", "--cert", &cert, "--key", &key];
    let (code, text) = run(&flags, dir.path())?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("cert has non empty Common Name (root): {cert}")), "{text}");
    let (code, text) = run(&[&flags[..3], &[&key, "--key", &key]].concat(), dir.path())?;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("holds no certificate"), "{text}");
    Ok(())
}

#[test]
fn a_port_in_use_is_told() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let [port] = free_ports();
    let taken = std::net::TcpListener::bind(("127.0.0.1", port))?;
    let listen = format!("--listen-addr=127.0.0.1:{port}");
    for command in ["proxy", "gateway"] {
        let (code, text) = run(&[command, &listen], dir.path())?;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("stop what listens there"), "{text}");
    }
    drop(taken);
    Ok(())
}
