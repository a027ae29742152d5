//! Deploying plugins into members under test.

use anyhow::Result;
use portunus_proto::portunus::v1::deployed_plugin::Source;
use portunus_proto::portunus::v1::plugin_client::PluginClient;
use portunus_proto::portunus::v1::recipe_client::RecipeClient;
use portunus_proto::portunus::v1::{
    Binding, CallRequest, DeployRequest, DeployedPlugin, Generation, ListRequest, ListedPlugin,
    Point,
};
use tonic::Status;
use tonic::transport::Channel;

/// Clients of our services about plugins on one member.
#[derive(Clone)]
pub struct Plugins {
    pub client: PluginClient<Channel>,
    pub recipes: RecipeClient<Channel>,
}

impl Plugins {
    pub async fn connect(url: &str) -> Result<Self> {
        let client = PluginClient::connect(url.to_owned()).await?;
        Ok(Self { client, recipes: RecipeClient::connect(url.to_owned()).await? })
    }

    /// Deploys all of them or none.
    pub async fn deploy(
        &mut self,
        plugins: Vec<DeployedPlugin>,
    ) -> Result<Vec<Generation>, Status> {
        let request = DeployRequest { plugins, from_revision: None };
        Ok(self.client.deploy(request).await?.into_inner().plugins)
    }

    pub async fn list(&mut self) -> Result<Vec<ListedPlugin>, Status> {
        Ok(self.client.list(ListRequest {}).await?.into_inner().plugins)
    }

    /// Calls a recipe.
    pub async fn call(
        &mut self,
        plugin: &str,
        function: &str,
        payload: &str,
    ) -> Result<String, Status> {
        let (plugin, function) = (plugin.to_owned(), function.to_owned());
        let request = CallRequest { plugin, function, payload: payload.to_owned().into() };
        let payload = self.recipes.call(request).await?.into_inner().payload;
        Ok(String::from_utf8_lossy(&payload).into_owned())
    }
}

/// A binding with nothing special about it.
pub fn binding(point: Point, prefix: &str) -> Binding {
    Binding { point: point.into(), prefix: prefix.to_owned().into(), ..Binding::default() }
}

/// The component in `file` as a plugin.
pub fn plugin(name: &str, file: &str, bindings: Vec<Binding>) -> Result<DeployedPlugin> {
    let source = Some(Source::Component(std::fs::read(file)?.into()));
    Ok(DeployedPlugin { name: name.to_owned(), source, bindings })
}
