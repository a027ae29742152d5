//! Refusals between members: a number each, and their texts where they carry any.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::wire::WireError;
use crate::auth::AuthRefusal;
use crate::decide::{LockRefusal, QueueRefusal, Refusal};

/// Refusals without content. Numbers are for ever.
const PLAIN: [(Refusal, u8); 16] = [
    (Refusal::EmptyKey, 1),
    (Refusal::KeyNotFound, 2),
    (Refusal::ValueProvided, 3),
    (Refusal::LeaseProvided, 4),
    (Refusal::TooManyOps, 5),
    (Refusal::DuplicateKey, 6),
    (Refusal::InvalidSortOption, 7),
    (Refusal::Compacted, 8),
    (Refusal::FutureRevision, 9),
    (Refusal::StreamSorted, 10),
    (Refusal::StreamFiltered, 11),
    (Refusal::LeaseNotFound, 12),
    (Refusal::LeaseExists, 13),
    (Refusal::LeaseTtlTooLarge, 14),
    (Refusal::NoSpace, 15),
    (Refusal::Corrupt, 16),
];

const FEATURE_LEVEL: u8 = 31;
const NOT_APPLIED: u8 = 32;
const UNREADABLE: u8 = 33;
const POLICY_REFUSED: u8 = 34;
const COMPONENT_NOT_FOUND: u8 = 35;
const COMPONENT_TOO_LARGE: u8 = 37;
const BINDING_NOT_FOUND: u8 = 38;
const CONFLICT: u8 = 39;
const INVALID_COMPONENT: u8 = 40;
const DEPLOY_TOO_LARGE: u8 = 41;
const INVALID_PLUGIN: u8 = 42;
const TOO_MANY_BINDINGS: u8 = 43;
const PLUGIN_NOT_FOUND: u8 = 44;
const GENERATION_NOT_KEPT: u8 = 45;
const NO_EARLIER_GENERATION: u8 = 46;
const CURSOR_MOVED: u8 = 47;
const INVALID_SKIP: u8 = 48;
const NO_RECIPE: u8 = 49;
const PLUGIN_DISABLED: u8 = 50;
const UNKNOWN_FUNCTION: u8 = 51;
const INVALID_PAYLOAD: u8 = 52;
const LOCK: u8 = 53;
const QUEUE: u8 = 54;
const AUTH: u8 = 55;

pub fn encode_refusal(refusal: &Refusal, out: &mut BytesMut) {
    if let Some((_, code)) = PLAIN.iter().find(|(plain, _)| plain == refusal) {
        return out.put_u8(*code);
    }
    match refusal {
        Refusal::FeatureLevel { needed, level } => {
            numbers(out, FEATURE_LEVEL, &[u64::from(*needed), u64::from(*level)]);
        }
        Refusal::NotApplied(revision) => numbers(out, NOT_APPLIED, &[*revision as u64]),
        Refusal::Unreadable(why) => texts(out, UNREADABLE, &[why]),
        Refusal::PolicyRefused { binding, reason } => {
            texts(out, POLICY_REFUSED, &[binding, reason]);
        }
        Refusal::ComponentNotFound(digest) => texts(out, COMPONENT_NOT_FOUND, &[digest]),
        Refusal::ComponentTooLarge { bytes, max } => {
            numbers(out, COMPONENT_TOO_LARGE, &[*bytes as u64, *max as u64]);
        }
        Refusal::BindingNotFound(name) => texts(out, BINDING_NOT_FOUND, &[name]),
        Refusal::Conflict { binding } => texts(out, CONFLICT, &[binding]),
        Refusal::InvalidComponent(why) => texts(out, INVALID_COMPONENT, &[why]),
        Refusal::DeployTooLarge { bytes, max } => {
            numbers(out, DEPLOY_TOO_LARGE, &[*bytes as u64, *max as u64]);
        }
        Refusal::InvalidPlugin { plugin, why } => texts(out, INVALID_PLUGIN, &[plugin, why]),
        Refusal::TooManyBindings { bindings, max } => {
            numbers(out, TOO_MANY_BINDINGS, &[*bindings as u64, *max as u64]);
        }
        Refusal::PluginNotFound(name) => texts(out, PLUGIN_NOT_FOUND, &[name]),
        Refusal::GenerationNotKept { plugin, generation, kept } => {
            texts(out, GENERATION_NOT_KEPT, &[plugin, kept]);
            out.put_u64(*generation);
        }
        Refusal::NoEarlierGeneration { plugin, generation } => {
            texts(out, NO_EARLIER_GENERATION, &[plugin]);
            out.put_u64(*generation);
        }
        Refusal::CursorMoved(binding) => texts(out, CURSOR_MOVED, &[binding]),
        Refusal::InvalidSkip { binding, to, cursor, revision } => {
            texts(out, INVALID_SKIP, &[binding]);
            [to, cursor, revision].into_iter().for_each(|number| out.put_i64(*number));
        }
        Refusal::NoRecipe(name) => texts(out, NO_RECIPE, &[name]),
        Refusal::PluginDisabled(name) => texts(out, PLUGIN_DISABLED, &[name]),
        Refusal::UnknownFunction { plugin, function, known } => {
            texts(out, UNKNOWN_FUNCTION, &[plugin, function, known]);
        }
        Refusal::InvalidPayload { plugin, reason } => {
            texts(out, INVALID_PAYLOAD, &[plugin, reason]);
        }
        Refusal::Auth(refusal) => out.put_slice(&[AUTH, refusal.number()]),
        Refusal::Lock(refusal) => {
            let (kind, pair, name) = refusal.to_parts();
            numbers(out, LOCK, &[kind.into(), pair[0], pair[1]]);
            text_of(out, &name);
        }
        Refusal::Queue(refusal) => {
            let (kind, pair, words) = refusal.to_parts();
            numbers(out, QUEUE, &[kind.into(), pair[0], pair[1]]);
            words.iter().for_each(|word| text_of(out, word));
        }
        plain => tracing::error!(%plain, "a refusal without a number between members"),
    }
}

