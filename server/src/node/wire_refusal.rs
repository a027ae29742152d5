//! Refusals between members: a number each, and their texts where they carry any.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::wire::WireError;
use crate::decide::Refusal;

/// Refusals without content. Numbers are for ever.
const PLAIN: [(Refusal, u8); 17] = [
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
    (Refusal::BindingUnnamed, 17),
];

const FEATURE_LEVEL: u8 = 31;
const NOT_APPLIED: u8 = 32;
const UNREADABLE: u8 = 33;
const POLICY_REFUSED: u8 = 34;
const COMPONENT_NOT_FOUND: u8 = 35;
const COMPONENT_BOUND: u8 = 36;
const COMPONENT_TOO_LARGE: u8 = 37;
const BINDING_NOT_FOUND: u8 = 38;
const CONFLICT: u8 = 39;
const INVALID_COMPONENT: u8 = 40;

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
        Refusal::ComponentBound { digest, binding } => {
            texts(out, COMPONENT_BOUND, &[digest, binding]);
        }
        Refusal::ComponentTooLarge { bytes, max } => {
            numbers(out, COMPONENT_TOO_LARGE, &[*bytes as u64, *max as u64]);
        }
        Refusal::BindingNotFound(name) => texts(out, BINDING_NOT_FOUND, &[name]),
        Refusal::Conflict { binding } => texts(out, CONFLICT, &[binding]),
        Refusal::InvalidComponent(why) => texts(out, INVALID_COMPONENT, &[why]),
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
        COMPONENT_BOUND => Refusal::ComponentBound { digest: text(b)?, binding: text(b)? },
        COMPONENT_TOO_LARGE => {
            Refusal::ComponentTooLarge { bytes: number(b)? as usize, max: number(b)? as usize }
        }
        BINDING_NOT_FOUND => Refusal::BindingNotFound(text(b)?),
        CONFLICT => Refusal::Conflict { binding: text(b)? },
        INVALID_COMPONENT => Refusal::InvalidComponent(text(b)?),
        other => return Err(WireError(format!("refusal {other} is not known"))),
    })
}

fn numbers(out: &mut BytesMut, code: u8, values: &[u64]) {
    out.put_u8(code);
    values.iter().for_each(|value| out.put_u64(*value));
}

fn texts(out: &mut BytesMut, code: u8, values: &[&str]) {
    out.put_u8(code);
    for value in values {
        out.put_u32(value.len() as u32);
        out.put_slice(value.as_bytes());
    }
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
