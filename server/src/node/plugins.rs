//! Putting plugins in place and taking them away: checked and compiled here, then decided like any
//! other change. All of it may be asked of any member.

use bytes::Bytes;

use super::error::{Error, Failure};
use super::handle::Node;
use super::policies::Inspected;
use crate::decide::{
    Deploy, Refusal, Request, Rollback, SetMode, SetTrigger, TriggerChange, Undeploy,
};
use crate::effect::{
    Binding, BindingId, Component, Mode, Plugin, PluginRecord, Point, TriggerState, TriggerStatus,
};
use crate::wasm::Limits;

/// Where a plugin's component comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A user's file.
    File(Bytes),
    /// The digest of a component that some generation names.
    Stored(Bytes),
}

/// A plugin to deploy. Its bindings need not name it.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub name: String,
    pub source: Source,
    pub bindings: Vec<Binding>,
}

impl Node {
    /// Compiles what is new on this member, then puts all of it in place or nothing. New triggers
    /// begin with the events of `from_revision`, or with those after the deploy. When it returns
    /// the bindings hold for every write. What was deployed, in order.
    ///
    /// # Errors
    /// A component that is no plugin, does not export a point it is bound to, or a binding that
    /// asks for too much; and what decisions may answer.
    pub async fn deploy(
        &self,
        wanted: Vec<Wanted>,
        from_revision: Option<i64>,
        caller: String,
    ) -> Result<Vec<Plugin>, Error> {
        if wanted.is_empty() {
            let (plugin, why) = (String::new(), "the deploy names no plugin".to_owned());
            return Err(Refusal::InvalidPlugin { plugin, why }.into());
        }
        let mut deploy = Deploy { from_revision, caller, ..Deploy::default() };
        let mut compiled = Vec::new();
        for Wanted { name, source, mut bindings } in wanted {
            let file = match &source {
                Source::File(file) => file.clone(),
                Source::Stored(digest) => self.stored(digest).await?,
            };
            let inspected = self.inspect_file(file).await?;
            let digest = inspected.digest.clone();
            for binding in &mut bindings {
                (binding.plugin, binding.digest) = (name.clone(), digest.clone());
                check(binding, inspected.plugin.points())
                    .map_err(|why| Refusal::InvalidPlugin { plugin: name.clone(), why })?;
            }
            if !deploy.components.iter().any(|known| known.digest == digest) {
                let bytes = inspected.component.clone();
                deploy.components.push(Component { digest: digest.clone(), bytes });
            }
            deploy.plugins.push(Plugin { name, digest, bindings, ..Plugin::default() });
            compiled.push(inspected);
        }
        let names: Vec<_> = deploy.plugins.iter().map(|plugin| plugin.name.clone()).collect();
        crate::decide::check(&Request::Deploy(deploy.clone()), 0)?;
        compiled.iter().for_each(|inspected| self.shared.policies.keep(inspected));
        self.write(Request::Deploy(deploy)).await?;
        names.iter().map(|name| self.current(name)).collect()
    }

    /// Takes a plugin away.
    pub async fn undeploy(&self, name: String, caller: String) -> Result<(), Error> {
        self.write(Request::Undeploy(Undeploy { name, caller })).await?;
        Ok(())
    }

    /// Goes back to generation `to`, or to the one before.
    pub async fn roll_back(
        &self,
        name: String,
        to: Option<u64>,
        caller: String,
    ) -> Result<Plugin, Error> {
        self.write(Request::Rollback(Rollback { name: name.clone(), to, caller })).await?;
        self.current(&name)
    }

    /// Switches one binding, or all of the plugin's.
    pub async fn set_mode(
        &self,
        name: String,
        binding: Option<BindingId>,
        mode: Mode,
        caller: String,
    ) -> Result<Plugin, Error> {
        let request = SetMode { name: name.clone(), binding, mode, caller };
        self.write(Request::SetMode(request)).await?;
        self.current(&name)
    }