pub fn decode_refusal(mut bytes: Bytes) -> Result<Refusal, WireError> {
    let code = bytes.try_get_u8().map_err(|_| ends_early())?;
    if let Some((refusal, _)) = PLAIN.iter().find(|(_, plain)| *plain == code) {
        return Ok(refusal.clone());
    }
    let b = &mut bytes;
    Ok(match code {
        FEATURE_LEVEL => {
            let (needed, level) = (number(b)? as u32, number(b)? as u32);
            Refusal::FeatureLevel { needed, level }
        }
        NOT_APPLIED => Refusal::NotApplied(number(b)? as i64),
        UNREADABLE => Refusal::Unreadable(text(b)?),
        POLICY_REFUSED => Refusal::PolicyRefused { binding: text(b)?, reason: text(b)? },
        COMPONENT_NOT_FOUND => Refusal::ComponentNotFound(text(b)?),
        COMPONENT_TOO_LARGE => {
            Refusal::ComponentTooLarge { bytes: number(b)? as usize, max: number(b)? as usize }
        }
        BINDING_NOT_FOUND => Refusal::BindingNotFound(text(b)?),
        CONFLICT => Refusal::Conflict { binding: text(b)? },
        INVALID_COMPONENT => Refusal::InvalidComponent(text(b)?),
        DEPLOY_TOO_LARGE => {
            Refusal::DeployTooLarge { bytes: number(b)? as usize, max: number(b)? as usize }
        }
        INVALID_PLUGIN => Refusal::InvalidPlugin { plugin: text(b)?, why: text(b)? },
        TOO_MANY_BINDINGS => {
            Refusal::TooManyBindings { bindings: number(b)? as usize, max: number(b)? as usize }
        }
        PLUGIN_NOT_FOUND => Refusal::PluginNotFound(text(b)?),
        GENERATION_NOT_KEPT => {
            let (plugin, kept) = (text(b)?, text(b)?);
            Refusal::GenerationNotKept { plugin, kept, generation: number(b)? }
        }
        NO_EARLIER_GENERATION => {
            Refusal::NoEarlierGeneration { plugin: text(b)?, generation: number(b)? }
        }
        CURSOR_MOVED => Refusal::CursorMoved(text(b)?),
        INVALID_SKIP => Refusal::InvalidSkip {
            binding: text(b)?,
            to: number(b)? as i64,
            cursor: number(b)? as i64,
            revision: number(b)? as i64,
        },
        AUTH => {
            let number = b.try_get_u8().map_err(|_| ends_early())?;
            Refusal::Auth(AuthRefusal::of_number(number).ok_or_else(ends_early)?)
        }
        LOCK => {
            let (kind, pair) = (number(b)? as u8, [number(b)?, number(b)?]);
            Refusal::Lock(LockRefusal::from_parts(kind, pair, text(b)?).ok_or_else(ends_early)?)
        }
        QUEUE => {
            let (kind, pair) = (number(b)? as u8, [number(b)?, number(b)?]);
            let words = [text(b)?, text(b)?];
            Refusal::Queue(QueueRefusal::from_parts(kind, pair, words).ok_or_else(ends_early)?)
        }
        NO_RECIPE => Refusal::NoRecipe(text(b)?),
        PLUGIN_DISABLED => Refusal::PluginDisabled(text(b)?),
        UNKNOWN_FUNCTION => {
            Refusal::UnknownFunction { plugin: text(b)?, function: text(b)?, known: text(b)? }
        }
        INVALID_PAYLOAD => Refusal::InvalidPayload { plugin: text(b)?, reason: text(b)? },
        other => return Err(WireError(format!("refusal {other} is not known"))),
    })
}

fn numbers(out: &mut BytesMut, code: u8, values: &[u64]) {
    out.put_u8(code);
    values.iter().for_each(|value| out.put_u64(*value));
}

fn texts(out: &mut BytesMut, code: u8, values: &[&str]) {
    out.put_u8(code);
    values.iter().for_each(|value| text_of(out, value));
}

fn text_of(out: &mut BytesMut, value: &str) {
    out.put_u32(value.len() as u32);
    out.put_slice(value.as_bytes());
}

fn number(bytes: &mut Bytes) -> Result<u64, WireError> {
    bytes.try_get_u64().map_err(|_| ends_early())
}

fn text(bytes: &mut Bytes) -> Result<String, WireError> {
    let len = bytes.try_get_u32().map_err(|_| ends_early())? as usize;
    if bytes.len() < len {
        return Err(ends_early());
    }
    String::from_utf8(bytes.split_to(len).into()).map_err(|e| WireError(e.to_string()))
}

fn ends_early() -> WireError {
    WireError("it ends early".into())
}
