//! The Recipe service of `portunus.v1`. A call may wait for as long as its client does: when that
//! goes away, or its deadline passes, the call is called off.

use portunus_proto::portunus::v1::recipe_server::Recipe;
use portunus_proto::portunus::v1::{CallRequest, CallResponse};
use prost::Message;
use tonic::{Request, Response, Status, async_trait};

use crate::api::answer::header_at;
use crate::api::caller::acting;
use crate::api::status;
use crate::decide::RecipeCall;
use crate::node::Node;

/// Serves our Recipe service.
pub struct RecipeService {
    pub node: Node,
}

#[async_trait]
impl Recipe for RecipeService {
    async fn call(&self, request: Request<CallRequest>) -> Result<Response<CallResponse>, Status> {
        let node = acting(&self.node, &request);
        let message = request.into_inner();
        if message.encoded_len() > self.node.max_request_bytes() {
            return Err(status::request_too_large());
        }
        let CallRequest { plugin, function, payload } = message;
        let call =
            RecipeCall { plugin, function, payload, caller: node.user().unwrap_or_default() };
        let called = node.call_recipe(call).await.map_err(status::of)?;
        let header = Some(header_at(called.revision, &self.node));
        Ok(Response::new(CallResponse { header, payload: called.payload }))
    }
}
