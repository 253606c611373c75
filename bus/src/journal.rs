//! The journal: the one thing of a process with an embedded store that is synced before anything leaves it.
//!
//! It holds the log entries of all partitions, in the order in which they were appended, as opaque bytes. Appending puts
//! a record in memory; one thread, the committer, takes all that is pending, writes it at once, syncs once, and then says
//! so. While it syncs, more becomes pending: so groups grow by themselves under load. Before it writes it waits a moment for what
//! others make of the records it has: a command and the deliveries that follow from it share a sync.
//!
//! **Segments.** The records stand in files of a fixed size, filled with zeros beforehand, so that a sync touches no
//! metadata: `000000000001.log` and so on, the next one made ahead as `spare`. The oldest are let go by
//! `Journal::release`, in order: some are kept as `000000000001.spare`, to be written over, which saves the zeros. What
//! stands in them bears another mark than what will. `record` describes the bytes.
//!
//! **What is found at a start.** Every record is checked, and that none is missing: sequences have no holes, and each
//! segment's header repeats where the one before it ended. Only the last segment may end in the middle of a record: what
//! was being written when the power went. It is known from damage by this: a batch is written only after the one
//! before it was synced, so if any whole record of a *later* batch stands behind the bad spot, the bad spot had been acknowledged, and
//! the journal refuses to open. Else what stands behind it is overwritten with zeros before anything is appended, and
//! cannot be mistaken for records later; nor can the bytes of another file or of an earlier life of this one, since each
//! segment's records carry its own mark: random in the first, one more in each next.
//!
//! **Failure.** After a failed write or sync nothing is known of the file any more (a second sync may succeed without
//! the data): the journal fails for good, and nothing is acknowledged until it is opened anew. Opening writes the last
//! batch again and syncs, since what it reads back may stand in the page cache alone.
//!
//! **Cost.** Measured with the example `local_cost` on two cores, from an append to the delivery that waited for its commit: one
//! client alone 140 µs (all but 6 of them the sync) and 50–60 µs of CPU, 64 clients 4 µs of CPU a message at 120,000 to 180,000
//! messages a second. Writing with `O_DSYNC` instead of a sync after the write made no difference.

mod committer;
pub mod disk;
pub(crate) mod record;
mod recovery;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use disk::Disk;

pub use record::{MAX_PARTITIONS, MAX_PAYLOAD};

/// How many segments that were let go are kept to be written over: what is filled between two releases.
const SPARES: usize = 8;

/// Why a journal does not open.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk does not do as asked.
    #[error("{place}: {source}")]
    Disk {
        /// Where.
        place: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something else is in its place.
    #[error("{place}: {why}")]
    Foreign {
        /// Where.
        place: String,
        /// What is there.
        why: String,
    },
    /// What was acknowledged is damaged or missing.
    #[error("{place}: the journal is damaged in {file} at byte {offset}: {why}")]
    Damaged {
        /// Where.
        place: String,
        /// Which file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        why: String,
    },
}

/// Hears of every commit. Called by the committer's thread.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Each of these partitions is durable up to and including this sequence.
    fn committed(&self, ends: &[(u16, u64)]);

    /// Nothing will be committed any more.
    fn failed(&self, why: &str);
}

/// A record that was found when the journal was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) time: u64,
    pub(crate) payload: Bytes,
}

/// What was found of a partition when the journal was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FoundPartition {
    /// The last sequence before the first record.
    pub(crate) before: u64,
    /// The records, consecutive.
    pub(crate) records: Vec<Found>,
}

/// What was found when the journal was opened.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) epoch: u32,
    /// The time of the last record; 0 for none.
    pub(crate) time: u64,
    pub(crate) partitions: Vec<FoundPartition>,
    /// The last sequence of each partition.
    ends: Vec<u64>,
    sealed: VecDeque<Sealed>,
    active: committer::Active,
}

/// A segment that is written no more.
#[derive(Debug)]
struct Sealed {
    name: String,
    /// The last sequence of each partition in it or before it.
    ends: Vec<u64>,
    /// Its size in bytes.
    capacity: u64,
}

/// The journal, open. Clones are the same journal.
#[derive(Clone, Debug)]
pub(crate) struct Journal(Arc<Shared>);

/// The journal's committer. Dropping it commits what is pending, and ends its thread.
#[derive(Debug)]
pub(crate) struct Running {
    journal: Journal,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    disk: Arc<dyn Disk>,
    pending: Mutex<Pending>,
    wake: Condvar,
    appended: AtomicU64,
    committed: AtomicU64,
    /// What others are about to make of entries appended already, counted by entries.
    unsettled: AtomicU64,
    /// The committer waits for that, or for records that it is not told of before.
    gathering: AtomicBool,
    sealed: Mutex<VecDeque<Sealed>>,
    /// The names of files that are ready to become segments.
    spares: Mutex<Vec<String>>,
    releasing: Mutex<()>,
    segment_bytes: u64,
    /// How long a commit waits at most for what follows from its records.
    gather: Duration,
}

#[derive(Debug, Default)]
struct Pending {
    /// Records, not stamped yet.
    bytes: Vec<u8>,
    /// The time of the last record.
    time: u64,
    /// When the first of the records came.
    since: Option<Instant>,
    /// The committer waits to be woken.
    sleeping: bool,
    closed: bool,
    failed: Option<Arc<str>>,
}

