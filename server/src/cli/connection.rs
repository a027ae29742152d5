//! The way to a cluster, for commands that are its clients.

use std::time::Duration;

use crate::dial::Channel;
use anyhow::bail;
use clap::Args;
use portunus_proto::etcdserverpb::cluster_client::ClusterClient;
use portunus_proto::etcdserverpb::maintenance_client::MaintenanceClient;
use portunus_proto::etcdserverpb::{MemberListRequest, StatusRequest};
use tonic::{Code, Status};

use crate::dial::{ConnectError, Security, Server};

/// A server that does not accept by then is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Compiling a large component takes seconds.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Where the cluster listens.
#[derive(Clone, Debug, Args)]
pub struct Servers {
    /// Where the cluster listens; the first that accepts is asked
    #[arg(long, value_delimiter = ',', default_value = "127.0.0.1:2379")]
    pub endpoints: Vec<String>,
    #[command(flatten)]
    pub security: Security,
}

/// Connects to the first endpoint that accepts. Calls have no time limit.
pub async fn connect(servers: &Servers) -> anyhow::Result<Channel> {
    let mut failures = Vec::new();
    for endpoint in &servers.endpoints {
        match server(&servers.security, endpoint)?.connect().await {
            Ok(channel) => return Ok(channel),
            Err(error @ ConnectError::Login(_)) => return Err(error.into()),
            Err(error) => failures.push(format!("{endpoint}: {:#}", anyhow::Error::from(error))),
        }
    }
    bail!(
        "no server answers ({}); start one with: portunus, or name it with --endpoints",
        failures.join("; ")
    )
}

/// Connects to the leader, since that is where plugins run. Where it cannot be reached the member
/// that was found will do, and the caller of the command is told.
pub async fn connect_to_leader(servers: &Servers) -> anyhow::Result<Channel> {
    let first = connect(servers).await?;
    match leader_urls(&first).await {
        Ok(None) => Ok(first),
        Ok(Some(urls)) => {
            for url in &urls {
                if let Ok(server) = server(&servers.security, url)
                    && let Ok(channel) = server.connect().await
                {
                    return Ok(channel);
                }
            }
            eprintln!(
                "the leader cannot be reached at {}; this is what another member knows",
                urls.join(", ")
            );
            Ok(first)
        }
        Err(status) => {
            eprintln!(
                "who leads is not known ({}); this is what one member knows",
                status.message()
            );
            Ok(first)
        }
    }
}

/// Where clients reach the leader; `None` when that is the member asked.
async fn leader_urls(channel: &Channel) -> Result<Option<Vec<String>>, Status> {
    let mut maintenance = MaintenanceClient::new(channel.clone());
    let status = maintenance.status(StatusRequest::default()).await?.into_inner();
    let own = status.header.map_or(0, |header| header.member_id);
    if status.leader == own {
        return Ok(None);
    }
    let mut cluster = ClusterClient::new(channel.clone());
    let members = cluster.member_list(MemberListRequest::default()).await?.into_inner().members;
    let leader = members.into_iter().find(|member| member.id == status.leader);
    Ok(Some(leader.map(|leader| leader.client_urls).unwrap_or_default()))
}

fn server(security: &Security, endpoint: &str) -> anyhow::Result<Server> {
    let server = Server::new(security, endpoint)?;
    Ok(server.with(|endpoint| endpoint.connect_timeout(CONNECT_TIMEOUT)))
}

/// A request that gives up after [`CALL_TIMEOUT`].
pub fn timed<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.set_timeout(CALL_TIMEOUT);
    request
}

/// What the server said, and what to do where that is known.
pub fn refused(status: &Status) -> anyhow::Error {
    let advice = match status.code() {
        Code::Unimplemented => "; --endpoints must name portunus servers",
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            "; it may have happened, look before you try again"
        }
        _ => "",
    };
    anyhow::anyhow!("{}{advice}", status.message())
}
