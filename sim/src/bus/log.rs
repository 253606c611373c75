//! The logs: everything that was ever appended, in eras. An era ends when the end of a log, or all of it, is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use confab_bus::Position;
use confab_chat::{EntryId, Partition};
use confab_proto::message::{LogEntry, Logged};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock;
use crate::trace;

/// One log from its beginning to its end or its loss.
#[derive(Clone, Debug)]
pub struct Era {
    /// Its epoch.
    pub epoch: u32,
    /// Grows with every loss.
    pub generation: u64,
    /// All that stands in it.
    pub entries: Vec<Logged>,
}

/// What was lost at the end of a log.
#[derive(Clone, Debug)]
pub struct LostTail {
    /// Where the log ends now.
    pub end: Position,
    /// What is gone.
    pub lost: Vec<EntryId>,
}

#[derive(Debug)]
struct Log {
    era: Mutex<Era>,
    /// Told of every change.
    changes: watch::Sender<()>,
}

/// All logs.
#[derive(Debug)]
pub struct Logs {
    logs: Vec<Log>,
    /// By how many milliseconds their clock is wrong.
    skew: AtomicI64,
}

impl Logs {
    pub(super) fn new(partitions: u16) -> Self {
        let empty = || Log {
            era: Mutex::new(Era {
                epoch: 1,
                generation: 0,
                entries: Vec::new(),
            }),
            changes: watch::Sender::new(()),
        };
        Self {
            logs: (0..partitions).map(|_| empty()).collect(),
            skew: AtomicI64::new(0),
        }
    }

    /// How many there are.
    #[must_use]
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.logs.len()).unwrap_or(u16::MAX)
    }

    /// From now on the logs' clock is wrong by so many milliseconds.
    pub fn step(&self, skew: i64) {
        self.skew.store(skew, Ordering::Relaxed);
    }

    fn log(&self, partition: Partition) -> &Log {
        &self.logs[usize::from(partition.0)]
    }

    pub(super) fn append(&self, partition: Partition, entry: Arc<LogEntry>) -> Position {
        let log = self.log(partition);
        let at = {
            let mut era = log.era.lock();
            let seq = era.entries.len() as u64 + 1;
            trace::tell(None, format_args!("{partition:?} {seq} {entry:?}"));
            era.entries.push(Logged {
                seq,
                time: clock::now(self.skew.load(Ordering::Relaxed)),
                entry,
            });
            Position {
                epoch: era.epoch,
                seq,
            }
        };
        log.changes.send_replace(());
        at
    }

    pub(super) fn changes(&self, partition: Partition) -> watch::Receiver<()> {
        self.log(partition).changes.subscribe()
    }

    /// The log as it stands.
    #[must_use]
    pub fn era(&self, partition: Partition) -> Era {
        self.log(partition).era.lock().clone()
    }

    pub(super) fn generation(&self, partition: Partition) -> u64 {
        self.log(partition).era.lock().generation
    }

    /// Where the log ends.
    #[must_use]
    pub fn end(&self, partition: Partition) -> Position {
        let era = self.log(partition).era.lock();
        Position {
            epoch: era.epoch,
            seq: era.entries.len() as u64,
        }
    }

    /// At most so many entries after one.
    pub(super) fn after(&self, partition: Partition, seq: u64, max: usize) -> Vec<Logged> {
        let era = self.log(partition).era.lock();
        let from = usize::try_from(seq).unwrap_or(usize::MAX);
        era.entries.iter().skip(from).take(max).cloned().collect()
    }

    /// Loses the last so many entries.
    pub fn lose_tail(&self, partition: Partition, entries: usize) -> LostTail {
        let log = self.log(partition);
        let lost = {
            let mut era = log.era.lock();
            era.generation += 1;
            let keep = era.entries.len().saturating_sub(entries);
            let lost = era.entries.split_off(keep);
            LostTail {
                end: Position {
                    epoch: era.epoch,
                    seq: keep as u64,
                },
                lost: lost.iter().map(|logged| logged.entry.id.clone()).collect(),
            }
        };
        log.changes.send_replace(());
        lost
    }

    /// Puts an empty log of an epoch in the place of this one.
    pub fn recreate(&self, partition: Partition, epoch: u32) {
        let log = self.log(partition);
        {
            let mut era = log.era.lock();
            *era = Era {
                epoch,
                generation: era.generation + 1,
                entries: Vec::new(),
            };
        }
        log.changes.send_replace(());
    }
}
