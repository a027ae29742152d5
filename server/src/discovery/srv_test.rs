//! A name server of a few records, asked over the loopback.

use std::net::{Ipv4Addr, SocketAddr};

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, SRV};
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;

use super::{Query, initial_cluster};
use crate::config::Url;
use crate::srv::Names;

fn srv(service: &str, host: &str, port: u16) -> (String, RData) {
    let target: Name = host.parse().unwrap();
    (format!("{service}._tcp.example.test."), RData::SRV(SRV::new(0, 0, port, target)))
}

fn a(host: &str, last: u8) -> (String, RData) {
    (host.to_owned(), RData::A(A(Ipv4Addr::new(127, 0, 0, last))))
}

/// Answers questions from `zone` for as long as the test runs.
async fn serve(zone: Vec<(String, RData)>) -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await.unwrap();
    let at = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 1024];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let asked = Message::from_vec(&buffer[..length]).unwrap();
            let query = asked.queries[0].clone();
            let mut answer = asked.into_response();
            for (name, data) in &zone {
                let same = query.name().to_ascii() == *name;
                if same && data.record_type() == query.query_type() {
                    let name = query.name().clone();
                    answer.add_answer(Record::from_rdata(name, 60, data.clone()));
                }
            }
            if zone.iter().all(|(name, _)| query.name().to_ascii() != *name) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    });
    at
}

async fn find(zone: Vec<(String, RData)>, service: &str, own: &str) -> Result<String, String> {
    let server = serve(zone).await;
    let names = Names::of_server(server).unwrap();
    let advertised = Url::parse_list(own).unwrap();
    let query = Query { domain: "example.test", service, name: "infra1", advertised: &advertised };
    initial_cluster(&query, &names).await.map_err(|error| error.to_string())
}

fn hosts() -> Vec<(String, RData)> {
    vec![a("one.example.test.", 1), a("two.example.test.", 2)]
}

#[tokio::test]
async fn the_records_list_the_members_and_an_address_tells_which_is_this_one() {
    let mut zone = hosts();
    zone.push(srv("_etcd-server", "one.example.test.", 2380));
    zone.push(srv("_etcd-server", "two.example.test.", 2381));
    let found = find(zone.clone(), "", "http://two.example.test:2381").await;
    let list = "0=http://one.example.test:2380,infra1=http://two.example.test:2381";
    assert_eq!(found.as_deref(), Ok(list));
    // The address counts, however it is written.
    assert_eq!(find(zone, "", "http://127.0.0.2:2381").await.as_deref(), Ok(list));
}

#[tokio::test]
async fn secure_members_and_named_services_have_records_of_their_own() {
    let mut zone = hosts();
    zone.push(srv("_etcd-server-ssl-blue", "one.example.test.", 2380));
    zone.push(srv("_etcd-server", "two.example.test.", 2380));
    let found = find(zone.clone(), "blue", "https://127.0.0.1:2380").await;
    assert_eq!(found.as_deref(), Ok("infra1=https://one.example.test:2380"));
    let said = find(zone, "blue", "http://127.0.0.1:2380").await.unwrap_err();
    assert_eq!(
        said,
        "bootstrap at https://one.example.test:2380 from DNS for etcd-server-ssl has scheme \
         mismatch with expected peer http://127.0.0.1:2380"
    );
}

#[tokio::test]
async fn no_records_and_none_for_this_member_are_refused() {
    let said = find(hosts(), "", "http://127.0.0.1:2380").await.unwrap_err();
    let prefix = "error querying DNS SRV records for _etcd-server-ssl._tcp.example.test: ";
    assert!(said.starts_with(prefix) && said.contains("_etcd-server._tcp.example.test"), "{said}");
    let mut zone = hosts();
    zone.push(srv("_etcd-server", "one.example.test.", 2380));
    let said = find(zone, "", "http://127.0.0.1:9999").await.unwrap_err();
    assert_eq!(said, "cannot find local etcd member \"infra1\" in SRV records");
    let said = find(hosts(), "", "http://nowhere.example.test:1").await.unwrap_err();
    assert!(said.starts_with("couldn't resolve host nowhere.example.test during SRV"), "{said}");
}
