//! The thread that saves rows, and the queue it takes them from.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use fjall::PersistMode;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, oneshot};

use super::open::{Shared, store_error};
use super::overlay::Pending;
use super::sweep::Sweep;
use crate::StoreError;

/// What a row takes in memory beside its bytes, roughly.
const ROW_OVERHEAD: usize = 200;
/// Most bytes of rows in one batch.
const BATCH_BYTES: u64 = 16 << 20;

type Done = oneshot::Sender<Result<(), StoreError>>;

/// Rows that wait to be saved, in the order in which they were written.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    numbers: AtomicU64,
    /// Bytes that wait.
    bytes: AtomicU64,
    /// Rings when there is room again, and at the end.
    progress: Notify,
}

#[derive(Debug, Default)]
struct State {
    groups: VecDeque<Group>,
    syncs: Vec<Done>,
    /// The saver waits for the first group, and has no time set.
    idle: bool,
    /// There is so much that it should not wait any longer.
    urgent: bool,
    closed: bool,
    failed: Option<String>,
}

/// The rows of one write: saved together.
#[derive(Debug)]
struct Group {
    /// How many log entries must be durable before it may be saved.
    after: u64,
    bytes: u64,
    rows: Vec<Pending>,
}

/// What the saver has to do.
struct Work {
    groups: Vec<Group>,
    syncs: Vec<Done>,
    closed: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            numbers: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            progress: Notify::new(),
        }
    }

    /// The first of so many numbers that nobody else gets.
    pub(super) fn numbers(&self, count: u64) -> u64 {
        self.numbers.fetch_add(count, Ordering::Relaxed)
    }

    /// Adds rows, to be saved once `after` log entries are durable.
    pub(super) fn push(&self, after: u64, rows: Vec<Pending>, urgent_at: u64) -> Result<(), StoreError> {
        let bytes = rows
            .iter()
            .map(|row| (row.key.len() + row.stored.len() + ROW_OVERHEAD) as u64)
            .sum();
        let mut state = self.state.lock();
        state.check()?;
        if rows.is_empty() {
            return Ok(());
        }
        state.groups.push_back(Group { after, bytes, rows });
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let urgent = waiting >= urgent_at && !state.urgent;
        state.urgent |= urgent;
        if std::mem::take(&mut state.idle) || urgent {
            drop(state);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Waits until fewer bytes than `most` wait.
    pub(super) async fn room(&self, most: u64) -> Result<(), StoreError> {
        loop {
            if self.bytes.load(Ordering::Relaxed) < most {
                return Ok(());
            }
            let progress = self.progress.notified();
            self.state.lock().check()?;
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
        self.state
            .lock()
            .check()
            .err()
            .map_or_else(|| "the saver has ended".to_owned(), |error| error.to_string())
    }

    /// Waits for something to do: rows that may be saved, a sync, the end, or the time to sweep.
    fn next(&self, shared: &Shared, sweep_at: Instant) -> Work {
        let mut state = self.state.lock();
        while state.groups.is_empty() && !state.is_pressed() {
            state.idle = true;
            if self.wake.wait_until(&mut state, sweep_at).timed_out() {
                break;
            }
        }
        state.idle = false;
        let until = sweep_at.min(Instant::now() + shared.options.save_every);
        while !state.is_pressed() && !self.wake.wait_until(&mut state, until).timed_out() {}
        let committed = shared.horizon.committed();
        let groups = self.ready(&mut state, committed);
        // What did not fit into the batch goes on at once; a sync comes after all that may be saved by now.
        state.urgent = state.groups.front().is_some_and(|group| group.after <= committed);
        let last = !state.urgent;
        let syncs = if last {
            std::mem::take(&mut state.syncs)
        } else {
            Vec::new()
        };
        Work {
            groups,
            syncs,
            closed: state.closed && last,
        }
    }

    /// Takes groups from the front, as long as their entries are durable, up to a batch's size.
    fn ready(&self, state: &mut State, committed: u64) -> Vec<Group> {
        let (mut groups, mut bytes) = (Vec::new(), 0);
        while let Some(group) = state.groups.front() {
            if group.after > committed || bytes >= BATCH_BYTES {
                break;
            }
            bytes += group.bytes;
            groups.extend(state.groups.pop_front());
        }
        groups
    }

    fn fail(&self, why: &str) {
        let mut state = self.state.lock();
        state.failed = Some(why.to_owned());
        state.groups.clear();
        for done in state.syncs.drain(..) {
            // Whoever gave up waiting needs no answer.
            let _ = done.send(Err(StoreError::Unavailable(why.to_owned())));
        }
        drop(state);
        self.progress.notify_waiters();
    }
}

impl State {
    /// Whether the saver should not wait any longer.
    fn is_pressed(&self) -> bool {
        self.urgent || self.closed || !self.syncs.is_empty()
    }

    fn check(&self) -> Result<(), StoreError> {
        match &self.failed {
            Some(why) => Err(StoreError::Unavailable(why.clone())),
            None if self.closed => Err(StoreError::Unavailable("the store is closed".to_owned())),
            None => Ok(()),
        }
    }
}

/// The saver's thread. Dropping it ends it, as [`close`](Self::close) does.
#[derive(Debug)]
pub(super) struct Saver {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Saver {
    pub(super) fn start(shared: Arc<Shared>) -> io::Result<Self> {
        let thread = std::thread::Builder::new().name("confab-saver".to_owned());
        let thread = thread.spawn({
            let shared = Arc::clone(&shared);
            move || shared.save_until_closed()
        })?;
        Ok(Self {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) fn close(&self) {
        self.shared.queue.state.lock().closed = true;
        self.shared.queue.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // A saver that panicked has been reported by the panic; what it did not save the log brings again.
            let _ = thread.join();
        }
        self.shared.queue.progress.notify_waiters();
    }
}

impl Shared {
    fn save_until_closed(&self) {
        let mut sweep = Sweep::new(self.options.sweep_every);
        loop {
            let work = self.queue.next(self, sweep.due());
            let done = self
                .save(&work.groups)
                .and_then(|()| self.sync_for(work.syncs))
                .and_then(|()| sweep.step(self));
            if let Err(error) = done {
                tracing::error!(%error, "the store has failed; it takes no writes any more");
                self.queue.fail(&error.to_string());
                return;
            }
            if work.closed {
                break;
            }
        }
        if let Err(error) = self.database.persist(PersistMode::SyncAll) {
            tracing::error!(%error, "the store could not be synced at the end; the log brings the rest again");
        }
    }

    /// Saves groups of rows in one batch.
    fn save(&self, groups: &[Group]) -> Result<(), StoreError> {
        if groups.is_empty() {
            return Ok(());
        }
        let standing = stand(groups);
        let mut batch = self.database.batch().durability(Some(PersistMode::Buffer));
        for row in &standing {
            let table = row.key.table();
            let older = !table.is_insert_only()
                && self
                    .saved(table, &row.key)?
                    .is_some_and(|saved| !row.stored.beats(&saved));
            if !older {
                batch.insert(
                    self.table(table),
                    row.key.on_disk().clone(),
                    row.stored.on_disk().clone(),
                );
            }
        }
        metrics::counter!("confab_store_rows_saved_total").increment(batch.len() as u64);
        batch.commit().map_err(|error| store_error(&error))?;
        self.overlay.remove(&standing);
        let bytes = groups.iter().map(|group| group.bytes).sum();
        let left = self.queue.bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        metrics::gauge!("confab_store_pending_bytes").set(left as f64);
        self.queue.progress.notify_waiters();
        Ok(())
    }

    fn sync_for(&self, syncs: Vec<Done>) -> Result<(), StoreError> {
        if syncs.is_empty() {
            return Ok(());
        }
        let synced = self
            .database
            .persist(PersistMode::SyncAll)
            .map_err(|error| store_error(&error));
        for done in syncs {
            // Whoever gave up waiting needs no answer.
            let _ = done.send(synced.clone());
        }
        synced
    }
}

/// Of each key the row that stands, in order of shards and keys: neighbours are found near each other.
fn stand(groups: &[Group]) -> Vec<&Pending> {
    let mut rows: Vec<_> = groups.iter().flat_map(|group| &group.rows).collect();
    rows.sort_unstable_by(|a, b| (a.shard, &a.key).cmp(&(b.shard, &b.key)));
    rows.dedup_by(|later, standing| {
        let same = later.key == standing.key;
        if same && later.stored.beats(&standing.stored) {
            *standing = *later;
        }
        same
    });
    rows
}
