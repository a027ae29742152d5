//! The Plugin service of `portunus.v1`: puts a component on a prefix, takes it off, lists.

use bytes::Bytes;
use portunus_proto::portunus::v1::plugin_server::Plugin;
use portunus_proto::portunus::v1::{
    self as pb, DeployRequest, DeployResponse, ListRequest, ListResponse, RemoveRequest,
    RemoveResponse,
};
use sha2::{Digest, Sha256};
use tonic::{Request, Response, Status, async_trait};

use super::answer::{Headed, header_at};
use super::status;
use crate::decide::{self, Reply};
use crate::effect::{Binding, Component, FailurePolicy};
use crate::node::Node;

/// Serves our Plugin service.
pub struct PluginService {
    pub node: Node,
}

#[async_trait]
impl Plugin for PluginService {
    /// Stores the component, then binds it. A failure in between leaves a component that nothing
    /// uses; deploying again finds it stored.
    async fn deploy(
        &self,
        request: Request<DeployRequest>,
    ) -> Result<Response<DeployResponse>, Status> {
        let DeployRequest { name, component, prefix, config, fail_open } = request.into_inner();
        let digest = Bytes::copy_from_slice(&Sha256::digest(&component));
        let component = Component { digest: digest.clone(), bytes: component };
        self.done(decide::Request::StoreComponent(component)).await?;
        let on_failure = if fail_open { FailurePolicy::Open } else { FailurePolicy::Closed };
        let binding = Binding { name, digest: digest.clone(), prefix, config, on_failure };
        let revision = self.done(decide::Request::Bind(binding)).await?;
        let header = Some(header_at(revision, &self.node));
        Ok(Response::new(DeployResponse { header, digest }))
    }

    async fn remove(
        &self,
        request: Request<RemoveRequest>,
    ) -> Result<Response<RemoveResponse>, Status> {
        let RemoveRequest { name } = request.into_inner();
        let revision = self.done(decide::Request::Unbind { name }).await?;
        Ok(Response::new(RemoveResponse { header: Some(header_at(revision, &self.node)) }))
    }

    async fn list(&self, _request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        self.node.linearizable().await.map_err(status::of)?;
        let bindings = self.node.bindings().into_iter().map(wire_binding).collect();
        Ok(Response::new(ListResponse { header: None, bindings }.headed(&self.node)))
    }
}

impl PluginService {
    /// Has a change decided that has nothing to tell but the revision it saw.
    async fn done(&self, request: decide::Request) -> Result<i64, Status> {
        match self.node.write(request).await.map_err(status::of)? {
            Reply::Done { revision } => Ok(revision),
            _ => Err(status::answer_of_another_kind()),
        }
    }
}

fn wire_binding(binding: Binding) -> pb::Binding {
    pb::Binding {
        name: binding.name,
        digest: binding.digest,
        prefix: binding.prefix,
        config: binding.config,
        fail_open: binding.on_failure == FailurePolicy::Open,
    }
}