    /// Lets paused triggers of a plugin go on: one, or all of them. Those that were paused.
    pub async fn resume_triggers(
        &self,
        name: &str,
        binding: Option<BindingId>,
        caller: String,
    ) -> Result<Vec<BindingId>, Error> {
        let mut resumed = Vec::new();
        for trigger in self.triggers_of(name, binding.as_deref()).await? {
            if trigger.status == TriggerStatus::Running {
                continue;
            }
            let (binding, change) = (trigger.binding, TriggerChange::Resume);
            let request = SetTrigger { binding: binding.clone(), change, caller: caller.clone() };
            self.write(Request::SetTrigger(request)).await?;
            resumed.push(binding);
        }
        Ok(resumed)
    }

    /// Lets a trigger run on without its events up to revision `to`, or without the batch that it
    /// fails at. Where it stands then.
    pub async fn skip_trigger(
        &self,
        name: &str,
        binding: Option<BindingId>,
        to: Option<i64>,
        caller: String,
    ) -> Result<TriggerState, Error> {
        let mut triggers = self.triggers_of(name, binding.as_deref()).await?;
        let (Some(one), true) = (triggers.pop(), triggers.is_empty()) else {
            let why = "it has several triggers: name one by its id, see portunus plugin status";
            let plugin = name.to_owned();
            return Err(Refusal::InvalidPlugin { plugin, why: why.to_owned() }.into());
        };
        let to = match to {
            None => self.next_events(&one.binding).await?,
            Some(to) => Some(to),
        };
        let (binding, change) = (one.binding.clone(), TriggerChange::Skip { to });
        self.write(Request::SetTrigger(SetTrigger { binding, change, caller })).await?;
        let applied = self.shared.applied.load();
        Ok(applied.state.trigger(&one.binding).cloned().unwrap_or(one))
    }

    /// The plugins as the cluster knows them now.
    pub async fn plugins(&self) -> Result<Vec<PluginRecord>, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        Ok(applied.state.registry().plugins.values().cloned().collect())
    }

    /// Compiles a user's file to see what it holds.
    pub(super) async fn inspect_file(&self, file: Bytes) -> Result<Inspected, Error> {
        let shared = self.shared.clone();
        let inspected = tokio::task::spawn_blocking(move || shared.policies.inspect(&file)).await;
        match inspected {
            Ok(Ok(inspected)) => Ok(inspected),
            Ok(Err(why)) => Err(Refusal::InvalidComponent(why.to_string()).into()),
            Err(_) => Err(Failure::Stopped.into()),
        }
    }

    async fn stored(&self, digest: &Bytes) -> Result<Bytes, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        let found = applied.state.registry().components.get(digest).cloned();
        found.ok_or_else(|| {
            let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            Refusal::ComponentNotFound(digest).into()
        })
    }

    /// The plugin as it is applied here; somebody else may have taken it away meanwhile.
    fn current(&self, name: &str) -> Result<Plugin, Error> {
        let applied = self.shared.applied.load();
        let record = applied.state.registry().plugins.get(name);
        let current = record.map(|record| record.current.clone());
        current.ok_or_else(|| Refusal::PluginNotFound(name.to_owned()).into())
    }

    async fn triggers_of(
        &self,
        name: &str,
        binding: Option<&str>,
    ) -> Result<Vec<TriggerState>, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        let record = applied.state.registry().plugins.get(name);
        let record = record.ok_or_else(|| Refusal::PluginNotFound(name.to_owned()))?;
        let own = record.current.bindings.iter().filter(|own| own.point == Point::Trigger);
        let ids = own.map(Binding::id).filter(|id| binding.is_none_or(|asked| asked == id));
        let found: Vec<_> = ids.filter_map(|id| applied.state.trigger(&id).cloned()).collect();
        if found.is_empty() {
            let asked = binding.map_or_else(|| format!("{name}/trigger"), str::to_owned);
            return Err(Refusal::BindingNotFound(asked).into());
        }
        Ok(found)
    }
}

/// What only the component and the limits of this server can tell.
fn check(binding: &Binding, offered: &[Point]) -> Result<(), String> {
    if !offered.contains(&binding.point) {
        let names: Vec<_> = offered.iter().map(|point| point.name()).collect();
        let (asked, offered) = (binding.point, names.join(" and "));
        return Err(format!("its component offers {offered}, not {asked}: bind it to that"));
    }
    Limits::check(&binding.limits).map_err(|error| error.to_string())
}
