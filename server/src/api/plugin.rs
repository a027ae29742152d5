//! The Plugin service of `portunus.v1`: puts a component on a prefix, takes it off, lists.

use portunus_proto::portunus::v1::plugin_server::Plugin;
use portunus_proto::portunus::v1::{
    self as pb, DeployRequest, DeployResponse, ListRequest, ListResponse, RemoveRequest,
    RemoveResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::{Headed, header_at};
use super::status;
use crate::effect::{Binding, FailurePolicy};
use crate::node::{Deployment, Node};

/// Serves our Plugin service.
pub struct PluginService {
    pub node: Node,
}

#[async_trait]
impl Plugin for PluginService {
    async fn deploy(
        &self,
        request: Request<DeployRequest>,
    ) -> Result<Response<DeployResponse>, Status> {
        let DeployRequest { name, component, prefix, config, fail_open } = request.into_inner();
        let on_failure = if fail_open { FailurePolicy::Open } else { FailurePolicy::Closed };
        let deployment = Deployment { name, component, prefix, config, on_failure };
        let deployed = self.node.deploy(deployment).await.map_err(status::of)?;
        let header = Some(header_at(deployed.revision, &self.node));
        Ok(Response::new(DeployResponse { header, digest: deployed.digest }))
    }

    async fn remove(
        &self,
        request: Request<RemoveRequest>,
    ) -> Result<Response<RemoveResponse>, Status> {
        let RemoveRequest { name } = request.into_inner();
        let revision = self.node.remove_binding(name).await.map_err(status::of)?;
        Ok(Response::new(RemoveResponse { header: Some(header_at(revision, &self.node)) }))
    }

    async fn list(&self, _request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let bindings = self.node.bindings().await.map_err(status::of)?;
        let bindings = bindings.into_iter().map(wire_binding).collect();
        Ok(Response::new(ListResponse { header: None, bindings }.headed(&self.node)))
    }
}

fn wire_binding(binding: Binding) -> pb::Binding {
    pb::Binding {
        name: binding.plugin,
        digest: binding.digest,
        prefix: binding.prefix,
        config: binding.config,
        fail_open: binding.on_failure == FailurePolicy::Open,
    }
}
