//! The thread that saves rows, and what it waits for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use lsm_tree::{AbstractTree, InternalValue, SeqNo, ValueType};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::keys::RowKey;
use super::merger;
use super::open::{Shared, Watch, store_error};
use super::overlay::Generation;
use super::place;
use super::values::Stored;
use crate::StoreError;

/// How often it is looked whether the log has become durable that rows come from.
const HORIZON_TICK: Duration = Duration::from_millis(1);
/// How long whoever asked for a sync waits for that.
const HORIZON_WAIT: Duration = Duration::from_secs(10);

type Done = oneshot::Sender<Result<(), StoreError>>;

/// How much waits to be saved, and who waits for it.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    /// Bytes of rows that are not on disk.
    bytes: AtomicU64,
    /// Rings when there is room again, and at the end.
    progress: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// When the oldest fresh row came.
    since: Option<Instant>,
    /// Bytes of fresh rows.
    fresh: u64,
    syncs: Vec<Done>,
    closed: bool,
    failed: Option<String>,
}

/// What the saver has to do.
struct Work {
    syncs: Vec<Done>,
    /// It is the last.
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            bytes: AtomicU64::new(0),
            progress: Notify::new(),
        }
    }

    /// So many bytes of rows were put into the overlay. With `urgent_at` of them they are saved without waiting longer.
    pub(super) fn grown(&self, bytes: usize, urgent_at: u64) -> Result<(), StoreError> {
        let bytes = bytes as u64;
        let mut state = self.state.lock();
        state.check()?;
        if bytes == 0 {
            return Ok(());
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let before = state.fresh;
        state.fresh += bytes;
        let first = state.since.is_none();
        state.since.get_or_insert_with(Instant::now);
        let urgent = before < urgent_at && state.fresh >= urgent_at;
        drop(state);
        if first || urgent {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Whether the store takes rows.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        self.state.lock().check()
    }

    /// Waits until fewer bytes than `most` wait.
    pub(super) async fn room(&self, most: u64) -> Result<(), StoreError> {
        loop {
            if self.bytes.load(Ordering::Relaxed) < most {
                return Ok(());
            }
            let progress = self.progress.notified();
            self.check()?;
            if self.bytes.load(Ordering::Relaxed) < most {
                return Ok(());
            }
            progress.await;
        }
    }

    pub(super) fn ask_sync(&self, done: Done) -> Result<(), StoreError> {
        let mut state = self.state.lock();
        state.check()?;
        state.syncs.push(done);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// How many syncs wait for the next save.
    #[cfg(test)]
    pub(super) fn syncs_waiting(&self) -> usize {
        self.state.lock().syncs.len()
    }

    pub(super) async fn failure(&self) -> String {
        loop {
            let progress = self.progress.notified();
            if let Some(why) = &self.state.lock().failed {
                return why.clone();
            }
            progress.await;
        }
    }

    pub(super) fn why_stopped(&self) -> String {
        let error = self.check().err();
        error.map_or_else(|| "the saver has ended".to_owned(), |error| error.to_string())
    }

    /// Waits until rows should be saved: they are many, or old, or a sync is asked for, or the store is closed.
    fn next(&self, every: Duration, urgent_at: u64) -> Work {
        let mut state = self.state.lock();
        while !state.is_pressed(urgent_at) {
            match state.since {
                Some(since) => {
                    if self.wake.wait_until(&mut state, since + every).timed_out() {
                        break;
                    }
                }
                None => self.wake.wait(&mut state),
            }
        }
        Work {
            syncs: std::mem::take(&mut state.syncs),
            closed: state.closed || state.failed.is_some(),
        }
    }

    /// All that was fresh is being saved. Returns how many bytes that are.
    fn rotated(&self) -> u64 {
        let mut state = self.state.lock();
        state.since = None;
        metrics::gauge!("confab_store_pending_bytes").set(self.bytes.load(Ordering::Relaxed) as f64);
        std::mem::take(&mut state.fresh)
    }

    /// Whether the store has failed or is closed.
    pub(super) fn is_stopped(&self) -> bool {
        self.check().is_err()
    }

    /// Waits for a moment, or until something is asked for.
    fn pause(&self) {
        let mut state = self.state.lock();
        self.wake.wait_for(&mut state, HORIZON_TICK);
    }

    /// Those who have asked for a sync since.
    fn waiting(&self) -> Vec<Done> {
        std::mem::take(&mut self.state.lock().syncs)
    }

    /// So many bytes are on disk.
    fn saved(&self, bytes: u64) {
        let left = self.bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        metrics::gauge!("confab_store_pending_bytes").set(left as f64);
        self.progress.notify_waiters();
    }

    pub(super) fn fail(&self, why: &str) {
        let mut state = self.state.lock();
        state.failed.get_or_insert_with(|| why.to_owned());
        for done in state.syncs.drain(..) {
            // Whoever gave up waiting needs no answer.
            let _ = done.send(Err(StoreError::Unavailable(why.to_owned())));
        }
        drop(state);
        self.progress.notify_waiters();
        self.wake.notify_one();
    }
}

impl State {
    /// Whether the saver should not wait any longer.
    fn is_pressed(&self, urgent_at: u64) -> bool {
        self.fresh >= urgent_at || self.closed || self.failed.is_some() || !self.syncs.is_empty()
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(why) => Err(StoreError::Unavailable(why.clone())),
            None if self.closed => Err(StoreError::Unavailable("the store is closed".to_owned())),
            None => Ok(()),
        }
    }
}

/// The threads behind the store, until they are [closed](Self::close).
#[derive(Debug)]
pub(super) struct Saver {
    shared: Arc<Shared>,
    saver: Mutex<Option<JoinHandle<()>>>,
    merger: Mutex<Option<JoinHandle<()>>>,
}

impl Saver {
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let merger = merger::start(Arc::clone(&shared))?;
        let thread = std::thread::Builder::new().name("confab-saver".to_owned());
        let saver = thread.spawn({
            let shared = Arc::clone(&shared);
            move || {
                let _watch = Watch(&shared);
                shared.save_until_closed();
            }
        });
        let saver = saver.inspect_err(|_| shared.stop_merging())?;
        Ok(Self {
            shared,
            saver: Mutex::new(Some(saver)),
            merger: Mutex::new(Some(merger)),
        })
    }

    pub(super) fn close(&self) {
        let queue = &self.shared.queue;
        queue.state.lock().closed = true;
        queue.wake.notify_one();
        self.shared.merges.ring();
        // One that panicked has been reported by the panic; what was not saved the log brings again.
        if let Some(saver) = self.saver.lock().take() {
            let _ = saver.join();
        }
        for done in queue.waiting() {
            // Whoever gave up waiting needs no answer.
            let _ = done.send(Err(self.shared.gone()));
        }
        self.stop_merger();
        queue.progress.notify_waiters();
    }

    /// Ends the merger. The tables stay as they are from then on, but for new ones.
    pub(super) fn stop_merger(&self) {
        self.shared.stop_merging();
        if let Some(merger) = self.merger.lock().take() {
            // As above.
            let _ = merger.join();
        }
    }
}

