//! What a log entry may carry: the effects of decisions, never code and never conditions, and the
//! chain that ties each entry to the one before. Applying an effect cannot fail.

mod chain;
mod codec;
mod entry;

pub use chain::ChainId;
pub use codec::{
    CodecError, decode, decode_effects, encode, encode_around, encode_effect, peek_id,
};
pub use entry::{
    Alarm, AlarmKind, Attributes, Author, Binding, Component, Effect, Entry, FailurePolicy,
};
