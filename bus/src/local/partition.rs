//! One partition: its entries that are not trimmed, its readers' signals, and the deliveries that wait for a commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use confab_chat::Timestamp;
use confab_proto::message::{LogEntry, Logged, Signal, ToGateway};
use confab_proto::wire::{Packer, Wire, WireError};
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc};

use super::soft::{dropped, send};
use crate::journal::FoundPartition;

/// Entries are kept in pieces of memory of this size.
const CHUNK: usize = 64 << 10;

pub(super) struct Part {
    pub(super) log: Mutex<Log>,
    /// Rings when there is an entry or a signal to read.
    pub(super) arrived: Notify,
    /// The last durable sequence.
    durable: AtomicU64,
    held: Mutex<VecDeque<HeldDelivery>>,
}

/// A delivery on its way.
pub(super) struct HeldDelivery {
    pub(super) seq: u64,
    pub(super) to: mpsc::Sender<ToGateway>,
    pub(super) message: ToGateway,
}

impl Part {
    pub(super) fn new(found: FoundPartition) -> Self {
        let before = found.before;
        let keep = |record: crate::journal::Found| Kept {
            time: record.time,
            cost: super::append::cost(record.payload.len()),
            bytes: record.payload,
            entry: None,
        };
        let entries: VecDeque<_> = found.records.into_iter().map(keep).collect();
        let durable = AtomicU64::new(before + entries.len() as u64);
        let log = Mutex::new(Log {
            before,
            entries,
            packer: Packer::new(CHUNK),
            readers: Vec::new(),
            readers_made: 0,
        });
        Self {
            log,
            arrived: Notify::new(),
            durable,
            held: Mutex::new(VecDeque::new()),
        }
    }

    /// Sends a delivery, or holds it until its entry is durable and those before it are sent.
    pub(super) fn deliver(&self, delivery: HeldDelivery, most: usize) {
        let mut held = self.held.lock();
        // Read under the lock: the committer raises it first and empties the queue under the lock after that.
        if held.is_empty() && delivery.seq <= self.durable.load(Ordering::Acquire) {
            send("delivery", &delivery.to, delivery.message);
        } else if held.len() < most {
            held.push_back(delivery);
        } else {
            dropped("delivery");
        }
    }

    /// Everything up to and including a sequence is durable: sends what has waited for it.
    pub(super) fn committed(&self, seq: u64) {
        self.durable.store(seq, Ordering::Release);
        let mut held = self.held.lock();
        while held.front().is_some_and(|delivery| delivery.seq <= seq) {
            let Some(delivery) = held.pop_front() else { return };
            send("delivery", &delivery.to, delivery.message);
        }
    }

    /// Nothing will be committed any more.
    pub(super) fn drop_held(&self) {
        self.held.lock().clear();
    }
}

/// An entry that is not trimmed.
///
/// Until then hardly anybody reads it a second time. So what it is made of goes to its reader, who is done with it while it
/// is still in the processor's cache, and what stays is its encoded form, one behind the other in memory.
struct Kept {
    time: u64,
    /// What it counts as in memory.
    cost: usize,
    bytes: Bytes,
    /// As this process appended it, until somebody has read it.
    entry: Option<Arc<LogEntry>>,
}

/// An entry as a reader takes it.
pub(super) struct Taken {
    time: u64,
    body: Body,
}

enum Body {
    Entry(Arc<LogEntry>),
    Bytes(Bytes),
}

impl Kept {
    fn take(&mut self) -> Taken {
        let body = match self.entry.take() {
            Some(entry) => Body::Entry(entry),
            None => Body::Bytes(self.bytes.clone()),
        };
        Taken {
            time: self.time,
            body,
        }
    }
}

impl Taken {
    pub(super) fn into_logged(self, seq: u64) -> Result<Logged, WireError> {
        let entry = match self.body {
            Body::Entry(entry) => entry,
            Body::Bytes(bytes) => Arc::new(LogEntry::decode(&bytes)?),
        };
        Ok(Logged {
            seq,
            time: Timestamp(self.time),
            entry,
        })
    }
}

