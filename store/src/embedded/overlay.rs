//! The rows that are not saved yet, as readers see them.
//!
//! They are in an order of their own: see `place`.
//!
//! Two generations, in shards by partition key: the fresh rows, and those that are being saved. Whoever holds a shard's lock
//! sees all rows of a [`Range`](crate::Range) that are not on disk yet, and of an actor's state either all parts of a batch
//! or none. Of a key that both generations have the fresh row stands: one that does not is never put in.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::keys::{RowKey, SHARDS};
use super::place::{self, Place, Rows};
use super::values::Stored;

/// What a row takes in memory beside its bytes, roughly.
const ROW_OVERHEAD: usize = 136;

#[derive(Debug)]
pub(super) struct Overlay {
    shards: Box<[Mutex<Shard>]>,
    /// Shared by writers for as long as they put the rows of one write in, so that a generation has all of them or none.
    line: RwLock<()>,
}

#[derive(Debug, Default)]
struct Shard {
    fresh: Rows,
    saving: Arc<Rows>,
}

/// All rows that are being saved, one map a shard, the shards in order.
pub(super) type Generation = Vec<Arc<Rows>>;

impl Overlay {
    pub(super) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            line: RwLock::new(()),
        }
    }

    fn shard(&self, key: &RowKey) -> &Mutex<Shard> {
        &self.shards[key.shard()]
    }

    /// Puts the rows of one write in, each at its own moment. Returns how many bytes more there are now.
    pub(super) fn put(&self, rows: Vec<(RowKey, Stored)>) -> usize {
        let _line = self.line.read();
        let put = |(key, stored)| {
            let place = Place::of(key);
            self.shard(place.key()).lock().put(place, stored)
        };
        rows.into_iter().map(put).sum()
    }

    /// Puts rows of one shard in, all at one moment. Returns how many bytes more there are now.
    pub(super) fn put_together(&self, rows: Vec<(RowKey, Stored)>) -> usize {
        let Some((first, _)) = rows.first() else { return 0 };
        let _line = self.line.read();
        let mut shard = self.shard(first).lock();
        let put = |(key, stored)| shard.put(Place::of(key), stored);
        rows.into_iter().map(put).sum()
    }

    pub(super) fn get(&self, key: &RowKey) -> Option<Stored> {
        let place = Place::of(key.clone());
        self.shard(key).lock().get(&place).cloned()
    }

    /// The first rows from one key to before another that are wanted (or the last ones, where it goes `down`), at most so many,
    /// in order; for each of these spans of one shard, at one moment.
    pub(super) fn range(
        &self,
        spans: &[(RowKey, RowKey)],
        (limit, down): (usize, bool),
        wanted: impl Fn(&Stored) -> bool,
    ) -> Vec<(RowKey, Stored)> {
        let Some((first, _)) = spans.first() else {
            return Vec::new();
        };
        let shard = self.shard(first).lock();
        let range = |(from, to): &_| shard.range(from, to, (limit, down), &wanted);
        spans.iter().flat_map(range).collect()
    }

    /// The last row from one key to before another.
    pub(super) fn last(&self, from: &RowKey, to: &RowKey) -> Option<RowKey> {
        let shard = self.shard(from).lock();
        let last = |rows| {
            place::between(rows, from, to)
                .next_back()
                .map(|(key, _)| key.clone())
        };
        last(&shard.fresh).max(last(&shard.saving))
    }

    /// Draws the line: what is fresh now is to be saved, and what comes goes behind it. `at` is called while no write is under
    /// way.
    pub(super) fn rotate<T>(&self, at: impl FnOnce() -> T) -> (Generation, T) {
        let _line = self.line.write();
        let rotate = |shard: &Mutex<Shard>| {
            let mut shard = shard.lock();
            shard.saving = Arc::new(std::mem::take(&mut shard.fresh));
            Arc::clone(&shard.saving)
        };
        (self.shards.iter().map(rotate).collect(), at())
    }

    #[cfg(test)]
    pub(super) fn is_saving(&self) -> bool {
        self.shards.iter().any(|shard| !shard.lock().saving.is_empty())
    }

    /// What was being saved is on disk.
    pub(super) fn settle(&self) {
        let empty = Arc::new(Rows::new());
        for shard in &self.shards {
            let saved = std::mem::replace(&mut shard.lock().saving, Arc::clone(&empty));
            drop(saved);
        }
    }
}

impl Shard {
    /// Puts a row in unless another one stands. Returns how many bytes more there are now: what shares memory with others
    /// is there until all is saved, whether it stands or not.
    fn put(&mut self, place: Place, stored: Stored) -> usize {
        let shared = place.key().table().is_written_once();
        match self.fresh.entry(place) {
            Entry::Occupied(mut occupied) => {
                let stands = stored.beats(occupied.get());
                if !stands && !shared {
                    return 0;
                }
                let earlier = if shared { 0 } else { occupied.get().len() };
                let bytes = stored.len().saturating_sub(earlier);
                if stands {
                    occupied.insert(stored);
                }
                bytes
            }
            Entry::Vacant(vacant) => {
                let saving = self.saving.get(vacant.key());
                if saving.is_some_and(|saving| !stored.beats(saving)) {
                    return if shared { stored.len() } else { 0 };
                }
                let bytes = vacant.key().key().len() + stored.len() + ROW_OVERHEAD;
                vacant.insert(stored);
                bytes
            }
        }
    }

    fn get(&self, place: &Place) -> Option<&Stored> {
        self.fresh.get(place).or_else(|| self.saving.get(place))
    }

    fn range(
        &self,
        from: &RowKey,
        to: &RowKey,
        (limit, down): (usize, bool),
        wanted: impl Fn(&Stored) -> bool,
    ) -> Vec<(RowKey, Stored)> {
        let rows = |rows: &Rows| -> Vec<_> {
            let rows = place::between(rows, from, to).filter(|(_, stored)| wanted(stored));
            let rows = rows.map(|(key, stored)| (key.clone(), stored.clone()));
            if down {
                let mut last: Vec<_> = rows.rev().take(limit).collect();
                last.reverse();
                last
            } else {
                rows.take(limit).collect()
            }
        };
        let (mut all, saving) = (rows(&self.fresh), rows(&self.saving));
        if !saving.is_empty() {
            all.extend(saving);
            // The sort is stable: of two the fresh one comes first.
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
            all.dedup_by(|(later, _), (first, _)| later == first);
        }
        all
    }
}
