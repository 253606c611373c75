//! Rows that were read from disk one by one, as they stand there: finding one in a table costs several times as much.
//!
//! What stands on disk changes when a table is saved, and only then. So each row here is of an age, and a save begins the next
//! one, before its rows leave the overlay: whoever does not find a row there any more does not find an earlier one here.

use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::keys::RowKey;
use super::values::Stored;

/// What a row takes beside its bytes, roughly.
const ROW_OVERHEAD: u64 = 120;
/// How large a row is, roughly.
const ROW_BYTES: u64 = 300;

pub(super) struct RowCache {
    age: AtomicU64,
    rows: Cache<RowKey, Aged, Bytes>,
}

#[derive(Clone)]
struct Aged {
    age: u64,
    stored: Stored,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<RowKey, Aged> for Bytes {
    fn weight(&self, key: &RowKey, row: &Aged) -> u64 {
        (key.len() + row.stored.len()) as u64 + ROW_OVERHEAD
    }
}

impl RowCache {
    pub(super) fn new(bytes: u64) -> Self {
        let rows = usize::try_from(bytes / ROW_BYTES).unwrap_or(usize::MAX);
        Self {
            age: AtomicU64::new(0),
            rows: Cache::with_weighter(rows, bytes, Bytes),
        }
    }

    /// The age: to be asked for before a row is read from disk.
    pub(super) fn age(&self) -> u64 {
        self.age.load(Ordering::SeqCst)
    }

    /// A table was saved.
    pub(super) fn begin_next_age(&self) {
        self.age.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn get(&self, key: &RowKey) -> Option<Stored> {
        let row = self.rows.get(key)?;
        (row.age == self.age()).then_some(row.stored)
    }

    /// Keeps a row that was read from disk at an age.
    pub(super) fn keep(&self, key: &RowKey, stored: &Stored, age: u64) {
        let stored = stored.copied();
        self.rows.insert(key.clone(), Aged { age, stored });
    }
}
