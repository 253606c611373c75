//! Which rows were saved lately.
//!
//! A message is looked for when it is saved, and its client id when its chat decides on it: as a rule neither is there. To find that
//! out the engine looks into the filter of each table that is not merged yet, a dozen of them; that was 6% of all CPU of a message. One
//! filter for what they all hold answers at once. Where it says no, only what was saved before remains to be asked: the engine passes
//! over tables that hold nothing older than the number that it is given.

use std::sync::atomic::{AtomicUsize, Ordering};

use fastbloom::AtomicBloomFilter;
use lsm_tree::SeqNo;
use parking_lot::RwLock;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::keys::{RowKey, Table};

/// A filter that knows so many rows is followed by another: what 14 tables hold, if each has 37,000 messages and their client ids.
/// (Tests pass through many.)
const ROWS: usize = if cfg!(test) { 16 } else { 1 << 20 };
/// With this each filter takes less than one row in a hundred for a recent one that is not.
const BITS_PER_ROW: usize = 10;

/// The rows of some tables that were saved lately.
pub(super) struct Recent {
    /// Of this process: nobody can choose rows whose hashes are the same.
    seed: u64,
    kept: RwLock<Kept>,
}

struct Kept {
    /// The number of the first save that the filters know of: they know all since.
    since: SeqNo,
    newest: Option<Filter>,
    before: Option<Filter>,
}

struct Filter {
    /// The number of the first save that it knows of.
    since: SeqNo,
    rows: AtomicUsize,
    hashes: AtomicBloomFilter,
}

impl Recent {
    /// Knows nothing yet of what will be saved from this number on.
    pub(super) fn new(since: SeqNo) -> Self {
        Self {
            seed: rand::random(),
            kept: RwLock::new(Kept {
                since,
                newest: None,
                before: None,
            }),
        }
    }

    /// Of a row that has not been saved lately, the first save that is known not to have it, nor any after it.
    pub(super) fn first_without(&self, key: &RowKey) -> Option<SeqNo> {
        if !is_covered(key) {
            return None;
        }
        let hash = self.hash(key);
        let kept = self.kept.read();
        let mut filters = kept.newest.iter().chain(&kept.before);
        let is_recent = filters.any(|filter| filter.hashes.contains_hash(hash));
        (!is_recent).then_some(kept.since)
    }

    /// These rows are being saved under this number. To be called before readers are shown the table that holds them.
    pub(super) fn saving<'a>(&self, keys: impl Iterator<Item = &'a RowKey>, number: SeqNo) {
        self.make_room(number);
        let kept = self.kept.read();
        let Some(newest) = &kept.newest else { return };
        for key in keys.filter(|key| is_covered(key)) {
            newest.hashes.insert_hash(self.hash(key));
            newest.rows.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn make_room(&self, number: SeqNo) {
        let has_room = |filter: &Filter| filter.rows.load(Ordering::Relaxed) < ROWS;
        if self.kept.read().newest.as_ref().is_some_and(has_room) {
            return;
        }
        let next = Filter {
            since: number,
            rows: AtomicUsize::new(0),
            hashes: AtomicBloomFilter::with_num_bits(ROWS * BITS_PER_ROW).expected_items(ROWS),
        };
        let mut kept = self.kept.write();
        let newest = kept.newest.replace(next);
        let forgotten = std::mem::replace(&mut kept.before, newest);
        if let Some(oldest) = kept.before.as_ref().filter(|_| forgotten.is_some()) {
            kept.since = oldest.since;
        }
    }

    fn hash(&self, key: &RowKey) -> u64 {
        xxh3_64_with_seed(key.bytes(), self.seed)
    }
}

/// Whether rows of its table are looked for one by one before they are there.
fn is_covered(key: &RowKey) -> bool {
    matches!(key.table(), Table::Messages | Table::ClientIds)
}

#[cfg(test)]
mod tests {
    use confab_chat::{ChatKey, UserId};
    use proptest::prelude::*;

    use super::*;
    use crate::Key;
    use crate::embedded::keys;

    fn message(id: u64) -> RowKey {
        let user = UserId::parse("ann").unwrap();
        keys::encode(&Key::Message(ChatKey::dialog(&user, &user), id))
    }

    proptest! {
        /// What it says of a row is never that it was not saved when it was.
        #[test]
        fn no_row_is_looked_for_only_below_its_number(saves in prop::collection::vec(prop::collection::vec(0..500_u64, 0..30), 1..20)) {
            let recent = Recent::new(7);
            let mut numbers = std::collections::BTreeMap::new();
            for (ids, number) in saves.into_iter().zip(7..) {
                let rows: Vec<_> = ids.iter().map(|id| message(*id)).collect();
                recent.saving(rows.iter(), number);
                numbers.extend(ids.into_iter().map(|id| (id, number)));
                for (id, number) in &numbers {
                    let first = recent.first_without(&message(*id));
                    prop_assert!(first.is_none_or(|first| *number < first), "{id} of {number}: {first:?}");
                }
            }
        }
    }

    #[test]
    fn a_new_row_is_looked_for_in_what_the_filters_do_not_know() {
        let recent = Recent::new(7);
        let without = |first: SeqNo| {
            let new = (10_000..11_000).filter(|id| recent.first_without(&message(*id)) == Some(first));
            new.count()
        };
        assert_eq!(without(7), 1000, "nothing is saved yet");
        let rows = |from: u64| -> Vec<_> { (from..from + ROWS as u64).map(message).collect() };
        recent.saving(rows(0).iter(), 7);
        recent.saving(rows(100).iter(), 8);
        assert!(without(7) > 900, "{}", without(7));
        recent.saving(rows(200).iter(), 9);
        assert!(without(8) > 900, "the first filter is forgotten: {}", without(8));
        assert_eq!(recent.first_without(&message(210)), None);
    }

    #[test]
    fn other_tables_are_looked_for_everywhere() {
        let user = UserId::parse("ann").unwrap();
        let recent = Recent::new(7);
        assert_eq!(recent.first_without(&keys::encode(&Key::User(user))), None);
    }
}
