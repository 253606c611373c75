//! The thread that merges tables, so that a reader has few of them to look into.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lsm_tree::compaction::Leveled;
use lsm_tree::{AbstractTree, SeqNo};
use parking_lot::{Condvar, Mutex};

use super::open::{Shared, Watch, store_error};
use crate::StoreError;

/// So many tables are left side by side before they are merged. With more of them a table is written again less often, and a
/// read looks into more: merging took half the CPU a message with twelve instead of six, and lists of chats took the same.
const UNMERGED: u8 = 12;
/// With so many the merger does not keep its pace any longer.
const BEHIND: usize = 14;
/// From so many on each table more makes the saver wait longer for the merger, so that writers are slowed down and not stopped.
pub(super) const SLOWED: usize = 20;
/// How much longer.
pub(super) const BRAKE: Duration = Duration::from_millis(if cfg!(test) { 5 } else { 100 });
/// With so many the saver waits for the merger, however long that takes.
pub(super) const MOST_UNMERGED: usize = 48;
/// How large a merged table is, roughly.
const TABLE_BYTES: u64 = 32 << 20;

/// What the merger waits for, and the saver for the merger.
#[derive(Debug, Default)]
pub(super) struct Merges {
    /// A table was saved since the merger last looked.
    saved: Mutex<bool>,
    wake: Condvar,
}

impl Merges {
    /// There is a new table.
    fn saved(&self) {
        *self.saved.lock() = true;
        self.wake.notify_all();
    }

    /// What is waited for may have come.
    pub(super) fn ring(&self) {
        // Whoever has looked, and does not wait yet, holds the lock.
        drop(self.saved.lock());
        self.wake.notify_all();
    }
}

pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("confab-merger".to_owned());
    thread.spawn(move || {
        let _watch = Watch(&shared);
        // What the last process left to do comes first.
        let mut merged = shared.merge_tables();
        while merged.is_ok() && shared.next_table() {
            merged = shared.merge_tables();
        }
        if let Err(error) = merged
            && !shared.is_merging_stopped()
        {
            shared.fail(&error);
        }
    })
}

impl Shared {
    /// Waits for a new table. False at the end.
    fn next_table(&self) -> bool {
        let mut saved = self.merges.saved.lock();
        while !*saved && !self.is_merging_stopped() {
            self.merges.wake.wait(&mut saved);
        }
        *saved = false;
        !self.is_merging_stopped()
    }

    /// Merges until nothing is left to merge.
    fn merge_tables(&self) -> Result<(), StoreError> {
        let strategy = Leveled::default()
            .with_l0_threshold(UNMERGED)
            .with_table_target_size(TABLE_BYTES);
        let strategy = Arc::new(strategy);
        loop {
            self.count_unmerged();
            let before = self.tree.current_version().id();
            self.merging.now.store(self.now().0, Ordering::Relaxed);
            // A read takes its tables once and keeps them, so nobody needs what a newer row has replaced.
            self.tree
                .compact(strategy.clone(), SeqNo::MAX)
                .map_err(|error| store_error(&error))?;
            self.merges.ring();
            if self.tree.current_version().id() == before {
                return Ok(());
            }
        }
    }

    /// There is a new table.
    pub(super) fn table_saved(&self) {
        self.count_unmerged();
        self.merges.saved();
    }

    fn count_unmerged(&self) {
        let behind = self.tree.l0_run_count() >= BEHIND;
        self.merging.behind.store(behind, Ordering::Relaxed);
    }

    fn is_merging_stopped(&self) -> bool {
        self.merging.stopped.load(Ordering::Relaxed)
    }

    /// Ends a merge that is under way, and those to come.
    pub(super) fn stop_merging(&self) {
        self.merging.stopped.store(true, Ordering::Relaxed);
        self.merges.ring();
    }

    /// Waits for a while if merging is behind, and until there is room for another table; or until the store has failed or is
    /// closed: at the end one more does not matter.
    pub(super) fn room_for_a_table(&self) {
        let begun = Instant::now();
        let mut saved = self.merges.saved.lock();
        while !self.queue.is_stopped() {
            let tables = self.tree.l0_run_count();
            if tables < SLOWED {
                return;
            }
            if tables >= MOST_UNMERGED {
                self.merges.wake.wait(&mut saved);
                continue;
            }
            let above = u32::try_from(tables + 1 - SLOWED).unwrap_or(u32::MAX);
            let until = begun + BRAKE * above;
            if self.merges.wake.wait_until(&mut saved, until).timed_out() {
                return;
            }
        }
    }
}
