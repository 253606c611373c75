//! Removes expired rows from the disk: merges leave them behind.
//!
//! Readers pass over expired rows themselves, so nobody waits for this.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use confab_chat::Timestamp;
use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};

use super::keys::{RowKey, Table};
use super::values;

/// What a merge has to know.
#[derive(Debug, Default)]
pub(super) struct Merging {
    /// The time by which rows have expired.
    pub(super) now: AtomicU64,
    /// The store is closed: a merge that is under way ends, and the tables stay as they were.
    pub(super) stopped: AtomicBool,
}

/// Makes the filter of each merge.
pub(super) struct Expiry(pub(super) Arc<Merging>);

impl Factory for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Filter {
            now: Timestamp(self.0.now.load(Ordering::Relaxed)),
            merging: Arc::clone(&self.0),
        })
    }
}

struct Filter {
    now: Timestamp,
    merging: Arc<Merging>,
}

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        if self.merging.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        let of_inbox = RowKey::table_of(item.key()) == Some(Table::Inbox);
        if of_inbox && values::has_expired(&item.value()?, self.now) {
            return Ok(Verdict::Remove);
        }
        Ok(Verdict::Keep)
    }
}