impl Journal {
    /// Reads what the disk holds, and makes it ready to go on.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub(crate) fn recover(
        disk: &dyn Disk,
        partitions: u16,
        segment_bytes: u64,
    ) -> Result<Recovered, JournalError> {
        recovery::recover(disk, partitions, segment_bytes)
    }

    /// The journal that goes on from what was recovered. Nothing is durable before [`start`](Self::start).
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        segment_bytes: u64,
        gather: Duration,
        recovered: &mut Recovered,
    ) -> Self {
        Self(Arc::new(Shared {
            disk,
            pending: Mutex::new(Pending {
                time: recovered.time,
                ..Pending::default()
            }),
            wake: Condvar::new(),
            appended: AtomicU64::new(0),
            committed: AtomicU64::new(0),
            unsettled: AtomicU64::new(0),
            gathering: AtomicBool::new(false),
            sealed: Mutex::new(std::mem::take(&mut recovered.sealed)),
            spares: Mutex::default(),
            releasing: Mutex::new(()),
            segment_bytes,
            gather,
        }))
    }

    /// Starts the committer, on a thread of its own.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(&self, recovered: Recovered, sink: Arc<dyn Sink>) -> io::Result<Running> {
        let committer =
            committer::Committer::new(Arc::clone(&self.0), recovered.active, recovered.ends, sink);
        let thread = std::thread::Builder::new().name("confab-commit".to_owned());
        let thread = thread.spawn(move || committer.run())?;
        Ok(Running {
            journal: self.clone(),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Appends a record, the caller's next of that partition, and returns its time: `now`, or that of the record before it if
    /// that is later. It is durable once [`committed`](Self::committed) has reached what [`appended`](Self::appended) says now.
    ///
    /// # Errors
    /// The journal has failed, or is closed: the record will never stand.
    pub(crate) fn append(&self, partition: u16, seq: u64, now: u64, payload: &[u8]) -> Result<u64, Arc<str>> {
        let mut pending = self.0.pending.lock();
        if let Some(why) = &pending.failed {
            return Err(Arc::clone(why));
        }
        if pending.closed {
            return Err("the journal is closed".into());
        }
        let time = pending.time.max(now);
        pending.time = time;
        pending.since.get_or_insert_with(Instant::now);
        record::push(&mut pending.bytes, partition, seq, time, payload);
        self.0.appended.fetch_add(1, Ordering::Release);
        // Where nothing is to be settled nobody else tells a committer that waits for that.
        if std::mem::take(&mut pending.sleeping) || self.0.is_settled() {
            drop(pending);
            self.0.wake.notify_one();
        }
        Ok(time)
    }

    /// So many entries are about to be appended of which each will soon be [`settled`](Self::settled): what follows from it
    /// is then appended too, and can share its sync.
    pub(crate) fn unsettled(&self, entries: u64) {
        self.0.unsettled.fetch_add(entries, Ordering::SeqCst);
    }

    /// So many entries have been dealt with, or never will be.
    pub(crate) fn settled(&self, entries: u64) {
        let before = self.0.unsettled.fetch_sub(entries, Ordering::SeqCst);
        if before == entries && self.0.gathering.load(Ordering::SeqCst) {
            // Under the lock the committer is either before its look at the count or in its wait.
            let has_records = !self.0.pending.lock().bytes.is_empty();
            if has_records {
                self.0.wake.notify_one();
            }
        }
    }

    /// How many records were appended since the journal was opened.
    pub(crate) fn appended(&self) -> u64 {
        self.0.appended.load(Ordering::Acquire)
    }

    /// How many of them are durable: the first so many.
    pub(crate) fn committed(&self) -> u64 {
        self.0.committed.load(Ordering::Acquire)
    }

    /// Lets go of the oldest segments that hold nothing above `done` (the last sequence of each partition that nobody needs
    /// any more), after `sync` has made durable whatever `done` rests on. Without such a segment `sync` is not called.
    /// Returns how many there were.
    ///
    /// # Errors
    /// What `sync` says, or the disk. The segments that are left stay.
    pub(crate) fn release<E: From<io::Error>>(
        &self,
        done: &[u64],
        sync: impl FnOnce() -> Result<(), E>,
    ) -> Result<usize, E> {
        let _one_at_a_time = self.0.releasing.lock();
        let over = |sealed: &Sealed| sealed.ends.iter().zip(done).all(|(end, done)| end <= done);
        let released: Vec<(String, u64)> = {
            let sealed = self.0.sealed.lock();
            let released = sealed.iter().take_while(|sealed| over(sealed));
            released
                .map(|sealed| (sealed.name.clone(), sealed.capacity))
                .collect()
        };
        if released.is_empty() {
            return Ok(0);
        }
        sync()?;
        for (name, capacity) in &released {
            // One by one, so that at a power cut no hole can appear in their order.
            self.0.let_go(name, *capacity)?;
            self.0.sealed.lock().pop_front();
        }
        Ok(released.len())
    }
}

impl Shared {
    /// Whether the committer waits for what follows, and nothing does.
    fn is_settled(&self) -> bool {
        self.gathering.load(Ordering::SeqCst) && self.unsettled.load(Ordering::SeqCst) == 0
    }

    /// Takes a segment's name away, durably: only then may it be written over.
    fn let_go(&self, name: &str, capacity: u64) -> io::Result<()> {
        let wanted = capacity == self.segment_bytes && self.spares.lock().len() < SPARES;
        if !wanted {
            self.disk.remove(name)?;
            return self.disk.sync_names();
        }
        let spare = recovery::spare_name(name);
        self.disk.rename(name, &spare)?;
        self.disk.sync_names()?;
        self.spares.lock().push(spare);
        Ok(())
    }
}

impl Running {
    /// Commits what is pending, and has nothing more appended. Blocks for as long as a commit takes.
    pub(crate) fn close(&self) {
        self.journal.0.pending.lock().closed = true;
        self.journal.0.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            // A committer that panicked has been reported by the panic; what it left uncommitted is never acknowledged.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.close();
    }
}
