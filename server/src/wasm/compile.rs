//! From bytes to a plugin that can be called: size, form, imports and exports are checked and
//! each refusal names what is wrong. Nothing is cached on disk.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, InstancePre};

use super::bounds::Limits;
use super::contract::exports::portunus::plugin::write_policy;
use super::contract::{IMPORTS, Name, WRITE_POLICY, classify};
use super::engine::Engine;
use super::error::CompileError;
use super::host::Host;
use super::instance::{PolicyInstance, StartError};
use crate::limits::COMPONENT_BYTES_MAX;

/// Where a plugin can be bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionPoint {
    /// Asked about every transaction that writes under a prefix.
    WritePolicy,
}

impl ExtensionPoint {
    /// Its name in the contract and in the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::WritePolicy => "write-policy",
        }
    }
}

/// A compiled component. Cloning shares the code.
#[derive(Clone)]
pub struct Plugin(Arc<Compiled>);

struct Compiled {
    digest: [u8; 32],
    pre: InstancePre<Host>,
    write_policy: Option<write_policy::GuestIndices>,
}

impl Plugin {
    /// SHA-256 of the component as it was deployed.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// The extension points that the plugin exports, at least one.
    pub fn points(&self) -> Vec<ExtensionPoint> {
        self.0.write_policy.iter().map(|_| ExtensionPoint::WritePolicy).collect()
    }

    pub(super) fn pre(&self) -> &InstancePre<Host> {
        &self.0.pre
    }

    pub(super) fn write_policy(&self) -> Option<&write_policy::GuestIndices> {
        self.0.write_policy.as_ref()
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin").field("points", &self.points()).finish_non_exhaustive()
    }
}

pub(super) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Plugin, CompileError> {
    check_form(bytes)?;
    let component = Component::new(engine.wasm(), bytes)
        .map_err(|error| CompileError::Malformed(format!("{error:#}")))?;
    check_imports(engine, &component)?;
    check_exports(engine, &component)?;
    let mismatch = |error: wasmtime::Error| CompileError::Mismatch(format!("{error:#}"));
    let pre = engine.linker().instantiate_pre(&component).map_err(mismatch)?;
    // Asked first, so that a present export of the wrong type is not taken for an absent one.
    let write_policy = component
        .get_export_index(None, WRITE_POLICY)
        .map(|_| write_policy::GuestIndices::new(&pre))
        .transpose()
        .map_err(mismatch)?;
    let digest = Sha256::digest(bytes).into();
    let plugin = Plugin(Arc::new(Compiled { digest, pre, write_policy }));
    match PolicyInstance::start(engine, &plugin, "deploy".into(), Limits::MAX) {
        Ok(_) => Ok(plugin),
        Err(StartError::Guest(error)) => Err(CompileError::Start(error)),
        Err(StartError::Mismatch(why)) => Err(CompileError::Mismatch(why)),
    }
}

/// Size and header. A component's differs from a core module's in the layer.
fn check_form(bytes: &[u8]) -> Result<(), CompileError> {
    if bytes.len() > COMPONENT_BYTES_MAX {
        let limit_bytes = COMPONENT_BYTES_MAX;
        return Err(CompileError::TooLarge { bytes: bytes.len(), limit_bytes });
    }
    match bytes {
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => Err(CompileError::CoreModule),
        _ => Err(CompileError::NotWasm),
    }
}

fn check_imports(engine: &Engine, component: &Component) -> Result<(), CompileError> {
    for (name, _) in component.component_type().imports(engine.wasm()) {
        let name = name.to_owned();
        match classify(&name) {
            Name::Ours(interface) if IMPORTS.contains(&interface) => {}
            Name::OtherVersion => return Err(CompileError::WrongContract { name }),
            Name::Ours(_) | Name::Foreign => return Err(CompileError::ForeignImport { name }),
        }
    }
    Ok(())
}

/// At least one extension point, and none that we would silently not call.
fn check_exports(engine: &Engine, component: &Component) -> Result<(), CompileError> {
    let mut points = 0;
    for (name, _) in component.component_type().exports(engine.wasm()) {
        match classify(name) {
            Name::Ours(interface) if interface == ExtensionPoint::WritePolicy.name() => points += 1,
            Name::Ours(_) => {
                return Err(CompileError::UnknownExtensionPoint { name: name.to_owned() });
            }
            Name::OtherVersion => {
                return Err(CompileError::WrongContract { name: name.to_owned() });
            }
            Name::Foreign => {}
        }
    }
    if points == 0 { Err(CompileError::NoExtensionPoint) } else { Ok(()) }
}
