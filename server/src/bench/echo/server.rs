//! The echo server: etcd's KV service whose answers are made in advance.

use std::io::Read;
use std::net::Ipv4Addr;
use std::pin::Pin;

use anyhow::Context;
use bytes::Bytes;
use futures::Stream;
use portunus_proto::etcdserverpb::kv_server::{Kv, KvServer};
use portunus_proto::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, RangeStreamResponse, ResponseHeader, TxnRequest,
    TxnResponse,
};
use portunus_proto::mvccpb::KeyValue;
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::bench::options::EchoServer;

/// As large as what a busy cluster answers with.
const HEADER: ResponseHeader = ResponseHeader {
    cluster_id: 0xcdf8_1819_4e3a_8c32,
    member_id: 0x8e9e_05c5_2164_694d,
    revision: 1_000_000,
    raft_term: 2,
};

#[derive(Clone, Debug)]
struct Echo {
    /// An encoded key-value of the sizes asked for.
    kv: Bytes,
}

/// Serves until stdin ends; the first line of stdout is the address.
pub fn serve(options: &EchoServer) -> anyhow::Result<()> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = options.server_threads {
        runtime.worker_threads(threads as usize);
    }
    runtime.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("{}", listener.local_addr()?);
        let parent_gone = tokio::task::spawn_blocking(|| {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        });
        tokio::select! {
            served = accept(listener, options.key_size, options.val_size) => served,
            _ = parent_gone => Ok(()),
        }
    })
}

async fn accept(listener: TcpListener, key_size: usize, val_size: usize) -> anyhow::Result<()> {
    let kv = KeyValue {
        key: vec![b'k'; key_size].into(),
        value: vec![b'v'; val_size].into(),
        create_revision: 1000,
        mod_revision: 1_000_000,
        version: 10,
        ..KeyValue::default()
    };
    let echo = Echo { kv: kv.encode_to_vec().into() };
    Server::builder()
        .add_service(KvServer::new(echo))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
        .await
        .context("serve")
}

/// Serves on the runtime of a test; returns where.
#[cfg(test)]
pub async fn start_here(key_size: usize, val_size: usize) -> std::io::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(accept(listener, key_size, val_size));
    Ok(format!("http://{address}"))
}

fn other<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the echo server only knows put and range"))
}

#[tonic::async_trait]
impl Kv for Echo {
    type RangeStreamStream =
        Pin<Box<dyn Stream<Item = Result<RangeStreamResponse, Status>> + Send>>;

    async fn put(&self, _: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        Ok(Response::new(PutResponse { header: Some(HEADER), ..PutResponse::default() }))
    }

    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        let count = match request.get_ref() {
            one if one.range_end.is_empty() => 1,
            many => many.limit.max(0),
        };
        let kvs = vec![self.kv.clone(); count as usize];
        Ok(Response::new(RangeResponse { header: Some(HEADER), kvs, count, more: false }))
    }

    async fn range_stream(
        &self,
        _: Request<RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        other()
    }

    async fn delete_range(
        &self,
        _: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        other()
    }

    async fn txn(&self, _: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        other()
    }

    async fn compact(
        &self,
        _: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        other()
    }
}
