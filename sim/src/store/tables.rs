//! The rows of one replica.

use std::collections::BTreeMap;

use bytes::Bytes;
use confab_chat::Timestamp;
use confab_store::{Key, Record, Write};

use super::ranges::Run;

/// A row's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The counter it was written with.
    pub timestamp: u64,
    /// Its bytes.
    pub value: Bytes,
    /// When it vanishes.
    pub expires: Option<Timestamp>,
}

impl Cell {
    /// Whether it has vanished.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// One replica, or several merged: rows by what they are scanned by.
#[derive(Debug, Default)]
pub(super) struct Replica(BTreeMap<Run, BTreeMap<Key, Cell>>);

impl Replica {
    pub(super) fn put(&mut self, row: &Write) {
        let cell = Cell {
            timestamp: row.timestamp,
            value: row.value.clone(),
            expires: row.expires,
        };
        self.take(&row.key, &cell);
    }

    /// Of two values the one with the higher timestamp stands, of equal ones the larger.
    pub(super) fn take(&mut self, key: &Key, cell: &Cell) {
        let order = |cell: &Cell| (cell.timestamp, cell.value.clone());
        let rows = self.0.entry(Run::of(key)).or_default();
        match rows.get_mut(key) {
            Some(known) if order(known) < order(cell) => *known = cell.clone(),
            Some(_) => {}
            None => {
                rows.insert(key.clone(), cell.clone());
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (key, cell) in other.0.values().flatten() {
            self.take(key, cell);
        }
    }

    /// The rows of a run.
    pub(super) fn rows(&self, run: &Run) -> impl Iterator<Item = (&Key, &Cell)> {
        self.0.get(run).into_iter().flatten()
    }

    pub(super) fn into_rows(self) -> Vec<(Key, Cell)> {
        self.0.into_values().flatten().collect()
    }

    pub(super) fn into_records(self) -> Vec<Record> {
        let record = |(key, cell): (Key, Cell)| Record {
            key,
            timestamp: cell.timestamp,
            value: cell.value,
        };
        self.into_rows().into_iter().map(record).collect()
    }
}
