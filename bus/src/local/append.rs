//! What all clones of the bus share: the partitions, the journal, and how an entry gets into both.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{EntryBody, LogEntry, Signal, ToGateway};
use confab_proto::wire::Wire;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use super::LocalOptions;
use super::partition::{HeldDelivery, Part};
use super::soft::{Soft, dropped};
use crate::journal::{Journal, MAX_PAYLOAD, Recovered, Sink};
use crate::{AppendError, Position};

/// What an entry takes in memory whatever its size, roughly.
const ENTRY_OVERHEAD: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) struct Core {
    pub(super) options: LocalOptions,
    pub(super) soft: Soft,
    epoch: u32,
    parts: Box<[Part]>,
    pub(super) journal: Journal,
    /// Bytes of entries not trimmed yet.
    held: AtomicU64,
    /// The latest time in the log.
    time: AtomicU64,
    /// Why readers end: the journal has failed, or was closed.
    ended: OnceLock<String>,
    failed: OnceLock<String>,
    /// Rings at every commit, and at the end.
    pub(super) progress: Notify,
    /// Rings at the end alone: whoever waits for that is not woken by every commit.
    over: Notify,
    pub(super) blocked: Mutex<()>,
    pub(super) unblock: Condvar,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

impl Core {
    pub(super) fn new(journal: Journal, options: LocalOptions, recovered: &mut Recovered) -> Self {
        let found = std::mem::take(&mut recovered.partitions);
        let held: usize = found
            .iter()
            .flat_map(|found| &found.records)
            .map(|record| cost(record.payload.len()))
            .sum();
        Self {
            soft: Soft::new(&options),
            options,
            epoch: recovered.epoch,
            parts: found.into_iter().map(Part::new).collect(),
            journal,
            held: AtomicU64::new(held as u64),
            time: AtomicU64::new(recovered.time),
            ended: OnceLock::new(),
            failed: OnceLock::new(),
            progress: Notify::new(),
            over: Notify::new(),
            blocked: Mutex::new(()),
            unblock: Condvar::new(),
        }
    }

    pub(super) fn partitions(&self) -> u16 {
        // No journal has more than fit.
        u16::try_from(self.parts.len()).unwrap_or(u16::MAX)
    }

    pub(super) fn part(&self, partition: Partition) -> Option<&Part> {
        self.parts.get(usize::from(partition.0))
    }

    pub(super) fn position(&self, seq: u64) -> Position {
        Position {
            epoch: self.epoch,
            seq,
        }
    }

    pub(super) fn append(&self, partition: Partition, entry: Arc<LogEntry>) -> Result<Position, AppendError> {
        let refused = |why: &str| AppendError::Refused(why.to_owned());
        let part = self
            .part(partition)
            .ok_or_else(|| refused("there is no such partition"))?;
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            entry.encode_to(scratch);
            if scratch.len() > MAX_PAYLOAD {
                return Err(refused("the entry is too large"));
            }
            let cost = cost(scratch.len());
            self.check_room(&entry, cost)?;
            let now = (self.options.clock)();
            let seq = {
                let mut log = part.log.lock();
                let seq = log.next_seq();
                // Before the committer can see it.
                self.journal.unsettled(log.readers());
                let time = self.journal.append(partition.0, seq, now, scratch);
                let time = time.map_err(|why| {
                    self.journal.settled(log.readers());
                    refused(&why)
                })?;
                self.time.store(time, Ordering::Relaxed);
                self.held.fetch_add(cost as u64, Ordering::Relaxed);
                log.push(time, cost, entry, scratch);
                seq
            };
            part.arrived.notify_waiters();
            Ok(self.position(seq))
        })
    }

    /// Refuses what memory has no room for: a client's commands first, since what follows from others must still find some.
    fn check_room(&self, entry: &LogEntry, cost: usize) -> Result<(), AppendError> {
        let limit = match entry.body {
            EntryBody::Command(_) | EntryBody::Enroll(_) => self.options.memory_bytes / 5 * 4,
            EntryBody::Deliver(_) | EntryBody::SetLogic(_) | EntryBody::Restored(_) => {
                self.options.memory_bytes
            }
        };
        if self.held.load(Ordering::Relaxed) + cost as u64 <= limit {
            return Ok(());
        }
        Err(AppendError::Refused(
            "too much of the log is not worked off yet".to_owned(),
        ))
    }

    pub(super) fn trim(&self, partition: Partition, upto: Position) {
        let Some(part) = self.part(partition) else { return };
        if upto.epoch != self.epoch {
            return;
        }
        let freed = part.log.lock().trim(upto.seq);
        self.held.fetch_sub(freed.cost, Ordering::Relaxed);
    }

    /// The last sequence of each partition that nobody needs any more.
    pub(super) fn trimmed(&self) -> Vec<u64> {
        self.parts.iter().map(|part| part.log.lock().trimmed()).collect()
    }

    pub(super) fn signal(&self, partition: Partition, signal: Signal) {
        let Some(part) = self.part(partition) else { return };
        let taken = part.log.lock().signal(signal, self.options.signals);
        if taken {
            part.arrived.notify_waiters();
        } else {
            dropped("signal");
        }
    }

    pub(super) fn deliver(&self, partition: Partition, seq: u64, gateway: &GatewayId, message: ToGateway) {
        let (Some(part), Some(to)) = (self.part(partition), self.soft.gateway(gateway)) else {
            dropped("delivery");
            return;
        };
        if self.failed.get().is_some() {
            return;
        }
        part.deliver(HeldDelivery { seq, to, message }, self.options.deliveries);
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp((self.options.clock)().max(self.time.load(Ordering::Relaxed)))
    }

    /// Why readers end, if they do.
    pub(super) fn ended(&self) -> Option<&str> {
        self.ended.get().map(String::as_str)
    }

    /// Why the journal has failed, if it has.
    pub(super) fn failed(&self) -> Option<&str> {
        self.failed.get().map(String::as_str)
    }

    pub(super) async fn failure(&self) -> String {
        loop {
            let over = self.over.notified();
            if let Some(why) = self.failed() {
                return why.to_owned();
            }
            over.await;
        }
    }

    /// Ends the readers, and the waits for what will not be committed.
    pub(super) fn end(&self, why: &str) {
        // The first reason stands.
        let _ = self.ended.set(why.to_owned());
        for part in &self.parts {
            part.arrived.notify_waiters();
        }
        self.ring();
        self.over.notify_waiters();
    }

    fn ring(&self) {
        self.progress.notify_waiters();
        drop(self.blocked.lock());
        self.unblock.notify_all();
    }
}

impl Sink for Core {
    fn committed(&self, ends: &[(u16, u64)]) {
        for (partition, seq) in ends {
            if let Some(part) = self.part(Partition(*partition)) {
                part.committed(*seq);
            }
        }
        self.ring();
    }

    fn failed(&self, why: &str) {
        // The first reason stands.
        let _ = self.failed.set(why.to_owned());
        for part in &self.parts {
            part.drop_held();
        }
        self.end(why);
    }
}

/// What an entry takes in memory: encoded, and, until somebody has read it, as it is.
pub(super) fn cost(payload: usize) -> usize {
    2 * payload + ENTRY_OVERHEAD
}
