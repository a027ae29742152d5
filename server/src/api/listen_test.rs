//! URLs as etcd's flags have them, and sockets that outlive their server.

use std::path::PathBuf;

use super::{Address, AddressError, Listener};

fn tcp(host: &str, port: u16) -> Result<Address, AddressError> {
    Ok(Address::Tcp { host: host.into(), port })
}

#[test]
fn urls_become_addresses() {
    let cases = [
        ("http://127.0.0.1:2379", tcp("127.0.0.1", 2379)),
        ("http://localhost:2379/", tcp("localhost", 2379)),
        ("http://:2379", tcp("", 2379)),
        ("http://[::1]:0", tcp("::1", 0)),
        ("unix://localhost:20000", Ok(Address::Unix(PathBuf::from("localhost:20000")))),
        ("unix:///run/p.sock", Ok(Address::Unix(PathBuf::from("/run/p.sock")))),
        ("https://h:1", tcp("h", 1)),
    ];
    for (url, expected) in cases {
        assert_eq!(url.parse::<Address>(), expected, "{url}");
    }
}

#[test]
fn what_is_no_url_is_refused_by_name() {
    for url in ["", "127.0.0.1:2379", "http://host", "http://h:99999", "http://::1:5", "unix://"] {
        assert_eq!(url.parse::<Address>(), Err(AddressError::Malformed(url.into())));
    }
}

#[tokio::test]
async fn localhost_is_bound_and_says_its_port() {
    let address: Address = "http://localhost:0".parse().expect("an address");
    let listener = Listener::bind(&address, false).await.expect("binds");
    let local = listener.local_addr().expect("tcp");
    assert!(local.ip().is_loopback());
    assert_ne!(local.port(), 0);
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let address = Address::Unix(dir.path().join("client.sock"));
    let first = Listener::bind(&address, false).await.expect("binds");
    let taken = Listener::bind(&address, false).await.expect_err("somebody listens");
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    drop(first);
    Listener::bind(&address, false).await.expect("nobody listens any more");
}

#[tokio::test]
async fn another_file_in_the_way_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("precious");
    std::fs::write(&path, "data").expect("writes");
    let refused = Listener::bind(&Address::Unix(path.clone()), false).await;
    assert!(refused.is_err());
    assert_eq!(std::fs::read(&path).expect("still there"), b"data");
}
