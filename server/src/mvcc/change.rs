//! What applying an effect did to one key: for the history, the store and the watchers.

use bytes::Bytes;
use triomphe::Arc;

use crate::effect::Author;
use crate::types::{Item, Revision};

/// One change of one key.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    pub at: Revision,
    pub what: What,
    /// The live item it took the place of.
    pub prev: Option<Item>,
    /// The plugin that made it; none for a client's own.
    pub author: Option<Arc<Author>>,
}

/// The record that a change leaves in the store.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Put(Item),
    Delete { key: Bytes },
}

impl Change {
    pub fn key(&self) -> &[u8] {
        self.what.key()
    }

    pub fn is_delete(&self) -> bool {
        matches!(self.what, What::Delete { .. })
    }
}

impl What {
    pub fn key(&self) -> &[u8] {
        match self {
            What::Put(item) => item.key(),
            What::Delete { key } => key,
        }
    }
}
