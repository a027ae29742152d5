//! What a user's file holds as a component: itself, or what becomes of a core module that says
//! what contract it follows, as the SDK's bindings and `wit-bindgen` for other languages make it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wasmtime::Module;
use wit_component::ComponentEncoder;

use super::engine::Engine;
use super::error::CompileError;
use crate::limits::COMPONENT_BYTES_MAX;

pub(super) fn component_of<'a>(
    engine: &Engine,
    file: &'a [u8],
) -> Result<Cow<'a, [u8]>, CompileError> {
    check_size(file)?;
    // The header of a component differs from a core module's in the layer.
    match file {
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(Cow::Borrowed(file)),
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => {
            let component = encode(engine, file)?;
            check_size(&component)?;
            Ok(Cow::Owned(component))
        }
        _ => Err(CompileError::NotWasm),
    }
}

fn check_size(bytes: &[u8]) -> Result<(), CompileError> {
    let (bytes, limit_bytes) = (bytes.len(), COMPONENT_BYTES_MAX);
    if bytes > limit_bytes {
        return Err(CompileError::TooLarge { bytes, limit_bytes });
    }
    Ok(())
}

fn encode(engine: &Engine, module: &[u8]) -> Result<Vec<u8>, CompileError> {
    Module::validate(engine.wasm(), module)
        .map_err(|error| CompileError::Malformed(format!("{error:#}")))?;
    // The encoder is made for what one's own compiler wrote; a stranger's module must not take
    // the caller's thread along.
    let encoded = catch_unwind(AssertUnwindSafe(|| {
        if wit_component::metadata::decode(module)?.0.is_none() {
            return Ok(None);
        }
        ComponentEncoder::default().validate(true).module(module)?.encode().map(Some)
    }));
    match encoded {
        Ok(Ok(Some(component))) => Ok(component),
        Ok(Ok(None)) => Err(CompileError::CoreModule),
        Ok(Err(error)) => Err(CompileError::NotEncodable(format!("{error:#}"))),
        Err(_) => Err(CompileError::NotEncodable("its sections contradict each other".to_owned())),
    }
}
