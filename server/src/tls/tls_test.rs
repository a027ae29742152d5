//! Both sides of a connection, against each other: what they agree on, what they refuse, and files
//! that change under them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::Connected;

use super::{
    Acceptor, Caller, ClientOptions, Connection, Dialer, Door, Incoming, LoadError, ServerOptions,
    Socket, Target, self_signed,
};

const NOW: u64 = 1_790_000_000_000;

struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        std::fs::write(dir.join("ca.pem"), issuer.pem()).expect("written");
        Self { issuer, dir: dir.to_owned() }
    }

    fn trusted(&self) -> Option<PathBuf> {
        Some(self.dir.join("ca.pem"))
    }

    /// A certificate of this common name for 127.0.0.1, written over what was there.
    fn issue(&self, file: &str, common_name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).expect("params");
        params.distinguished_name.push(rcgen::DnType::CommonName, common_name);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        let files = (self.dir.join(format!("{file}.pem")), self.dir.join(format!("{file}.key")));
        std::fs::write(&files.0, cert.pem()).expect("written");
        std::fs::write(&files.1, key.serialize_pem()).expect("written");
        files
    }
}

fn options((cert_file, key_file): (PathBuf, PathBuf)) -> ServerOptions {
    ServerOptions { cert_file, key_file, ..ServerOptions::default() }
}

/// A port behind a door, and its connections.
async fn port(door: Door) -> (Target, Incoming) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let sockets = futures::stream::unfold(listener, async |listener| {
        let accepted = listener.accept().await.map(|(socket, _)| Socket::from(socket));
        Some((accepted, listener))
    });
    let target = format!("https://{address}").parse().expect("a url");
    (target, Incoming::new(sockets, door))
}

fn door(options: ServerOptions, plain: bool) -> Door {
    let acceptor = Acceptor::new(options, &["h2"]).expect("usable files");
    Door { acceptor: Some(Arc::new(acceptor)), plain, peers: false }
}

/// Who calls, as the port sees it, when `dialer` does.
async fn caller(target: &Target, incoming: &mut Incoming, dialer: &Dialer) -> Caller {
    let (dialled, accepted) = tokio::join!(dialer.dial(target), incoming.next());
    let mut dialled = dialled.expect("connects");
    let mut accepted = accepted.expect("never ends").expect("accepted");
    exchange(&mut dialled, &mut accepted).await;
    accepted.connect_info()
}

async fn exchange(one: &mut Connection, other: &mut Connection) {
    one.write_all(b"ping").await.expect("written");
    one.flush().await.expect("flushed");
    let mut read = [0; 4];
    other.read_exact(&mut read).await.expect("read");
    assert_eq!(&read, b"ping");
}

#[tokio::test]
async fn a_certificate_made_for_itself_serves_those_who_do_not_look() {
    let dir = tempfile::tempdir().expect("a directory");
    let hosts = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let made = self_signed(&dir.path().join("fixtures"), &hosts, 2, NOW).expect("made");
    let again = self_signed(&dir.path().join("fixtures"), &hosts, 2, NOW).expect("is there");
    assert_eq!(made, again);
    let (target, mut incoming) = port(door(options((made.cert_file, made.key_file)), false)).await;
    let believing = ClientOptions { insecure_skip_verify: true, ..ClientOptions::default() };
    let caller = caller(&target, &mut incoming, &Dialer::new(believing)).await;
    assert_eq!((caller.secure, caller.name), (true, None));
}

#[tokio::test]
async fn callers_are_named_by_a_verified_certificate() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(dir.path());
    let served = ServerOptions {
        trusted_ca_file: ca.trusted(),
        client_cert_auth: true,
        ..options(ca.issue("server", "server"))
    };
    let shown = ClientOptions {
        identity: Some(ca.issue("client", "ada")),
        trusted_ca_file: ca.trusted(),
        ..ClientOptions::default()
    };
    let (target, mut incoming) = port(door(served.clone(), false)).await;
    let dialer = Dialer::new(shown);
    assert_eq!(caller(&target, &mut incoming, &dialer).await.name.as_deref(), Some("ada"));
    // Asked for and verified, yet nobody's name.
    let unnamed = ServerOptions { client_cert_auth: false, ..served };
    let (target, mut incoming) = port(door(unnamed, false)).await;
    assert_eq!(caller(&target, &mut incoming, &dialer).await.name, None);
}

