//! The thread that makes records durable, a group at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;

use parking_lot::MutexGuard;

use super::disk::{Disk, DiskFile};
use super::record::{self, HEADER_BYTES, Header};
use super::recovery::{SPARE, segment_name};
use super::{Pending, Sealed, Shared, Sink};

/// A buffer that grew beyond this is not kept for the next batch.
const KEPT_BUFFER: usize = 4 << 20;

/// The segment that is being written.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) name: String,
    pub(super) mark: u32,
    pub(super) index: u64,
    pub(super) epoch: u32,
    /// Where the next record goes.
    pub(super) offset: u64,
    pub(super) capacity: u64,
    /// The time of the last record.
    pub(super) time: u64,
}

impl Active {
    /// Makes a spare into a segment. Its name stands only once its header does, and records enter it only once its name does.
    pub(super) fn begin(disk: &dyn Disk, spare: &str, header: &Header, capacity: u64) -> io::Result<Self> {
        let name = segment_name(header.index);
        let mut file = disk.open(spare)?;
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        disk.rename(spare, &name)?;
        disk.sync_names()?;
        Ok(Self {
            file,
            name,
            mark: header.mark,
            index: header.index,
            epoch: header.epoch,
            offset: HEADER_BYTES as u64,
            capacity,
            time: header.time,
        })
    }
}

