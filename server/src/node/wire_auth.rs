//! Changes of auth between members, and on whose behalf a question is asked. A credential is handed
//! over as it is: only the leader's head can tell what it is worth when the decision is made.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use super::ask::Ask;
use super::wire::{self, WireError};
use crate::auth::Caller;
use crate::decide::AuthAsk;

/// In front of a question that is not the server's own.
const ON_BEHALF: u8 = 32;

mod caller_tag {
    pub const NOBODY: u8 = 1;
    pub const INVALID: u8 = 2;
    pub const TOKEN: u8 = 3;
    pub const SIGNED: u8 = 4;
    pub const NAMED: u8 = 5;
}

mod ask_tag {
    pub const ENABLE: u8 = 1;
    pub const DISABLE: u8 = 2;
    pub const USER_ADD: u8 = 3;
    pub const USER_DELETE: u8 = 4;
    pub const USER_CHANGE_PASSWORD: u8 = 5;
    pub const USER_GRANT_ROLE: u8 = 6;
    pub const USER_REVOKE_ROLE: u8 = 7;
    pub const ROLE_ADD: u8 = 8;
    pub const ROLE_DELETE: u8 = 9;
    pub const ROLE_GRANT: u8 = 10;
    pub const ROLE_REVOKE: u8 = 11;
    pub const ASSIGN: u8 = 12;
    pub const RENEW: u8 = 13;
}

/// A question, and who asks it.
pub fn encode(caller: &Caller, ask: &Ask) -> Bytes {
    let ask = wire::encode_ask(ask);
    let mut out = BytesMut::with_capacity(64);
    match caller {
        Caller::Server => return ask,
        Caller::Nobody => out.put_slice(&[ON_BEHALF, caller_tag::NOBODY]),
        Caller::Invalid => out.put_slice(&[ON_BEHALF, caller_tag::INVALID]),
        Caller::Token(digest) => {
            out.put_slice(&[ON_BEHALF, caller_tag::TOKEN]);
            put(&mut out, digest);
        }
        Caller::Signed { user, revision } => {
            out.put_slice(&[ON_BEHALF, caller_tag::SIGNED]);
            put(&mut out, user.as_bytes());
            out.put_u64(*revision);
        }
        Caller::Named(user) => {
            out.put_slice(&[ON_BEHALF, caller_tag::NAMED]);
            put(&mut out, user.as_bytes());
        }
    }
    out.put_slice(&ask);
    out.freeze()
}

/// Reads [`encode`] back.
pub fn decode(mut bytes: Bytes) -> Result<(Caller, Ask), WireError> {
    if bytes.first() != Some(&ON_BEHALF) {
        return Ok((Caller::Server, wire::decode_ask(bytes)?));
    }
    bytes.advance(1);
    let caller = match byte(&mut bytes)? {
        caller_tag::NOBODY => Caller::Nobody,
        caller_tag::INVALID => Caller::Invalid,
        caller_tag::TOKEN => Caller::Token(take(&mut bytes)?),
        caller_tag::SIGNED => {
            Caller::Signed { user: text(&mut bytes)?, revision: long(&mut bytes)? }
        }
        caller_tag::NAMED => Caller::Named(text(&mut bytes)?),
        other => return Err(WireError(format!("caller {other} is not known"))),
    };
    Ok((caller, wire::decode_ask(bytes)?))
}

