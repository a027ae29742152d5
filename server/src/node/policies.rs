//! The policies that bindings name, compiled and ready: built when a binding first appears, kept
//! while it stays as it is.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::effect::{Binding, Point};
use crate::machine::State;
use crate::wasm::{Bound, BoundOptions, Diaries, Engine, EngineOptions, Plugin};

type Built = Result<Arc<Bound>, String>;

/// Compiled plugins by digest, and policies by the binding they serve.
#[derive(Default)]
pub struct Policies {
    engine: OnceLock<Result<Engine, String>>,
    diaries: Diaries,
    plugins: Mutex<HashMap<Bytes, Plugin>>,
    policies: Mutex<HashMap<String, (Binding, Built)>>,
}

impl Policies {
    /// The policy of `binding`. Compiles it if nobody has yet, which takes milliseconds.
    pub fn of(&self, state: &State, binding: &Binding) -> Built {
        if let Some((known, built)) = self.policies.lock().get(&binding.id())
            && known == binding
        {
            return built.clone();
        }
        let built = self.build(state, binding);
        let entry = (binding.clone(), built.clone());
        self.policies.lock().insert(binding.id(), entry);
        built
    }

    /// Compiles what is new in `state` and lets go of what is gone.
    pub fn follow(&self, state: &State) {
        let registry = state.registry();
        for binding in registry.bindings().filter(|binding| binding.point == Point::WritePolicy) {
            if let Err(why) = self.of(state, binding) {
                tracing::error!(binding = binding.id(), why, "a bound plugin cannot run");
            }
        }
        self.policies.lock().retain(|id, _| registry.binding(id).is_some());
        self.plugins.lock().retain(|digest, _| registry.components.contains_key(digest));
    }

    /// Checks a component before it is deployed and returns its digest.
    pub fn inspect(&self, component: &[u8]) -> Result<Bytes, String> {
        let plugin = self.engine()?.compile(component).map_err(|error| error.to_string())?;
        if plugin.points().is_empty() {
            return Err("the plugin exports no extension point: export write-policy".into());
        }
        Ok(Bytes::copy_from_slice(&Sha256::digest(component)))
    }

    fn build(&self, state: &State, binding: &Binding) -> Built {
        let engine = self.engine()?;
        let plugin = self.plugin(state, &binding.digest)?;
        let options = BoundOptions {
            plugin: binding.plugin.clone(),
            point: Point::WritePolicy,
            prefix: binding.prefix.to_vec(),
            configuration: binding.config.to_vec(),
            limits: binding.limits,
            isolation: binding.isolation,
            diary: self.diaries.of(&binding.plugin),
        };
        Bound::new(engine, &plugin, options).map(Arc::new).map_err(|error| error.to_string())
    }

    fn plugin(&self, state: &State, digest: &Bytes) -> Result<Plugin, String> {
        if let Some(plugin) = self.plugins.lock().get(digest) {
            return Ok(plugin.clone());
        }
        let component = state.registry().components.get(digest);
        let component = component.ok_or("its component is not stored")?;
        let plugin = self.engine()?.compile(component).map_err(|error| error.to_string())?;
        self.plugins.lock().insert(digest.clone(), plugin.clone());
        Ok(plugin)
    }

    /// Made when the first plugin is: a cluster without plugins pays nothing for them.
    fn engine(&self) -> Result<&Engine, String> {
        let made = self.engine.get_or_init(|| {
            Engine::new(EngineOptions::default()).map_err(|error| error.to_string())
        });
        made.as_ref().map_err(String::clone)
    }
}
