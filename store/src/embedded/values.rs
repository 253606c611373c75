//! The bytes of the embedded store's values: a timestamp, in the inbox an expiry, and the row.

use std::cmp::Ordering;

use bytes::Bytes;
use confab_chat::Timestamp;
use lsm_tree::Slice;

use super::keys::Table;
use crate::{StoreError, Write};

/// A value as it stands in memory and on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored(Slice);

impl Stored {
    /// Puts a value's bytes behind others.
    pub(super) fn encode_to(bytes: &mut Vec<u8>, table: Table, write: &Write) {
        bytes.extend_from_slice(&write.timestamp.to_be_bytes());
        if table == Table::Inbox {
            bytes.extend_from_slice(&write.expires.map_or(0, |at| at.0).to_be_bytes());
        }
        bytes.extend_from_slice(&write.value);
    }

    /// A value as [`encode_to`](Self::encode_to) has it.
    pub(super) fn from_bytes(bytes: Slice) -> Self {
        Self(bytes)
    }

    /// Takes a value from disk.
    ///
    /// # Errors
    /// `Corrupt`: it is too short.
    pub(super) fn from_disk(table: Table, bytes: Slice) -> Result<Self, StoreError> {
        if bytes.len() < head_bytes(table) {
            return Err(StoreError::Corrupt(format!("a value of {}", table.name())));
        }
        Ok(Self(bytes))
    }

    /// The same value in memory of its own: one from disk keeps all of its block.
    pub(super) fn copied(&self) -> Self {
        Self(Slice::new(&self.0))
    }

    pub(super) fn on_disk(&self) -> &Slice {
        &self.0
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn timestamp(&self) -> u64 {
        number_at(&self.0, 0)
    }

    pub(super) fn value(&self, table: Table) -> Bytes {
        Bytes::copy_from_slice(&self.0[head_bytes(table)..])
    }

    pub(super) fn is_expired(&self, table: Table, now: Timestamp) -> bool {
        table == Table::Inbox && has_expired(&self.0, now)
    }

    /// Whether this one stands against another of the same key; of equals, the other does.
    pub(super) fn beats(&self, other: &Self) -> bool {
        // Timestamps are big-endian and come first, then the bytes.
        self.0.cmp(&other.0) == Ordering::Greater
    }
}

/// Whether a value of the inbox has expired.
pub(super) fn has_expired(value: &[u8], now: Timestamp) -> bool {
    let expires = number_at(value, 8);
    expires != 0 && expires <= now.0
}

fn head_bytes(table: Table) -> usize {
    if table == Table::Inbox { 16 } else { 8 }
}

pub(super) fn number_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, u64::from_be_bytes)
}
