//! Deploying plugins: checked here, then stored and bound by decisions like any other.

use bytes::Bytes;

use super::error::{Error, Failure};
use super::handle::Node;
use crate::decide::{Deploy, Refusal, Request, Undeploy};
use crate::effect::{Binding, Component, FailurePolicy, Plugin};

/// What is to be deployed.
#[derive(Clone, Debug)]
pub struct Deployment {
    pub name: String,
    pub component: Bytes,
    pub prefix: Bytes,
    pub config: Bytes,
    pub on_failure: FailurePolicy,
}

/// A component under its digest, SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    pub revision: i64,
    pub digest: Bytes,
}

impl Node {
    /// Compiles the component to see that it is a plugin, stores it, and binds it.
    pub async fn deploy(&self, deployment: Deployment) -> Result<Deployed, Error> {
        let Deployment { name, component, prefix, config, on_failure } = deployment;
        let (shared, bytes) = (self.shared.clone(), component.clone());
        let inspected = tokio::task::spawn_blocking(move || shared.policies.inspect(&bytes)).await;
        let (digest, component) = match inspected {
            Ok(Ok(inspected)) => {
                self.shared.policies.keep(&inspected);
                (inspected.digest, inspected.component)
            }
            Ok(Err(why)) => return Err(Refusal::InvalidComponent(why.to_string()).into()),
            Err(_) => return Err(Failure::Stopped.into()),
        };
        let binding = Binding {
            plugin: name.clone(),
            digest: digest.clone(),
            prefix,
            config,
            on_failure,
            ..Binding::default()
        };
        let plugin =
            Plugin { name, digest: digest.clone(), bindings: vec![binding], ..Plugin::default() };
        let components = vec![Component { digest: digest.clone(), bytes: component }];
        let deploy = Deploy { plugins: vec![plugin], components, ..Deploy::default() };
        self.write(Request::Deploy(deploy)).await?;
        Ok(Deployed { revision: self.header().revision, digest })
    }

    /// Takes a plugin away.
    pub async fn remove_binding(&self, name: String) -> Result<i64, Error> {
        self.write(Request::Undeploy(Undeploy { name, ..Undeploy::default() })).await?;
        Ok(self.header().revision)
    }

    /// The bindings, by name, as the cluster knows them now.
    pub async fn bindings(&self) -> Result<Vec<Binding>, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        Ok(applied.state.registry().bindings().cloned().collect())
    }
}
