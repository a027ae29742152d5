//! The Plugin service of `portunus.v1`.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use portunus_proto::portunus::v1::inspect_request::What;
use portunus_proto::portunus::v1::plugin_server::Plugin;
use portunus_proto::portunus::v1::{
    BlameRequest, BlameResponse, DeployRequest, DeployResponse, ExplainRequest, ExplainResponse,
    InspectRequest, InspectResponse, ListRequest, ListResponse, LogsRequest, LogsResponse,
    RemoveRequest, RemoveResponse, ResumeTriggerRequest, ResumeTriggerResponse, RollbackRequest,
    RollbackResponse, SetModeRequest, SetModeResponse, SkipTriggerRequest, SkipTriggerResponse,
    StatusRequest, StatusResponse,
};
use tonic::{Request, Response, Status, async_trait};

use super::convert::{generation, invalid, listed, mode, named, wanted};
use super::{explain, facts, logs};
use crate::api::answer::Headed;
use crate::api::caller::acting;
use crate::api::ending::Ending;
use crate::api::status;
use crate::node::Node;

/// Revisions that blame shows where the client says nothing, and at most.
const BLAMED: u32 = 100;
const BLAMED_MAX: u32 = 1000;

/// Serves our Plugin service.
pub struct PluginService {
    pub node: Node,
    pub ending: Ending,
}

impl PluginService {
    /// The node on behalf of a caller that must be root: who sees or changes plugins sees all
    /// that they do.
    async fn of_root<T>(&self, request: &Request<T>) -> Result<(Node, String), Status> {
        let node = acting(&self.node, request);
        node.check_root().await.map_err(status::of)?;
        let caller = node.user().unwrap_or_default();
        Ok((node, caller))
    }

