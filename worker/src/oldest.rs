//! How long the oldest entry that a loop has at hand waits to be applied. The loop says when it takes a batch and when it is done with it;
//! the keeper tells the age, so that it grows while the loop itself hangs in a write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use confab_chat::{Partition, Timestamp};

use crate::metrics;

/// The time of each partition's oldest entry at hand, in milliseconds; 0 where none is.
#[derive(Clone, Debug)]
pub(crate) struct Oldest(Arc<[AtomicU64]>);

impl Oldest {
    pub(crate) fn new(partitions: u16) -> Self {
        Self((0..partitions).map(|_| AtomicU64::new(0)).collect())
    }

    /// A batch begins with an entry of this time. A loop that begins again takes the same one.
    pub(crate) fn taken(&self, partition: Partition, time: Timestamp) {
        self.set(partition, time.0);
    }

    /// All effects of the batch are out, or the partition is no longer this worker's.
    pub(crate) fn none_left(&self, partition: Partition) {
        self.set(partition, 0);
    }

    /// Tells the age.
    pub(crate) fn report(&self, partition: Partition, now: Timestamp) {
        metrics::oldest_entry(partition.0, self.age(partition, now));
    }

    fn age(&self, partition: Partition, now: Timestamp) -> u64 {
        match self.slot(partition).map(|slot| slot.load(Ordering::Relaxed)) {
            None | Some(0) => 0,
            Some(time) => now.0.saturating_sub(time),
        }
    }

    fn set(&self, partition: Partition, time: u64) {
        if let Some(slot) = self.slot(partition) {
            slot.store(time, Ordering::Relaxed);
        }
    }

    fn slot(&self, partition: Partition) -> Option<&AtomicU64> {
        self.0.get(usize::from(partition.0))
    }
}

#[cfg(test)]
mod tests {
    use super::Oldest;
    use confab_chat::{Partition, Timestamp};

    #[test]
    fn an_entry_ages_until_its_batch_is_done() {
        let oldest = Oldest::new(2);
        let (one, other) = (Partition(0), Partition(1));
        assert_eq!(oldest.age(one, Timestamp(5000)), 0);
        oldest.taken(one, Timestamp(4000));
        assert_eq!(oldest.age(one, Timestamp(5000)), 1000);
        assert_eq!(oldest.age(one, Timestamp(9000)), 5000);
        assert_eq!(oldest.age(other, Timestamp(9000)), 0);
        // The log's clock may be a little ahead of this one.
        assert_eq!(oldest.age(one, Timestamp(3000)), 0);
        oldest.none_left(one);
        assert_eq!(oldest.age(one, Timestamp(9000)), 0);
    }
}