#[tokio::test]
async fn new_files_are_for_new_connections_and_broken_ones_for_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(dir.path());
    let served = ServerOptions {
        trusted_ca_file: ca.trusted(),
        client_cert_auth: true,
        ..options(ca.issue("server", "server"))
    };
    let shown = ClientOptions {
        identity: Some(ca.issue("client", "ada")),
        trusted_ca_file: ca.trusted(),
        ..ClientOptions::default()
    };
    let (target, mut incoming) = port(door(served, false)).await;
    let dialer = Dialer::new(shown);
    assert_eq!(caller(&target, &mut incoming, &dialer).await.name.as_deref(), Some("ada"));
    ca.issue("client", "bob");
    ca.issue("server", "another");
    assert_eq!(caller(&target, &mut incoming, &dialer).await.name.as_deref(), Some("bob"));
    std::fs::write(dir.path().join("client.key"), "no key").expect("written");
    std::fs::write(dir.path().join("server.pem"), "no certificate").expect("written");
    assert_eq!(caller(&target, &mut incoming, &dialer).await.name.as_deref(), Some("bob"));
}

#[tokio::test]
async fn one_port_serves_both_and_tells_them_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(dir.path());
    let (target, mut incoming) = port(door(options(ca.issue("server", "s")), true)).await;
    let believing = ClientOptions { trusted_ca_file: ca.trusted(), ..ClientOptions::default() };
    assert!(caller(&target, &mut incoming, &Dialer::new(believing)).await.secure);
    let plain = Target { secure: false, ..target };
    let mut socket = TcpStream::connect(plain.authority()).await.expect("connects");
    socket.write_all(b"PRI ").await.expect("written");
    let mut accepted = incoming.next().await.expect("never ends").expect("accepted");
    let mut read = [0; 4];
    accepted.read_exact(&mut read).await.expect("read");
    assert_eq!((&read, accepted.connect_info().secure), (b"PRI ", false));
}

#[tokio::test]
async fn a_client_that_says_nothing_holds_up_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(dir.path());
    let (target, mut incoming) = port(door(options(ca.issue("server", "s")), false)).await;
    let _silent = TcpStream::connect(target.authority()).await.expect("connects");
    let believing = ClientOptions { trusted_ca_file: ca.trusted(), ..ClientOptions::default() };
    assert!(caller(&target, &mut incoming, &Dialer::new(believing)).await.secure);
}

#[tokio::test]
async fn a_server_must_be_who_it_was_called() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(dir.path());
    let (target, mut incoming) = port(door(options(ca.issue("server", "s")), false)).await;
    let dial = async |options: ClientOptions, target: Target| {
        let dialer = Dialer::new(options);
        dialer.dial(&target).await.map(drop).expect_err("refused").to_string()
    };
    let serving = tokio::spawn(async move { while incoming.next().await.is_some() {} });
    let known = ClientOptions { trusted_ca_file: ca.trusted(), ..ClientOptions::default() };
    let at_localhost: Target =
        target.to_string().replace("127.0.0.1", "localhost").parse().unwrap();
    assert_eq!(
        dial(known.clone(), at_localhost).await,
        "tls: failed to verify certificate: x509: certificate is valid for 127.0.0.1, not localhost"
    );
    let named = ClientOptions { allowed_names: vec!["t".into()], ..known.clone() };
    assert_eq!(dial(named, target.clone()).await, "server certificate is not one of those allowed");
    let other = tempfile::tempdir().expect("a directory");
    let stranger = Authority::new(other.path());
    let unknown = ClientOptions { trusted_ca_file: stranger.trusted(), ..known };
    assert_eq!(
        dial(unknown, target).await,
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    );
    serving.abort();
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let ca = Authority::new(dir.path());
    let (cert, key) = ca.issue("server", "s");
    let (_, other_key) = ca.issue("other", "o");
    let refused = |options: ServerOptions| {
        let refused = Acceptor::new(options, &["h2"]).err().expect("refused").to_string();
        refused.replace(&dir.path().display().to_string(), "DIR")
    };
    let absent = dir.path().join("absent");
    assert_eq!(
        refused(options((absent.clone(), key.clone()))),
        "open DIR/absent: no such file or directory"
    );
    assert_eq!(
        refused(options((cert.clone(), other_key))),
        "the private key in DIR/other.key does not match the certificate in DIR/server.pem"
    );
    assert_eq!(
        refused(options((key.clone(), key.clone()))),
        "DIR/server.key: holds no certificate in PEM form"
    );
    assert_eq!(
        refused(options((cert.clone(), cert.clone()))),
        "DIR/server.pem: holds no private key in PEM form"
    );
    let crl = ServerOptions {
        crl_file: Some(cert.clone()),
        trusted_ca_file: ca.trusted(),
        ..options((cert.clone(), key.clone()))
    };
    assert!(refused(crl).starts_with("DIR/server.pem: not a revocation list: "));
    let host = ServerOptions { allowed_hosts: vec!["no host".into()], ..options((cert, key)) };
    assert_eq!(refused(host), LoadError::Host("no host".into()).to_string());
}