    fn answer<M: Headed>(&self, message: M) -> Response<M> {
        Response::new(message.headed(&self.node))
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[async_trait]
impl Plugin for PluginService {
    async fn deploy(&self, request: Request<DeployRequest>) -> Answer<DeployResponse> {
        let (node, caller) = self.of_root(&request).await?;
        let DeployRequest { plugins, from_revision } = request.into_inner();
        let plugins = plugins.into_iter().map(wanted).collect::<Result<_, _>>()?;
        let deployed = node.deploy(plugins, from_revision, caller).await.map_err(status::of)?;
        let plugins = deployed.iter().map(generation).collect();
        Ok(self.answer(DeployResponse { header: None, plugins }))
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Answer<RemoveResponse> {
        let (node, caller) = self.of_root(&request).await?;
        let name = request.into_inner().name;
        node.undeploy(name, caller).await.map_err(status::of)?;
        Ok(self.answer(RemoveResponse { header: None }))
    }

    async fn rollback(&self, request: Request<RollbackRequest>) -> Answer<RollbackResponse> {
        let (node, caller) = self.of_root(&request).await?;
        let RollbackRequest { name, to_generation } = request.into_inner();
        let to = (to_generation != 0).then_some(to_generation);
        let current = node.roll_back(name, to, caller).await.map_err(status::of)?;
        Ok(self.answer(RollbackResponse { header: None, current: Some(generation(&current)) }))
    }

    async fn set_mode(&self, request: Request<SetModeRequest>) -> Answer<SetModeResponse> {
        let (node, caller) = self.of_root(&request).await?;
        let SetModeRequest { name, binding_id, mode: number } = request.into_inner();
        let (binding, mode) = (named(binding_id), mode(number)?);
        let current = node.set_mode(name, binding, mode, caller).await.map_err(status::of)?;
        Ok(self.answer(SetModeResponse { header: None, current: Some(generation(&current)) }))
    }

    async fn list(&self, request: Request<ListRequest>) -> Answer<ListResponse> {
        let (node, _) = self.of_root(&request).await?;
        let plugins = node.plugins().await.map_err(status::of)?;
        let plugins = plugins.iter().map(listed).collect();
        Ok(self.answer(ListResponse { header: None, plugins }))
    }

    async fn inspect(&self, request: Request<InspectRequest>) -> Answer<InspectResponse> {
        let (node, _) = self.of_root(&request).await?;
        let found = match request.into_inner().what {
            Some(What::Component(component)) => node.inspect_component(component).await,
            Some(What::Name(name)) => node.inspect_plugin(&name).await,
            None => return Err(invalid("there is nothing to inspect: give a component or a name")),
        };
        Ok(self.answer(facts::inspection(found.map_err(status::of)?)))
    }

    async fn status(&self, request: Request<StatusRequest>) -> Answer<StatusResponse> {
        let (node, _) = self.of_root(&request).await?;
        let name = named(request.into_inner().name);
        let facts = node.plugin_facts(name.as_deref()).await.map_err(status::of)?;
        let (member, leads) = node.whose_figures();
        Ok(self.answer(StatusResponse {
            header: None,
            counted_by: member.0,
            counted_by_leader: leads,
            bindings: facts.into_iter().map(facts::status).collect(),
        }))
    }

    type LogsStream = BoxStream<'static, Result<LogsResponse, Status>>;

    async fn logs(&self, request: Request<LogsRequest>) -> Answer<Self::LogsStream> {
        let (node, _) = self.of_root(&request).await?;
        let end = self.ending.of(request.metadata());
        let LogsRequest { name, follow, tail } = request.into_inner();
        let diary = node.diary(&name).await.map_err(status::of)?;
        let lines = logs::stream(diary, tail as usize, follow);
        Ok(Response::new(end.cut(lines).boxed()))
    }

    async fn explain(&self, request: Request<ExplainRequest>) -> Answer<ExplainResponse> {
        let node = acting(&self.node, &request);
        let caller = node.user();
        let txn = request.into_inner().txn.ok_or_else(|| invalid("there is no txn to explain"))?;
        node.check_txn(&txn).await.map_err(status::of)?;
        let explained = node.explain(txn, caller).await.map_err(status::of)?;
        Ok(self.answer(explain::explained(explained)))
    }

    async fn resume_trigger(
        &self,
        request: Request<ResumeTriggerRequest>,
    ) -> Answer<ResumeTriggerResponse> {
        let (node, caller) = self.of_root(&request).await?;
        let ResumeTriggerRequest { name, binding_id } = request.into_inner();
        let resumed = node.resume_triggers(&name, named(binding_id), caller).await;
        let binding_ids = resumed.map_err(status::of)?;
        Ok(self.answer(ResumeTriggerResponse { header: None, binding_ids }))
    }

    async fn skip_trigger(
        &self,
        request: Request<SkipTriggerRequest>,
    ) -> Answer<SkipTriggerResponse> {
        let (node, caller) = self.of_root(&request).await?;
        let SkipTriggerRequest { name, binding_id, to_revision } = request.into_inner();
        let to = (to_revision != 0).then_some(to_revision);
        let skipped = node.skip_trigger(&name, named(binding_id), to, caller).await;
        let state = skipped.map_err(status::of)?;
        let (binding_id, cursor) = (state.binding, state.cursor);
        Ok(self.answer(SkipTriggerResponse { header: None, binding_id, cursor }))
    }

    async fn blame(&self, request: Request<BlameRequest>) -> Answer<BlameResponse> {
        let node = acting(&self.node, &request);
        let BlameRequest { key, limit } = request.into_inner();
        if key.is_empty() {
            return Err(status::of(crate::decide::Refusal::EmptyKey.into()));
        }
        let limit = if limit == 0 { BLAMED } else { limit.min(BLAMED_MAX) } as usize;
        node.check_range(&key, &Bytes::new()).await.map_err(status::of)?;
        let found = node.blame_revisions(key, limit).await.map_err(status::of)?;
        let revisions = found.into_iter().map(facts::blamed).collect();
        Ok(self.answer(BlameResponse { header: None, revisions }))
    }
}
