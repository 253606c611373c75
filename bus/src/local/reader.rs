//! A partition's reader.

use std::sync::Arc;

use confab_chat::Partition;
use confab_proto::message::{Logged, Signal};

use super::append::Core;
use super::partition::{Part, Taken};
use crate::{Input, PartitionReader, Position, ReadError};

/// Reads a partition of the in-process bus. There may be several of one partition: each reads all of it.
#[derive(Debug)]
pub struct LocalReader {
    core: Arc<Core>,
    partition: Partition,
    id: u64,
    /// The sequence to read next.
    next: u64,
    /// Up to here the one who reads is done.
    settled_to: u64,
    end_at_open: Position,
    /// Others had their turn since something was taken.
    others_went_first: bool,
}

/// What a reader asks for.
#[derive(Clone, Copy)]
struct Wanted {
    entries: usize,
    signals: bool,
}

impl LocalReader {
    pub(super) fn open(core: Arc<Core>, partition: Partition, after: Position) -> Result<Self, ReadError> {
        let Some(part) = core.part(partition) else {
            return Err(ReadError::Closed(format!(
                "there is no partition {}",
                partition.0
            )));
        };
        let (id, end_at_open) = {
            let mut log = part.log.lock();
            let end = core.position(log.next_seq() - 1);
            let found = if after.epoch != end.epoch && after != Position::default() {
                Some(format!("epoch {}", end.epoch))
            } else if after.seq < log.trimmed() {
                Some(format!("entries after {}", log.trimmed()))
            } else if after.seq > end.seq {
                Some(format!("nothing after {}", end.seq))
            } else {
                None
            };
            if let Some(found) = found {
                return Err(ReadError::Hole {
                    partition,
                    expected: after.seq + 1,
                    found,
                });
            }
            let end_at_open = if end.seq == 0 { Position::default() } else { end };
            core.journal.unsettled(end.seq - after.seq);
            (log.add_reader(), end_at_open)
        };
        Ok(Self {
            core,
            partition,
            id,
            next: after.seq + 1,
            settled_to: after.seq,
            end_at_open,
            others_went_first: false,
        })
    }

    /// What there is now of what is wanted.
    fn take(&mut self, wanted: Wanted) -> Result<Option<Input>, ReadError> {
        let closed = |why: &str| ReadError::Closed(why.to_owned());
        if let Some(why) = self.core.ended() {
            return Err(closed(why));
        }
        let part = self
            .core
            .part(self.partition)
            .ok_or_else(|| closed("there is no such partition"))?;
        let (taken, signals) = {
            let mut log = part.log.lock();
            let signals = if wanted.signals {
                log.take_signals(self.id)
            } else {
                Vec::new()
            };
            (log.from(self.next, wanted.entries).ok_or(log.trimmed()), signals)
        };
        let taken = taken.map_err(|trimmed| self.hole(format!("entries after {trimmed}")))?;
        if taken.is_empty() && signals.is_empty() {
            return Ok(None);
        }
        Ok(Some(Input {
            entries: self.decode(taken)?,
            signals,
        }))
    }

    fn decode(&mut self, taken: Vec<Taken>) -> Result<Vec<Logged>, ReadError> {
        let mut entries = Vec::with_capacity(taken.len());
        let first = self.next;
        for (seq, taken) in (first..).zip(taken) {
            let entry = taken.into_logged(seq);
            entries.push(entry.map_err(|error| self.hole(format!("one that cannot be read: {error}")))?);
        }
        self.next += entries.len() as u64;
        Ok(entries)
    }

    fn hole(&self, found: String) -> ReadError {
        ReadError::Hole {
            partition: self.partition,
            expected: self.next,
            found,
        }
    }

    /// Whether some of what is wanted is there, or the end.
    fn has_any(&self, part: &Part, wanted: Wanted) -> bool {
        let log = part.log.lock();
        let has_entry = wanted.entries > 0 && log.has_entry(self.next);
        has_entry || wanted.signals && log.has_signal(self.id) || self.core.ended().is_some()
    }

    /// Waits for some of what is wanted. Nothing is taken before the wait is over, so a caller may give up at any time.
    async fn wait(&mut self, wanted: Wanted) -> Result<Input, ReadError> {
        self.settled();
        loop {
            let core = Arc::clone(&self.core);
            if let Some(part) = core.part(self.partition) {
                let arrived = part.arrived.notified();
                // It hears of what comes from here on, so one look misses nothing.
                if !self.has_any(part, wanted) {
                    self.others_went_first = false;
                    arrived.await;
                }
            }
            // Whoever is about to append does so first, even where there are entries already: a batch costs more than an entry.
            // Once: a caller who gives up each time shall get something, too.
            if !std::mem::replace(&mut self.others_went_first, true) {
                tokio::task::yield_now().await;
            }
            if let Some(input) = self.take(wanted)? {
                self.others_went_first = false;
                return Ok(input);
            }
        }
    }
}

impl PartitionReader for LocalReader {
    async fn next(&mut self, max: usize) -> Result<Vec<Logged>, ReadError> {
        Ok(self
            .wait(Wanted {
                entries: max.max(1),
                signals: false,
            })
            .await?
            .entries)
    }

    async fn signals(&mut self) -> Vec<Signal> {
        match self
            .wait(Wanted {
                entries: 0,
                signals: true,
            })
            .await
        {
            Ok(input) => input.signals,
            // That the log has ended is for `next` to say.
            Err(_) => std::future::pending().await,
        }
    }

    async fn input(&mut self, max: usize) -> Result<Input, ReadError> {
        self.wait(Wanted {
            entries: max.max(1),
            signals: true,
        })
        .await
    }

    fn settled(&mut self) {
        let done = self.next - 1;
        if done > self.settled_to {
            self.core.journal.settled(done - self.settled_to);
            self.settled_to = done;
        }
    }

    fn end_at_open(&self) -> Position {
        self.end_at_open
    }
}

impl Drop for LocalReader {
    fn drop(&mut self) {
        if let Some(part) = self.core.part(self.partition) {
            let mut log = part.log.lock();
            log.remove_reader(self.id);
            self.core.journal.settled(log.next_seq() - 1 - self.settled_to);
        }
    }
}
