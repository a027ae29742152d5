//! From bytes to a plugin that can be called: form, imports and exports are checked and each
//! refusal names what is wrong. Nothing is cached on disk.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, InstancePre};

use super::bounds::{FUNCTION_NAME_BYTES_MAX, FUNCTIONS_MAX, Limits};
use super::component::component_of;
use super::contract::exports::portunus::plugin::{
    lock_admission, queue_condition, recipe, trigger, write_policy,
};
use super::contract::{IMPORTS, Name, VERSION, classify, export_of};
use super::engine::Engine;
use super::error::CompileError;
use super::host::Host;
use super::instance::{Instance, StartError};
use super::plugin::{Compiled, Indices, Metadata, Plugin};
use crate::effect::Point;

pub(super) fn compile(engine: &Engine, file: &[u8]) -> Result<Plugin, CompileError> {
    let bytes = component_of(engine, file)?;
    let component = Component::new(engine.wasm(), &bytes).map_err(unfit)?;
    let imports = imports(engine, &component)?;
    let points = points(engine, &component)?;
    let pre = engine.linker().instantiate_pre(&component).map_err(mismatch)?;
    let indices = points.iter().map(|point| indices(&pre, *point)).collect::<Result<_, _>>()?;
    let metadata = Metadata {
        contract: VERSION.to_owned(),
        points,
        functions: Vec::new(),
        imports,
        size_bytes: bytes.len(),
    };
    let digest = Sha256::digest(&bytes).into();
    let mut compiled = Compiled { digest, metadata, indices, pre };
    compiled.metadata.functions = try_out(engine, &compiled)?;
    Ok(Plugin::new(compiled))
}

/// Why the engine does not take a component.
fn unfit(error: wasmtime::Error) -> CompileError {
    let text = format!("{error:#}");
    // The engine's error has no public type; the tests of refusals hold this text to it.
    match text.split_once("does not fit in pooling allocator requirements: ") {
        Some((_, what)) => CompileError::NoRoom(what.to_owned()),
        None => CompileError::Malformed(text),
    }
}

fn mismatch(error: wasmtime::Error) -> CompileError {
    CompileError::Mismatch(format!("{error:#}"))
}

/// The interfaces that the component imports, all of which are ours.
fn imports(engine: &Engine, component: &Component) -> Result<Vec<String>, CompileError> {
    let mut imports = Vec::new();
    for (name, _) in component.component_type().imports(engine.wasm()) {
        let name = name.to_owned();
        match classify(&name) {
            Name::Ours(interface) if IMPORTS.contains(&interface) => imports.push(name),
            Name::OtherVersion => return Err(CompileError::WrongContract { name }),
            Name::Ours(_) | Name::Foreign => return Err(CompileError::ForeignImport { name }),
        }
    }
    Ok(imports)
}

/// The extension points that the component exports: at least one, and none that we would
/// silently not call.
fn points(engine: &Engine, component: &Component) -> Result<Vec<Point>, CompileError> {
    let mut points = BTreeSet::new();
    for (name, _) in component.component_type().exports(engine.wasm()) {
        match classify(name) {
            Name::Ours(interface) => {
                let point = Point::ALL.into_iter().find(|point| point.name() == interface);
                let unknown = || CompileError::UnknownExtensionPoint { name: name.to_owned() };
                points.insert(point.ok_or_else(unknown)?);
            }
            Name::OtherVersion => {
                return Err(CompileError::WrongContract { name: name.to_owned() });
            }
            Name::Foreign => {}
        }
    }
    // Found by its exact name, so that what is called is what was seen here.
    let exported = |point: &Point| component.get_export_index(None, export_of(*point)).is_some();
    if let Some(point) = points.iter().find(|point| !exported(point)) {
        return Err(CompileError::WrongContract { name: point.name().to_owned() });
    }
    if points.is_empty() {
        Err(CompileError::NoExtensionPoint)
    } else {
        Ok(points.into_iter().collect())
    }
}

fn indices(pre: &InstancePre<Host>, point: Point) -> Result<Indices, CompileError> {
    let indices = match point {
        Point::WritePolicy => write_policy::GuestIndices::new(pre).map(Indices::WritePolicy),
        Point::Trigger => trigger::GuestIndices::new(pre).map(Indices::Trigger),
        Point::Recipe => recipe::GuestIndices::new(pre).map(Indices::Recipe),
        Point::LockAdmission => lock_admission::GuestIndices::new(pre).map(Indices::LockAdmission),
        Point::QueueCondition => {
            queue_condition::GuestIndices::new(pre).map(Indices::QueueCondition)
        }
    };
    indices.map_err(mismatch)
}

/// Starts the plugin for each of its points, and asks its recipe for the functions.
fn try_out(engine: &Engine, compiled: &Compiled) -> Result<Vec<String>, CompileError> {
    let mut functions = Vec::new();
    for indices in &compiled.indices {
        let started = Instance::start(engine, &compiled.pre, indices, None, Limits::DEFAULT);
        let mut instance = started.map_err(|error| match error {
            StartError::Guest(error) => CompileError::Start(error),
            StartError::Mismatch(why) => CompileError::Mismatch(why),
        })?;
        functions.extend(instance.functions(engine).map_err(CompileError::Start)?);
    }
    let recipe = compiled.metadata.points.contains(&Point::Recipe);
    check_functions(recipe, &functions)?;
    Ok(functions)
}

fn check_functions(recipe: bool, functions: &[String]) -> Result<(), CompileError> {
    let bad = |why: String| Err(CompileError::BadFunctions(why));
    if recipe && functions.is_empty() {
        return bad("there are none".to_owned());
    }
    if functions.len() > FUNCTIONS_MAX {
        return bad(format!("there are more than {FUNCTIONS_MAX}"));
    }
    let mut seen = BTreeSet::new();
    for name in functions {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || name.len() > FUNCTION_NAME_BYTES_MAX || !name.bytes().all(plain) {
            let text = "use at most 64 letters, digits, dashes, underscores and dots";
            return bad(format!("one is named {name:?}: {text}"));
        }
        if !seen.insert(name) {
            return bad(format!("two are named {name}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{FUNCTION_NAME_BYTES_MAX, check_functions};
    use crate::wasm::bounds::FUNCTIONS_MAX;
    use crate::wasm::error::CompileError;

    #[test]
    fn the_functions_of_a_recipe_can_be_called_by_name() {
        let check = |names: &[&str]| {
            let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
            check_functions(true, &names)
        };
        assert_eq!(check(&["add", "add-block", "v1.add_all"]), Ok(()));
        let long = "x".repeat(FUNCTION_NAME_BYTES_MAX + 1);
        for bad in [&[][..], &[""], &["a b"], &["a", "a"], &["ä"], &[&long]] {
            assert!(matches!(check(bad), Err(CompileError::BadFunctions(_))), "{bad:?}");
        }
        let many: Vec<_> = (0..=FUNCTIONS_MAX).map(|n| n.to_string()).collect();
        assert!(matches!(check_functions(true, &many), Err(CompileError::BadFunctions(_))));
        assert_eq!(check_functions(false, &[]), Ok(()));
    }
}
