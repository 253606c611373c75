//! What a loop writes lazily: the changed states, and then how far it is.

use std::time::Instant;

use confab_bus::{Bus, Position};
use confab_chat::EntryId;
use confab_proto::message::Logged;
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_proto::wire::Wire;
use confab_store::{Key, Store, Write};

use super::{CONCURRENCY, Owner};
use crate::seams::Fault;

/// Dates the rows that say how far a partition is: grows with every entry, and with every epoch.
fn timestamp(epoch: u32, seq: u64) -> u64 {
    (u64::from(epoch) << 40) + seq
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Writes what has changed since the last time: states first, the checkpoint only when all of them stand.
    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        self.meters
            .cached
            .set(crate::metrics::number(self.chats.len() + self.mailboxes.len()));
        self.flush_cursors().await?;
        if self.checkpointed == self.applied {
            return Ok(());
        }
        let begun = Instant::now();
        self.write_states().await?;
        self.chats.settle();
        self.mailboxes.settle();
        self.write_checkpoint(self.applied, &self.applied_id).await?;
        self.checkpointed = self.applied;
        let upto = Position {
            epoch: self.epoch,
            seq: self.applied,
        };
        self.seams.bus.trim(self.partition, upto).await;
        self.meters.flush_seconds.record(begun.elapsed());
        Ok(())
    }

    /// Writes the changed states.
    ///
    /// A lot at a time, and others go first in between: writes into a store of this process never wait, so all of them at once
    /// would keep the thread for milliseconds. Their unfinished list, too, would take pages that the system has to clear first.
    pub(super) async fn write_states(&self) -> Result<(), Fault> {
        let states = self.chats.writes().chain(self.mailboxes.writes());
        let mut writes = states
            .map(|(actor, parts)| self.seams.write_state(actor, parts))
            .peekable();
        while writes.peek().is_some() {
            let lot: Vec<_> = writes.by_ref().take(CONCURRENCY).collect();
            self.meters.flushed.increment(lot.len() as u64);
            super::concurrently(lot).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Writes that everything up to and including an entry is done.
    pub(super) async fn write_checkpoint(&self, seq: u64, entry_id: &EntryId) -> Result<(), Fault> {
        let checkpoint = CheckpointRow {
            epoch: self.epoch,
            seq,
            entry_id: entry_id.clone(),
            logic: self.logic,
        };
        let write = Write {
            key: Key::Checkpoint(self.partition),
            timestamp: timestamp(self.epoch, seq),
            value: checkpoint.encode(),
            expires: None,
        };
        self.seams.write(vec![write]).await
    }

    async fn flush_cursors(&mut self) -> Result<(), Fault> {
        if self.soft.cursors.is_empty() {
            return Ok(());
        }
        let clock = &mut self.soft.clock;
        let rows = self.soft.cursors.writes(|| clock.next());
        self.seams.write(rows).await?;
        self.soft.cursors.written();
        Ok(())
    }

    /// Writes the row that says up to where rows may stand: before any of them does. A worker may die in the middle of
    /// them, and the log lose its end in the same power cut; then nothing else tells that they are ahead of it. It is
    /// under way while the batch reads what it needs.
    pub(super) fn reaches(&self, last: &Logged) -> impl Future<Output = Result<(), Fault>> + use<B, S> {
        let row = ReachRow {
            epoch: self.epoch,
            seq: last.seq,
            entry_id: last.entry.id.clone(),
        };
        let write = Write {
            key: Key::Reach(self.partition),
            timestamp: timestamp(self.epoch, last.seq),
            value: row.encode(),
            expires: None,
        };
        let needed = !self.config.rows_follow_log;
        let seams = self.seams.clone();
        async move {
            match needed {
                true => seams.write(vec![write]).await,
                false => Ok(()),
            }
        }
    }
}
