//! A name server of a few lines, and what is read from its answers.

use std::net::SocketAddr;

use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, Record};
use tokio::net::UdpSocket;

use super::{Names, Server, ordered};

fn record(priority: u16, weight: u16, port: u16) -> SRV {
    SRV::new(priority, weight, port, Name::from_ascii("host.example.").expect("a name"))
}

/// Answers every question about `name` with `records`, and says of others that there is nothing.
async fn name_server(name: &'static str, records: Vec<SRV>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut packet = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            let asked = Message::from_vec(&packet[..length]).expect("a question");
            let question = asked.queries[0].clone();
            let mut answer = Message::new(asked.metadata.id, MessageType::Response, OpCode::Query);
            answer.add_query(question.clone());
            if question.name().to_ascii().eq_ignore_ascii_case(name) {
                for record in &records {
                    let data = RData::SRV(record.clone());
                    answer.add_answer(Record::from_rdata(question.name().clone(), 1, data));
                }
            } else {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
            let answer = answer.to_vec().expect("encodes");
            socket.send_to(&answer, from).await.expect("sends");
        }
    });
    address
}

#[tokio::test]
async fn clients_are_sent_where_the_records_say() {
    let records = vec![record(20, 10, 2), record(10, 10, 1)];
    let server = name_server("_etcd-client._tcp.etcd.example.", records).await;
    let names = Names::of_server(server).expect("set up");
    let urls = names.client_urls("etcd.example", "").await.expect("found");
    assert_eq!(urls, ["http://host.example:1", "http://host.example:2"]);
    let refused = names.client_urls("other.example", "").await.expect_err("nobody is there");
    assert!(refused.to_string().contains("_etcd-client-ssl._tcp.other.example."), "{refused}");
}

#[tokio::test]
async fn a_service_may_have_a_name_and_tls() {
    let records = vec![record(1, 1, 2379)];
    let server = name_server("_etcd-client-ssl-blue._tcp.etcd.example.", records).await;
    let names = Names::of_server(server).expect("set up");
    let urls = names.client_urls("etcd.example.", "blue").await.expect("found");
    assert_eq!(urls, ["https://host.example:2379"]);
}

#[test]
fn priority_comes_before_weight_and_weight_counts() {
    let mut heavy_first = 0;
    for _ in 0..1000 {
        let records = vec![record(2, 60_000, 9), record(1, 99, 1), record(1, 0, 2)];
        let servers = ordered(records, &mut rand::rng());
        assert_eq!(servers.len(), 3);
        assert_eq!(servers[2], Server { host: "host.example".to_owned(), port: 9 });
        heavy_first += usize::from(servers[0].port == 1);
    }
    assert!((900..1000).contains(&heavy_first), "100 to 1, but {heavy_first} of 1000");
}
