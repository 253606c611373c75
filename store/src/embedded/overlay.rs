//! The rows that are not saved yet, as readers see them.
//!
//! Of each key the row that stands, in shards by partition key: whoever holds a shard's lock sees all rows of a [`Range`](crate::Range),
//! and of an actor's state either all parts of a batch or none.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use parking_lot::Mutex;

use super::keys::{RowKey, SHARDS};
use super::values::Stored;

#[derive(Debug)]
pub(super) struct Overlay(Box<[Mutex<BTreeMap<RowKey, Fresh>>]>);

/// A row that is not saved yet.
#[derive(Debug)]
struct Fresh {
    stored: Stored,
    /// Which write made it.
    number: u64,
}

/// A row that waits to be saved.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) key: RowKey,
    pub(super) shard: u64,
    pub(super) stored: Stored,
    pub(super) number: u64,
}

impl Overlay {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Mutex::default()).collect())
    }

    fn shard(&self, shard: u64) -> &Mutex<BTreeMap<RowKey, Fresh>> {
        // Below a small number by construction.
        &self.0[usize::try_from(shard).unwrap_or(0)]
    }

    /// Puts rows in, each at its own moment. Keeps in `rows` those that stand now.
    pub(super) fn put(&self, rows: &mut Vec<Pending>) {
        rows.retain(|row| put(&mut self.shard(row.shard).lock(), row));
    }

    /// Puts rows of one shard in, all at one moment. Keeps in `rows` those that stand now.
    pub(super) fn put_together(&self, rows: &mut Vec<Pending>) {
        let Some(first) = rows.first() else { return };
        let mut shard = self.shard(first.shard).lock();
        rows.retain(|row| put(&mut shard, row));
    }

    pub(super) fn get(&self, key: &RowKey, shard: u64) -> Option<Stored> {
        self.shard(shard)
            .lock()
            .get(key)
            .map(|fresh| fresh.stored.clone())
    }

    /// All rows from one key to before another, for each of these spans, at one moment.
    pub(super) fn range(&self, spans: &[(RowKey, RowKey)], shard: u64) -> Vec<(RowKey, Stored)> {
        let shard = self.shard(shard).lock();
        let rows = spans.iter().flat_map(|(from, to)| shard.range(from..to));
        rows.map(|(key, fresh)| (key.clone(), fresh.stored.clone()))
            .collect()
    }

    /// The last row from one key to before another.
    pub(super) fn last(&self, from: &RowKey, to: &RowKey, shard: u64) -> Option<RowKey> {
        self.shard(shard)
            .lock()
            .range(from..to)
            .next_back()
            .map(|(key, _)| key.clone())
    }

    /// Takes saved rows out, those of a shard one after the other, except where a later write has replaced one.
    pub(super) fn remove(&self, rows: &[&Pending]) {
        for rows in rows.chunk_by(|a, b| a.shard == b.shard) {
            let mut shard = self.shard(rows[0].shard).lock();
            for row in rows {
                if let Entry::Occupied(fresh) = shard.entry(row.key.clone())
                    && fresh.get().number == row.number
                {
                    fresh.remove();
                }
            }
        }
    }
}

/// Whether the row stands now. One that does not is older than (or the same as) one that will be saved.
fn put(shard: &mut BTreeMap<RowKey, Fresh>, row: &Pending) -> bool {
    let fresh = || Fresh {
        stored: row.stored.clone(),
        number: row.number,
    };
    match shard.entry(row.key.clone()) {
        Entry::Vacant(place) => {
            place.insert(fresh());
            true
        }
        Entry::Occupied(mut place) => {
            let stands = row.stored.beats(&place.get().stored);
            if stands {
                place.insert(fresh());
            }
            stands
        }
    }
}