pub fn encode_ask(ask: &AuthAsk, out: &mut BytesMut) {
    match ask {
        AuthAsk::Enable => out.put_u8(ask_tag::ENABLE),
        AuthAsk::Disable => out.put_u8(ask_tag::DISABLE),
        AuthAsk::UserAdd(ask) => message(out, ask_tag::USER_ADD, ask),
        AuthAsk::UserDelete(ask) => message(out, ask_tag::USER_DELETE, ask),
        AuthAsk::UserChangePassword(ask) => message(out, ask_tag::USER_CHANGE_PASSWORD, ask),
        AuthAsk::UserGrantRole(ask) => message(out, ask_tag::USER_GRANT_ROLE, ask),
        AuthAsk::UserRevokeRole(ask) => message(out, ask_tag::USER_REVOKE_ROLE, ask),
        AuthAsk::RoleAdd(ask) => message(out, ask_tag::ROLE_ADD, ask),
        AuthAsk::RoleDelete(ask) => message(out, ask_tag::ROLE_DELETE, ask),
        AuthAsk::RoleGrantPermission(ask) => message(out, ask_tag::ROLE_GRANT, ask),
        AuthAsk::RoleRevokePermission(ask) => message(out, ask_tag::ROLE_REVOKE, ask),
        AuthAsk::Assign { digest, user, revision, until_ms } => {
            out.put_u8(ask_tag::ASSIGN);
            put(out, digest);
            put(out, user.as_bytes());
            out.put_u64(*revision);
            out.put_u64(*until_ms);
        }
        AuthAsk::Renew { digest, until_ms } => {
            out.put_u8(ask_tag::RENEW);
            put(out, digest);
            out.put_u64(*until_ms);
        }
    }
}

pub fn decode_ask(mut bytes: Bytes) -> Result<AuthAsk, WireError> {
    Ok(match byte(&mut bytes)? {
        ask_tag::ENABLE => AuthAsk::Enable,
        ask_tag::DISABLE => AuthAsk::Disable,
        ask_tag::USER_ADD => AuthAsk::UserAdd(Message::decode(bytes)?),
        ask_tag::USER_DELETE => AuthAsk::UserDelete(Message::decode(bytes)?),
        ask_tag::USER_CHANGE_PASSWORD => AuthAsk::UserChangePassword(Message::decode(bytes)?),
        ask_tag::USER_GRANT_ROLE => AuthAsk::UserGrantRole(Message::decode(bytes)?),
        ask_tag::USER_REVOKE_ROLE => AuthAsk::UserRevokeRole(Message::decode(bytes)?),
        ask_tag::ROLE_ADD => AuthAsk::RoleAdd(Message::decode(bytes)?),
        ask_tag::ROLE_DELETE => AuthAsk::RoleDelete(Message::decode(bytes)?),
        ask_tag::ROLE_GRANT => AuthAsk::RoleGrantPermission(Message::decode(bytes)?),
        ask_tag::ROLE_REVOKE => AuthAsk::RoleRevokePermission(Message::decode(bytes)?),
        ask_tag::ASSIGN => AuthAsk::Assign {
            digest: take(&mut bytes)?,
            user: text(&mut bytes)?,
            revision: long(&mut bytes)?,
            until_ms: long(&mut bytes)?,
        },
        ask_tag::RENEW => AuthAsk::Renew { digest: take(&mut bytes)?, until_ms: long(&mut bytes)? },
        other => return Err(WireError(format!("change of auth {other} is not known"))),
    })
}

fn message(out: &mut BytesMut, tag: u8, message: &impl Message) {
    out.put_u8(tag);
    out.reserve(message.encoded_len());
    message.encode_raw(out);
}

fn put(out: &mut BytesMut, bytes: &[u8]) {
    out.put_u32(bytes.len() as u32);
    out.put_slice(bytes);
}

fn take(bytes: &mut Bytes) -> Result<Bytes, WireError> {
    let len = bytes.try_get_u32().map_err(|_| ends_early())? as usize;
    if bytes.len() < len {
        return Err(ends_early());
    }
    Ok(bytes.split_to(len))
}

fn text(bytes: &mut Bytes) -> Result<String, WireError> {
    String::from_utf8(take(bytes)?.into()).map_err(|error| WireError(error.to_string()))
}

fn byte(bytes: &mut Bytes) -> Result<u8, WireError> {
    bytes.try_get_u8().map_err(|_| ends_early())
}

fn long(bytes: &mut Bytes) -> Result<u64, WireError> {
    bytes.try_get_u64().map_err(|_| ends_early())
}

fn ends_early() -> WireError {
    WireError("it ends early".into())
}

#[cfg(test)]
#[path = "wire_auth_test.rs"]
mod tests;
