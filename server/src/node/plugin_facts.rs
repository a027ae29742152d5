//! What is known of plugins on this member: what components offer, how bindings fare, what plugins
//! have said.

use std::sync::Arc;

use bytes::Bytes;

use super::error::Error;
use super::handle::Node;
use crate::decide::Refusal;
use crate::effect::{Author, Binding, Plugin, PluginRecord, Point, TriggerState, TriggerStatus};
use crate::machine::State;
use crate::types::MemberId;
use crate::wasm::{Diary, Figures, Level};

/// What a component offers.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub digest: Bytes,
    pub component_bytes: usize,
    pub contract: String,
    pub points: Vec<Point>,
    pub functions: Vec<String>,
    /// Where it was found by name.
    pub deployed: Option<PluginRecord>,
}

/// A binding with what this member knows of it.
#[derive(Clone, Debug)]
pub struct BindingFacts {
    pub plugin: Plugin,
    pub binding: Binding,
    /// Why it cannot run here.
    pub broken: Option<String>,
    /// Of the plugin at this point since this member started.
    pub figures: Figures,
    pub last_error: Option<String>,
    pub trigger: Option<TriggerFacts>,
}

/// Where a trigger stands.
#[derive(Clone, Debug)]
pub struct TriggerFacts {
    pub state: TriggerState,
    /// The first key that it fails at, while it is paused.
    pub kept_key: Option<Bytes>,
    /// Revisions behind the cursor.
    pub lag: i64,
}

/// A revision of a key.
#[derive(Clone, Debug)]
pub struct Blamed {
    pub revision: i64,
    pub deleted: bool,
    pub author: Option<Author>,
}

impl Node {
    /// Looks into a user's file.
    pub async fn inspect_component(&self, file: Bytes) -> Result<Inspection, Error> {
        let inspected = self.inspect_file(file).await?;
        let metadata = inspected.plugin.metadata();
        Ok(Inspection {
            digest: inspected.digest.clone(),
            component_bytes: metadata.size_bytes,
            contract: metadata.contract.clone(),
            points: metadata.points.clone(),
            functions: metadata.functions.clone(),
            deployed: None,
        })
    }

    /// Looks into the current generation of a plugin.
    pub async fn inspect_plugin(&self, name: &str) -> Result<Inspection, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        let registry = applied.state.registry();
        let record = registry.plugins.get(name).cloned();
        let record = record.ok_or_else(|| Refusal::PluginNotFound(name.to_owned()))?;
        let component = registry.components.get(&record.current.digest).cloned();
        let found = self.inspect_component(component.unwrap_or_default()).await?;
        Ok(Inspection { deployed: Some(record), ..found })
    }

    /// How the bindings of one plugin, or of all, fare here.
    pub async fn plugin_facts(&self, name: Option<&str>) -> Result<Vec<BindingFacts>, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        let registry = applied.state.registry();
        if let Some(name) = name
            && !registry.plugins.contains_key(name)
        {
            return Err(Refusal::PluginNotFound(name.to_owned()).into());
        }
        let asked = registry.plugins.values().map(|record| &record.current);
        let asked = asked.filter(|plugin| name.is_none_or(|name| plugin.name == name));
        let mut facts = Vec::new();
        for plugin in asked {
            let diary = self.shared.policies.diaries.get(&plugin.name);
            for binding in &plugin.bindings {
                facts.push(BindingFacts {
                    broken: self.shared.policies.broken(binding),
                    figures: diary
                        .as_deref()
                        .map_or_else(Figures::default, |d| figures(d, binding)),
                    last_error: diary.as_deref().and_then(|diary| last_error(diary, binding)),
                    trigger: self.trigger_facts(&applied.state, binding).await,
                    binding: binding.clone(),
                    plugin: plugin.clone(),
                });
            }
        }
        Ok(facts)
    }

    async fn trigger_facts(&self, state: &State, binding: &Binding) -> Option<TriggerFacts> {
        let state = state.trigger(&binding.id())?.clone();
        let kept_key = match state.status {
            TriggerStatus::Running => None,
            TriggerStatus::Paused { .. } => self.kept_key(binding, state.cursor).await,
        };
        let lag = self.trigger_report(&state.binding).map_or(0, |report| report.lag);
        Some(TriggerFacts { state, kept_key, lag })
    }

    /// What a plugin has said here.
    pub async fn diary(&self, name: &str) -> Result<Arc<Diary>, Error> {
        self.linearizable().await?;
        let applied = self.shared.applied.load();
        if !applied.state.registry().plugins.contains_key(name) {
            return Err(Refusal::PluginNotFound(name.to_owned()).into());
        }
        Ok(self.shared.policies.diaries.of(name))
    }

    /// The revisions of a key that are known, newest first, at most `limit`.
    pub async fn blame_revisions(&self, key: Bytes, limit: usize) -> Result<Vec<Blamed>, Error> {
        let (mut found, mut at) = (Vec::new(), 0);
        while found.len() < limit {
            let blame = match self.blame(key.clone(), at).await {
                Ok(Some(blame)) => blame,
                Ok(None) | Err(Error::Refused(Refusal::Compacted)) => break,
                Err(error) => return Err(error),
            };
            let (revision, deleted, author) = (blame.revision, blame.deleted, blame.author);
            found.push(Blamed { revision, deleted, author });
            at = revision - 1;
            if at <= 0 {
                break;
            }
        }
        Ok(found)
    }

    /// This member, and whether it leads.
    pub fn whose_figures(&self) -> (MemberId, bool) {
        let own = self.shared.identity.member;
        (own, self.leadership().borrow().leader == Some(own.0))
    }
}

fn figures(diary: &Diary, binding: &Binding) -> Figures {
    let of_point = diary.figures().into_iter().find(|(point, _)| *point == binding.point);
    of_point.map_or_else(Figures::default, |(_, figures)| figures)
}

fn last_error(diary: &Diary, binding: &Binding) -> Option<String> {
    let lines = diary.lines_after(0, usize::MAX);
    let own = lines
        .into_iter()
        .rev()
        .find(|line| line.point == binding.point && line.level == Level::Error);
    own.map(|line| line.text)
}
