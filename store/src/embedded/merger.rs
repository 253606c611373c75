//! The thread that merges tables, so that a reader has few of them to look into.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use lsm_tree::AbstractTree;
use lsm_tree::compaction::Leveled;
use parking_lot::{Condvar, Mutex};

use super::open::{Shared, store_error};
use crate::StoreError;

/// So many tables are left side by side before they are merged. With more of them a table is written again less often, and a
/// read looks into more: with four, merging takes half as much CPU again, and reads no less that could be told from noise.
const UNMERGED: u8 = 6;
/// With so many the saver waits for the merger.
const MOST_UNMERGED: usize = 24;
/// How large a merged table is, roughly.
const TABLE_BYTES: u64 = 32 << 20;

/// What the merger waits for, and the saver for the merger.
#[derive(Debug, Default)]
pub(super) struct Merges {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// A table was saved since the merger last looked.
    saved: bool,
    stopped: bool,
}

impl Merges {
    /// There is a new table.
    pub(super) fn saved(&self) {
        self.state.lock().saved = true;
        self.wake.notify_all();
    }

    fn stop(&self) {
        self.state.lock().stopped = true;
        self.wake.notify_all();
    }

    /// Waits for a new table. False at the end.
    fn next(&self) -> bool {
        let mut state = self.state.lock();
        self.wake
            .wait_while(&mut state, |state| !state.saved && !state.stopped);
        state.saved = false;
        !state.stopped
    }
}

pub(super) fn start(shared: Arc<Shared>) -> io::Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name("confab-merger".to_owned());
    thread.spawn(move || {
        // What the last process left to do comes first.
        let mut merged = shared.merge_tables();
        while merged.is_ok() && shared.merges.next() {
            merged = shared.merge_tables();
        }
        if let Err(error) = merged
            && !shared.merging.stopped.load(Ordering::Relaxed)
        {
            shared.fail(&error);
        }
        // Whoever waits for room among the tables waits no longer.
        shared.merges.stop();
    })
}

impl Shared {
    /// Merges until nothing is left to merge.
    fn merge_tables(&self) -> Result<(), StoreError> {
        let strategy = Leveled::default()
            .with_l0_threshold(UNMERGED)
            .with_table_target_size(TABLE_BYTES);
        let strategy = Arc::new(strategy);
        loop {
            let before = self.tree.current_version().id();
            self.merging.now.store(self.now().0, Ordering::Relaxed);
            // A read takes its tables once and keeps them, so nobody needs what a newer row has replaced.
            let replaced = self.visible.get();
            self.tree
                .compact(strategy.clone(), replaced)
                .map_err(|error| store_error(&error))?;
            self.merges.wake.notify_all();
            if self.tree.current_version().id() == before {
                return Ok(());
            }
        }
    }

    /// Ends a merge that is under way, and those to come.
    pub(super) fn stop_merging(&self) {
        self.merging.stopped.store(true, Ordering::Relaxed);
        self.merges.stop();
    }

    /// Waits until there is room for another table.
    pub(super) fn room_for_a_table(&self) {
        let mut state = self.merges.state.lock();
        while !state.stopped && self.tree.l0_run_count() >= MOST_UNMERGED {
            self.merges.wake.wait(&mut state);
        }
    }
}
