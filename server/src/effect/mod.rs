//! What a log entry may carry: the effects of decisions, never code and never conditions, and the
//! chain that ties each entry to the one before. Applying an effect cannot fail.

mod author;
mod chain;
mod codec;
mod entry;
mod plugin;
mod plugin_codec;

pub use author::Author;
pub use chain::ChainId;
pub use codec::{
    CodecError, decode, decode_effects, encode, encode_around, encode_effect, peek_id,
};
pub use entry::{Alarm, AlarmKind, Attributes, Component, Effect, Entry};
pub use plugin::{
    Binding, BindingId, FailurePolicy, Grants, Isolation, Mode, Plugin, PluginLimits, PluginRecord,
    Point, TriggerState, TriggerStatus, hex,
};
pub use plugin_codec::mode_of;
