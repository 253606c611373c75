//! What a merge does beside merging: it leaves expired rows behind, and keeps its pace.
//!
//! Readers pass over expired rows themselves, so nobody waits for them to go.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use confab_chat::Timestamp;
use lsm_tree::compaction::filter::{CompactionFilter, Context, Factory, ItemAccessor, Verdict};

use super::keys::{RowKey, Table};
use super::pace::Pace;
use super::values;

/// What a merge has to know.
#[derive(Debug, Default)]
pub(super) struct Merging {
    /// The time by which rows have expired.
    pub(super) now: AtomicU64,
    /// The store is closed: a merge that is under way ends, and the tables stay as they were.
    pub(super) stopped: AtomicBool,
    /// More tables wait to be merged than should.
    pub(super) behind: AtomicBool,
}

/// Makes the filter of each merge.
pub(super) struct Expiry {
    pub(super) merging: Arc<Merging>,
    /// Where the engine has its files.
    pub(super) tree: PathBuf,
}

impl Factory for Expiry {
    fn name(&self) -> &'static str {
        "expiry"
    }

    fn make_filter(&self, _: &Context) -> Box<dyn CompactionFilter> {
        Box::new(Filter {
            now: Timestamp(self.merging.now.load(Ordering::Relaxed)),
            merging: Arc::clone(&self.merging),
            pace: Pace::new(&self.tree),
        })
    }
}

struct Filter {
    now: Timestamp,
    merging: Arc<Merging>,
    pace: Pace,
}

impl CompactionFilter for Filter {
    fn filter_item(&mut self, item: ItemAccessor<'_>, _: &Context) -> lsm_tree::Result<Verdict> {
        if self.merging.stopped.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::Interrupted).into());
        }
        let (key, value) = (item.key(), item.value()?);
        let hurry = self.merging.behind.load(Ordering::Relaxed);
        self.pace.merged(key.len() + value.len(), hurry);
        if RowKey::table_of(key) == Some(Table::Inbox) && values::has_expired(&value, self.now) {
            return Ok(Verdict::Remove);
        }
        Ok(Verdict::Keep)
    }
}
