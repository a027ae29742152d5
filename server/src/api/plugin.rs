//! The Plugin service of `portunus.v1`: puts a component on a prefix, takes it off, lists.

use portunus_proto::portunus::v1::plugin_server::Plugin;
use portunus_proto::portunus::v1::{
    DeployRequest, DeployResponse, ListRequest, ListResponse, RemoveRequest, RemoveResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::answer::{Headed, write};
use super::status;
use crate::decide;
use crate::node::Node;

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
        write(&self.node, request, decide::Request::Deploy).await
    }

    async fn remove(
        &self,
        request: Request<RemoveRequest>,
    ) -> Result<Response<RemoveResponse>, Status> {
        write(&self.node, request, decide::Request::Remove).await
    }

    async fn list(&self, _request: Request<ListRequest>) -> Result<Response<ListResponse>, Status> {
        let bindings = self.node.bindings().await.map_err(status::of)?;
        Ok(Response::new(ListResponse { header: None, bindings }.headed(&self.node)))
    }
}
