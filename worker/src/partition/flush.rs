//! What a loop writes lazily: the changed states, and then how far it is.

use std::time::Instant;

use confab_bus::{Bus, Position};
use confab_chat::{ChatKey, EntryId, UserId};
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_proto::wire::Wire;
use confab_service::mistake::{Mistake, is_made};
use confab_store::{Key, Store, Write};

use super::Owner;
use crate::seams::Fault;

/// A round takes so many lots at the most: until its end the log keeps what it has.
const TURNS: usize = 64;

/// Dates the rows that say how far a partition is: grows with every entry, and with every epoch.
fn timestamp(epoch: u32, seq: u64) -> u64 {
    (u64::from(epoch) << 40) + seq
}

/// What is being written, and the checkpoint behind it: when the round began all effects of the entries up to there were out, and
/// every state that they had changed was still to be written. One that has changed again by its turn is written as it is then,
/// and covers more.
pub(super) struct Round {
    begun: Instant,
    checkpoint: CheckpointRow,
    /// How many states are written at a time.
    lot: usize,
    chats: Vec<ChatKey>,
    users: Vec<UserId>,
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Writes all that has changed: states first, the checkpoint only when all of them stand. Others go first between the lots.
    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        // What a round has left is among what has changed.
        self.round = None;
        self.begin_round().await?;
        while self.is_writing() {
            self.write_lot().await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// Begins to write what has changed, unless a round is under way.
    pub(super) async fn begin_round(&mut self) -> Result<(), Fault> {
        self.flush_cursors().await?;
        if self.is_writing() || self.checkpointed == self.applied {
            return Ok(());
        }
        self.meters
            .cached
            .set(crate::metrics::number(self.chats.len() + self.mailboxes.len()));
        let (chats, users) = (self.chats.dirty(), self.mailboxes.dirty());
        self.round = Some(Round {
            begun: Instant::now(),
            checkpoint: self.checkpoint(self.applied, &self.applied_id),
            lot: self
                .config
                .flush_lot
                .max((chats.len() + users.len()).div_ceil(TURNS)),
            chats,
            users,
        });
        Ok(())
    }

    /// Whether a round is under way.
    pub(super) fn is_writing(&self) -> bool {
        self.round.is_some()
    }

    /// Writes some states of the round that is under way, and its checkpoint after the last of them.
    ///
    /// Not all at once: no entry of the partition should wait for so many, and where the store is in this process no other partition
    /// and no socket either.
    pub(super) async fn write_lot(&mut self) -> Result<(), Fault> {
        let Some(mut round) = self.round.take() else {
            return Ok(());
        };
        let chats = last(&mut round.chats, round.lot);
        let users = last(&mut round.users, round.lot - chats.len());
        if chats.is_empty() && users.is_empty() {
            return self.end_round(round).await;
        }
        self.write_states(&chats, &users).await?;
        self.chats.settle(&chats);
        self.mailboxes.settle(&users);
        self.round = Some(round);
        Ok(())
    }

    async fn end_round(&mut self, round: Round) -> Result<(), Fault> {
        let Round {
            begun,
            mut checkpoint,
            ..
        } = round;
        if is_made(Mistake::CheckpointOfTheEnd) {
            checkpoint = self.checkpoint(self.applied, &self.applied_id);
        }
        self.write_checkpoint(&checkpoint).await?;
        self.checkpointed = checkpoint.seq;
        let upto = Position {
            epoch: checkpoint.epoch,
            seq: checkpoint.seq,
        };
        self.seams.bus.trim(self.partition, upto).await;
        self.meters.flush_seconds.record(begun.elapsed());
        Ok(())
    }

    /// Writes what has changed of these states.
    pub(super) async fn write_states(&self, chats: &[ChatKey], users: &[UserId]) -> Result<(), Fault> {
        let states = self.chats.writes(chats).chain(self.mailboxes.writes(users));
        let writes: Vec<_> = states
            .map(|(actor, parts)| self.seams.write_state(actor, parts))
            .collect();
        self.meters.flushed.increment(writes.len() as u64);
        super::concurrently(writes).await?;
        Ok(())
    }

    /// What says that everything up to and including an entry is done.
    pub(super) fn checkpoint(&self, seq: u64, entry_id: &EntryId) -> CheckpointRow {
        CheckpointRow {
            epoch: self.epoch,
            seq,
            entry_id: entry_id.clone(),
            logic: self.logic,
        }
    }

    /// Writes that everything up to and including the entry of a checkpoint is done.
    pub(super) async fn write_checkpoint(&self, checkpoint: &CheckpointRow) -> Result<(), Fault> {
        let write = Write {
            key: Key::Checkpoint(self.partition),
            timestamp: timestamp(checkpoint.epoch, checkpoint.seq),
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
    /// them, and the log lose its end in the same power cut; then nothing else tells that they are ahead of it.
    pub(super) fn reaches(
        &self,
        seq: u64,
        entry_id: &EntryId,
    ) -> impl Future<Output = Result<(), Fault>> + use<B, S> {
        let row = ReachRow {
            epoch: self.epoch,
            seq,
            entry_id: entry_id.clone(),
        };
        let write = Write {
            key: Key::Reach(self.partition),
            timestamp: timestamp(self.epoch, seq),
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

/// Takes so many from the end.
fn last<T>(list: &mut Vec<T>, most: usize) -> Vec<T> {
    list.split_off(list.len().saturating_sub(most))
}
