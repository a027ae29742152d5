//! One call of a recipe.

use crate::dial::Channel;
use bytes::Bytes;
use portunus_proto::portunus::v1::CallRequest;
use portunus_proto::portunus::v1::recipe_client::RecipeClient;

use crate::bench::workload::{ClientId, Failure, Operate, Workload};

/// Calls of one function with one payload.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub plugin: String,
    pub function: String,
    pub payload: Bytes,
}

pub struct Client {
    recipes: RecipeClient<Channel>,
    call: CallRequest,
}

impl Workload for Recipe {
    type Client = Client;

    async fn client(&self, channel: Channel, _: ClientId) -> anyhow::Result<Client> {
        let Self { plugin, function, payload } = self.clone();
        let call = CallRequest { plugin, function, payload };
        Ok(Client { recipes: RecipeClient::new(channel), call })
    }
}

impl Operate for Client {
    async fn operate(&mut self) -> Result<(), Failure> {
        self.recipes.call(self.call.clone()).await?;
        Ok(())
    }
}