pub(super) struct Committer {
    shared: Arc<Shared>,
    sink: Arc<dyn Sink>,
    active: Active,
    /// The last durable sequence of each partition.
    ends: Vec<u64>,
    /// The next segment in the making.
    spare: Option<JoinHandle<io::Result<()>>>,
    /// What the batch at hand changes in `ends`.
    touched: Vec<(u16, u64)>,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, active: Active, ends: Vec<u64>, sink: Arc<dyn Sink>) -> Self {
        Self {
            shared,
            sink,
            active,
            ends,
            spare: None,
            touched: Vec::new(),
        }
    }

    /// Commits until the journal is closed or fails.
    pub(super) fn run(mut self) {
        let mut batch = Vec::new();
        while self.take(&mut batch) {
            if let Err(error) = self.commit(&mut batch) {
                self.fail(&error);
                return;
            }
            batch.clear();
            batch.shrink_to(KEPT_BUFFER);
        }
        self.join_spare();
    }

    /// Takes all that is pending, waiting for some, and, not for long, until all that follows from it is pending too: one sync
    /// for a command and the deliveries that it leads to, instead of one each. False once the journal is closed and nothing is left.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let shared = &*self.shared;
        let unfinished = |pending: &mut Pending| {
            !pending.closed && (pending.bytes.is_empty() || shared.unsettled.load(Ordering::SeqCst) > 0)
        };
        let mut pending = shared.pending.lock();
        if !pending.bytes.is_empty() {
            // Whoever is about to append goes first: on a busy machine that makes the groups larger.
            MutexGuard::unlocked(&mut pending, std::thread::yield_now);
        }
        shared.gathering.store(true, Ordering::SeqCst);
        if pending.bytes.is_empty() {
            // Where commits follow each other closely it hears only of the end: so it is woken once for each, not twice.
            shared
                .wake
                .wait_while_for(&mut pending, unfinished, shared.gather);
            self.sleep(&mut pending);
        }
        if let Some(since) = pending.since.take() {
            let until = since + shared.gather;
            shared.wake.wait_while_until(&mut pending, unfinished, until);
        }
        shared.gathering.store(false, Ordering::SeqCst);
        std::mem::swap(&mut pending.bytes, batch);
        !batch.is_empty()
    }

    /// Waits until anything is pending, or the journal is closed.
    fn sleep(&self, pending: &mut MutexGuard<'_, Pending>) {
        while pending.bytes.is_empty() && !pending.closed {
            pending.sleeping = true;
            self.shared.wake.wait(pending);
        }
        pending.sleeping = false;
    }

    /// Writes and syncs records, in as many segments as they need.
    fn commit(&mut self, records: &mut [u8]) -> io::Result<()> {
        let mut rest = records;
        while !rest.is_empty() {
            let first = record::length(rest) as u64;
            if self.active.offset + first > self.active.capacity {
                self.rotate(first)?;
            }
            let (length, count) = self.stamp(rest);
            let (batch, left) = rest.split_at_mut(length);
            self.active.file.write_at(batch, self.active.offset)?;
            self.active.file.sync()?;
            self.active.offset += length as u64;
            self.publish(count);
            self.prepare_spare();
            rest = left;
        }
        Ok(())
    }

    /// Completes as many records as the segment has room for. Returns their length in bytes, and how many they are.
    fn stamp(&mut self, records: &mut [u8]) -> (usize, u64) {
        let room = usize::try_from(self.active.capacity - self.active.offset).unwrap_or(usize::MAX);
        let (mut at, mut count) = (0, 0);
        while at < records.len() {
            let end = at + record::length(&records[at..]);
            if end > room {
                break;
            }
            let stamped = record::stamp(&mut records[at..end], self.active.mark, self.active.offset);
            self.active.time = stamped.time;
            match self
                .touched
                .iter_mut()
                .find(|(partition, _)| *partition == stamped.partition)
            {
                Some((_, seq)) => *seq = stamped.seq,
                None => self.touched.push((stamped.partition, stamped.seq)),
            }
            at = end;
            count += 1;
        }
        (at, count)
    }

    fn publish(&mut self, count: u64) {
        for (partition, seq) in &self.touched {
            self.ends[usize::from(*partition)] = *seq;
        }
        self.shared.committed.fetch_add(count, Ordering::Release);
        self.sink.committed(&self.touched);
        self.touched.clear();
    }

    /// Goes on in a new segment, which has room for a record of `first` bytes.
    fn rotate(&mut self, first: u64) -> io::Result<()> {
        let needed = HEADER_BYTES as u64 + first;
        let capacity = self.shared.segment_bytes.max(needed);
        let spare = self.spare(capacity)?;
        let header = Header {
            // Unlike that of whatever stands in a spare that was a segment.
            mark: self.active.mark.wrapping_add(1),
            index: self.active.index + 1,
            epoch: self.active.epoch,
            time: self.active.time,
            before: self.ends.clone(),
        };
        let next = Active::begin(&*self.shared.disk, &spare, &header, capacity)?;
        let full = std::mem::replace(&mut self.active, next);
        self.shared.sealed.lock().push_back(Sealed {
            name: full.name,
            ends: self.ends.clone(),
            capacity: full.capacity,
        });
        Ok(())
    }

    /// A file to go on in, made now where there is none.
    fn spare(&mut self, capacity: u64) -> io::Result<String> {
        if capacity == self.shared.segment_bytes {
            if let Some(spare) = self.shared.spares.lock().pop() {
                return Ok(spare);
            }
            if self.join_spare() {
                return Ok(SPARE.to_owned());
            }
        }
        self.join_spare();
        self.shared.disk.create(SPARE, capacity)?;
        Ok(SPARE.to_owned())
    }

    /// Begins to make the next segment once this one is half full, where none is left over.
    fn prepare_spare(&mut self) {
        let header = HEADER_BYTES as u64;
        let half = (self.active.capacity - header) / 2;
        if self.active.offset < header + half || self.spare.is_some() || !self.shared.spares.lock().is_empty()
        {
            return;
        }
        let (disk, bytes) = (Arc::clone(&self.shared.disk), self.shared.segment_bytes);
        let thread = std::thread::Builder::new().name("confab-segment".to_owned());
        // Without a thread the committer makes it itself when it is needed.
        self.spare = thread.spawn(move || disk.create(SPARE, bytes)).ok();
    }

    /// Whether a spare was in the making and is ready.
    fn join_spare(&mut self) -> bool {
        self.spare
            .take()
            .is_some_and(|thread| matches!(thread.join(), Ok(Ok(()))))
    }

    fn fail(&mut self, error: &io::Error) {
        let why = format!("{}/{}: {error}", self.shared.disk.place(), self.active.name);
        tracing::error!(
            reason = why,
            "the journal has failed; nothing is acknowledged any more"
        );
        let mut pending = self.shared.pending.lock();
        pending.failed = Some(why.as_str().into());
        pending.bytes = Vec::new();
        drop(pending);
        self.sink.failed(&why);
        self.join_spare();
    }
}
