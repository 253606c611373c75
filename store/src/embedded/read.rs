//! Reading: the overlay and the disk as one.

use std::cmp::Ordering;

use confab_chat::Timestamp;
use lsm_tree::table::filter::standard_bloom::Builder;
use lsm_tree::{AbstractTree, Guard, SeqNo, Slice};

use super::keys::{self, RowKey, Table};
use super::open::{Shared, store_error};
use super::ranges::Spans;
use super::values::Stored;
use crate::{Key, Range, Record, StoreError, Take};

type Row = (RowKey, Stored);

impl Shared {
    pub(super) fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        let row_key = keys::encode(&key);
        let table = row_key.table();
        let fresh = self.overlay.get(&row_key);
        let stands = match fresh {
            Some(fresh) if table.is_insert_only() => Some(fresh),
            fresh => {
                let saved = self.cached(&row_key)?;
                match (fresh, saved) {
                    (Some(fresh), Some(saved)) => Some(if saved.beats(&fresh) { saved } else { fresh }),
                    (fresh, saved) => fresh.or(saved),
                }
            }
        };
        let now = self.now();
        let stands = stands.filter(|stored| !stored.is_expired(table, now));
        Ok(stands.map(|stored| record(key, table, &stored)))
    }

    /// The row as it is saved, from memory where it was read lately.
    fn cached(&self, key: &RowKey) -> Result<Option<Stored>, StoreError> {
        if let Some(stored) = self.rows.get(key) {
            return Ok(Some(stored));
        }
        let age = self.rows.age();
        let saved = self.saved(key)?;
        if let Some(stored) = &saved {
            self.rows.keep(key, stored, age);
        }
        Ok(saved)
    }

    /// The row as it is saved.
    pub(super) fn saved(&self, key: &RowKey) -> Result<Option<Stored>, StoreError> {
        let found = self.on_disk_alone(key).map_err(|error| store_error(&error))?;
        found
            .map(|bytes| Stored::from_disk(key.table(), bytes))
            .transpose()
    }

    /// As the engine looks for a row, newest tables first; but where the row is not recent, it passes over tables that are.
    fn on_disk_alone(&self, key: &RowKey) -> lsm_tree::Result<Option<Slice>> {
        // In this order: what these tables hold of the recent rows was made known before they were shown. Tables of later could
        // hold the row in a form that is.
        let version = self.tree.current_version();
        let before = self.recent.first_without(key).unwrap_or(SeqNo::MAX);
        let hash = Builder::get_hash(key.bytes());
        let runs = version.iter_levels().flat_map(|level| level.iter());
        for table in runs.filter_map(|run| run.get_for_key(key.bytes())) {
            if let Some(row) = table.get(key.bytes(), before, hash)? {
                return Ok((!row.is_tombstone()).then_some(row.value));
            }
        }
        Ok(None)
    }

    pub(super) fn scan(&self, range: &Range, take: Take) -> Result<Vec<Record>, StoreError> {
        let spans = Spans::of(range, |from, to| self.last_key(from, to))?;
        let (limit, down) = match take {
            Take::All => (usize::MAX, false),
            Take::First(limit) => (limit, false),
            Take::Last(limit) => (limit, true),
        };
        let now = self.now();
        // The overlay first: what leaves it in between is on disk by then. Of runs that hold more than the range any may count.
        let of_each = if spans.is_exact() { limit } else { usize::MAX };
        let live = |stored: &Stored| !stored.is_expired(spans.table, now);
        let mut fresh = self.overlay.range(&spans.runs, (of_each, down), live);
        if down {
            fresh.reverse();
        }
        let mut found = Found {
            now,
            spans: &spans,
            limit,
            records: Vec::new(),
        };
        if limit > 0 {
            self.merge(&spans, fresh, down, &mut found)?;
        }
        Ok(found.records)
    }

    /// Gives the rows of both, in order, until there are enough.
    fn merge(
        &self,
        spans: &Spans,
        fresh: Vec<Row>,
        down: bool,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let order = |a: &RowKey, b: &RowKey| if down { b.cmp(a) } else { a.cmp(b) };
        let mut fresh = fresh.into_iter().peekable();
        let mut runs: Vec<_> = spans.runs.iter().collect();
        if down {
            runs.reverse();
        }
        for (from, to) in runs {
            // A run is read as it was at one moment, so a batch that is saved meanwhile is seen whole or not at all. Only marks
            // have several runs, and of them each row stands for itself.
            let mut saved = self.on_disk(from, to);
            while let Some(guard) = if down { saved.next_back() } else { saved.next() } {
                let (key, stored) = guard.into_inner().map_err(|error| store_error(&error))?;
                let key = RowKey::from_bytes(key);
                let mut stored = Stored::from_disk(spans.table, stored)?;
                while let Some(row) = fresh.next_if(|row| order(&row.0, &key) == Ordering::Less) {
                    if !found.take(&row.0, &row.1)? {
                        return Ok(());
                    }
                }
                if let Some((_, newer)) = fresh.next_if(|row| row.0 == key)
                    && newer.beats(&stored)
                {
                    stored = newer;
                }
                if !found.take(&key, &stored)? {
                    return Ok(());
                }
            }
        }
        for (key, stored) in fresh {
            if !found.take(&key, &stored)? {
                break;
            }
        }
        Ok(())
    }

    /// The last key from one to before another.
    fn last_key(&self, from: &RowKey, to: &RowKey) -> Result<Option<Key>, StoreError> {
        let fresh = self.overlay.last(from, to);
        let saved = self.on_disk(from, to).next_back().map(Guard::key).transpose();
        let saved = saved
            .map_err(|error| store_error(&error))?
            .map(RowKey::from_bytes);
        fresh.max(saved).map(|key| keys::decode(&key)).transpose()
    }

    /// The saved rows from one key to before another.
    fn on_disk(
        &self,
        from: &RowKey,
        to: &RowKey,
    ) -> impl DoubleEndedIterator<Item = impl Guard + use<>> + use<> {
        let range = from.on_disk().clone()..to.on_disk().clone();
        self.tree.range(range, SeqNo::MAX, None)
    }
}

/// The rows found so far.
struct Found<'a> {
    now: Timestamp,
    spans: &'a Spans,
    limit: usize,
    records: Vec<Record>,
}

impl Found<'_> {
    /// Takes a row if it is of the range. False once there are enough.
    fn take(&mut self, key: &RowKey, stored: &Stored) -> Result<bool, StoreError> {
        if stored.is_expired(self.spans.table, self.now) {
            return Ok(true);
        }
        let previous = self.records.last().map(|record| &record.key);
        let key = keys::decode_after(previous, key)?;
        if self.spans.contains(&key) {
            self.records.push(record(key, self.spans.table, stored));
        }
        Ok(self.records.len() < self.limit)
    }
}

fn record(key: Key, table: Table, stored: &Stored) -> Record {
    Record {
        key,
        timestamp: stored.timestamp(),
        value: stored.value(table),
    }
}