/// The entries of a partition, and the signals of those who read it.
pub(super) struct Log {
    /// The last sequence that is trimmed; the first entry here is the next one.
    before: u64,
    entries: VecDeque<Kept>,
    packer: Packer,
    readers: Vec<(u64, VecDeque<Signal>)>,
    readers_made: u64,
}

/// What a trim frees; dropped outside of the lock.
pub(super) struct Freed {
    pub(super) cost: u64,
    _entries: Vec<Kept>,
}

impl Log {
    pub(super) fn next_seq(&self) -> u64 {
        self.before + self.entries.len() as u64 + 1
    }

    /// Whether there is an entry from `seq` on.
    pub(super) fn has_entry(&self, seq: u64) -> bool {
        self.next_seq() > seq
    }

    /// Whether there is a signal for a reader.
    pub(super) fn has_signal(&self, reader: u64) -> bool {
        let mut readers = self.readers.iter();
        readers.any(|(id, signals)| *id == reader && !signals.is_empty())
    }

    pub(super) fn trimmed(&self) -> u64 {
        self.before
    }

    /// Keeps an entry; `bytes` is its encoded form.
    pub(super) fn push(&mut self, time: u64, cost: usize, entry: Arc<LogEntry>, bytes: &[u8]) {
        self.entries.push_back(Kept {
            time,
            cost,
            bytes: self.packer.pack(bytes),
            entry: Some(entry),
        });
    }

    /// At most `max` entries from `seq` on; `None` if that one is trimmed.
    pub(super) fn from(&mut self, seq: u64, max: usize) -> Option<Vec<Taken>> {
        let skip = usize::try_from(seq.checked_sub(self.before + 1)?).ok()?;
        let end = self.entries.len().min(skip.saturating_add(max));
        Some(if skip < end {
            self.entries.range_mut(skip..end).map(Kept::take).collect()
        } else {
            Vec::new()
        })
    }

    pub(super) fn trim(&mut self, upto: u64) -> Freed {
        let upto = upto.min(self.next_seq() - 1);
        let count = usize::try_from(upto.saturating_sub(self.before)).unwrap_or(usize::MAX);
        let entries: Vec<_> = self.entries.drain(..count.min(self.entries.len())).collect();
        if self.entries.is_empty() {
            self.packer = Packer::new(CHUNK);
        }
        self.before += entries.len() as u64;
        Freed {
            cost: entries.iter().map(|entry| entry.cost as u64).sum(),
            _entries: entries,
        }
    }

    /// Gives a signal to every reader. False if it did not fit everywhere.
    pub(super) fn signal(&mut self, signal: Signal, most: usize) -> bool {
        let mut fits = true;
        let Some(((_, last), others)) = self.readers.split_last_mut() else {
            return false;
        };
        for (_, signals) in others {
            fits &= signals.len() < most;
            if signals.len() < most {
                signals.push_back(signal.clone());
            }
        }
        if last.len() < most {
            last.push_back(signal);
            return fits;
        }
        false
    }

    /// How many read it.
    pub(super) fn readers(&self) -> u64 {
        self.readers.len() as u64
    }

    pub(super) fn add_reader(&mut self) -> u64 {
        self.readers_made += 1;
        self.readers.push((self.readers_made, VecDeque::new()));
        self.readers_made
    }

    pub(super) fn remove_reader(&mut self, reader: u64) {
        self.readers.retain(|(id, _)| *id != reader);
    }

    pub(super) fn take_signals(&mut self, reader: u64) -> Vec<Signal> {
        let found = self.readers.iter_mut().find(|(id, _)| *id == reader);
        found
            .map(|(_, signals)| signals.drain(..).collect())
            .unwrap_or_default()
    }
}