impl Shared {
    fn save_until_closed(&self) {
        let (every, urgent_at) = (self.options.save_every, self.options.save_bytes);
        loop {
            let Work { mut syncs, closed } = self.queue.next(every, urgent_at);
            let saved = self.save(&mut syncs);
            for done in syncs {
                // Whoever gave up waiting needs no answer.
                let _ = done.send(saved.clone());
            }
            match saved {
                Ok(()) if closed => return,
                Ok(()) => {}
                Err(error) if self.queue.is_stopped() => {
                    tracing::warn!(%error, "rows could not be saved at the end; the log brings them again");
                    return;
                }
                Err(error) => return self.fail(&error),
            }
        }
    }

    /// Saves all that is fresh, as one table. Those who wait for a sync are told if that takes too long.
    fn save(&self, syncs: &mut Vec<Done>) -> Result<(), StoreError> {
        let at_the_line = || (self.horizon.appended(), self.queue.rotated());
        let (generation, (appended, bytes)) = self.overlay.rotate(at_the_line);
        self.wait_for_the_log(appended, syncs)?;
        self.room_for_a_table();
        let rows = self.write_table(&generation)?;
        drop(generation);
        self.rows.begin_next_age();
        self.overlay.settle();
        metrics::counter!("confab_store_rows_saved_total").increment(rows);
        self.queue.saved(bytes);
        self.table_saved();
        Ok(())
    }

    /// Waits until all entries that rows come from are durable: so what stands on disk is never ahead of the log.
    fn wait_for_the_log(&self, appended: u64, syncs: &mut Vec<Done>) -> Result<(), StoreError> {
        let begun = Instant::now();
        while self.horizon.committed() < appended {
            let behind = || StoreError::Unavailable("the log is not durable".to_owned());
            if self.queue.is_stopped() {
                return Err(behind());
            }
            if begun.elapsed() > HORIZON_WAIT {
                for done in syncs.drain(..).chain(self.queue.waiting()) {
                    // Whoever gave up waiting needs no answer.
                    let _ = done.send(Err(behind()));
                }
            }
            self.queue.pause();
        }
        Ok(())
    }

    /// Writes rows out, durably, and shows them to readers. Returns how many.
    fn write_table(&self, generation: &Generation) -> Result<u64, StoreError> {
        let mut rows = Vec::new();
        for (key, stored) in generation.iter().flat_map(|shard| place::in_order(shard)) {
            if !self.is_older(key, stored)? {
                rows.push((key, stored));
            }
        }
        if rows.is_empty() {
            return Ok(0);
        }
        let (count, number) = (rows.len() as u64, self.saves.next());
        self.recent.saving(rows.iter().map(|(key, _)| *key), number);
        let rows = rows.into_iter().map(|(key, stored)| {
            let (key, stored) = (key.on_disk().clone(), stored.on_disk().clone());
            Ok(InternalValue::from_components(
                key,
                stored,
                number,
                ValueType::Value,
            ))
        });
        let failed = |error| store_error(&error);
        if let Some((tables, _)) = self.tree.flush_to_tables(rows).map_err(failed)? {
            let shown = self.tree.register_tables(&tables, None, None, &[], SeqNo::MAX);
            shown.map_err(failed)?;
        }
        Ok(count)
    }

    /// Whether a row that is on disk stands against this one.
    fn is_older(&self, key: &RowKey, stored: &Stored) -> Result<bool, StoreError> {
        if key.table().is_insert_only() {
            return Ok(false);
        }
        let saved = self.saved(key)?;
        Ok(saved.is_some_and(|saved| !stored.beats(&saved)))
    }
}
