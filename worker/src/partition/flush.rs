//! What a loop writes lazily: the changed states, and then how far it is.

use std::time::Instant;

use confab_bus::{Bus, Position};
use confab_chat::{ChatKey, EntryId, UserId};
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_proto::wire::Wire;
use confab_store::{Key, Store, Write};

use super::Owner;
use crate::seams::Fault;

/// Dates the rows that say how far a partition is: grows with every entry, and with every epoch.
fn timestamp(epoch: u32, seq: u64) -> u64 {
    (u64::from(epoch) << 40) + seq
}

/// Each round of writing is spread over so many turns, so that no entry waits for all of it.
pub(super) const PARTS: u32 = 8;

/// What is written by a round, and the checkpoint that it ends with: when it began, all effects of the entries up to
/// there were out, and every state that they had changed was still to be written. One that has changed again by its turn
/// is written as it is then, and covers more.
pub(super) struct Round {
    checkpoint: CheckpointRow,
    chats: Vec<ChatKey>,
    users: Vec<UserId>,
    /// How many states a turn takes.
    part: usize,
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// Writes all that has changed since the last time: states first, the checkpoint only when all of them stand.
    pub(super) async fn flush(&mut self) -> Result<(), Fault> {
        // What a round has left is among what has changed.
        self.round = None;
        self.flush_cursors().await?;
        if self.checkpointed == self.applied {
            return Ok(());
        }
        let round = self.begin_round();
        self.go_on(round, usize::MAX).await
    }

    /// Writes a part of what had changed when the round began, and begins the next round where none is under way.
    pub(super) async fn flush_part(&mut self) -> Result<(), Fault> {
        let round = match self.round.take() {
            Some(round) => round,
            None => {
                self.flush_cursors().await?;
                if self.checkpointed == self.applied {
                    return Ok(());
                }
                self.begin_round()
            }
        };
        let part = round.part;
        self.go_on(round, part).await
    }

    fn begin_round(&self) -> Round {
        self.meters
            .cached
            .set(crate::metrics::number(self.chats.len() + self.mailboxes.len()));
        let (chats, users) = (self.chats.dirty(), self.mailboxes.dirty());
        Round {
            checkpoint: self.checkpoint(self.applied, &self.applied_id),
            part: (chats.len() + users.len()).div_ceil(PARTS as usize),
            chats,
            users,
        }
    }

    /// Writes so many states of a round, and the checkpoint after the last one.
    async fn go_on(&mut self, mut round: Round, most: usize) -> Result<(), Fault> {
        let begun = Instant::now();
        let chats = round.chats.split_off(round.chats.len().saturating_sub(most));
        let rest = most - chats.len();
        let users = round.users.split_off(round.users.len().saturating_sub(rest));
        self.write(&chats, &users).await?;
        self.chats.settle(&chats);
        self.mailboxes.settle(&users);
        if round.chats.is_empty() && round.users.is_empty() {
            self.end_round(&round.checkpoint).await?;
        } else {
            self.round = Some(round);
        }
        self.meters.flush_seconds.record(begun.elapsed());
        Ok(())
    }

    async fn end_round(&mut self, checkpoint: &CheckpointRow) -> Result<(), Fault> {
        self.put_checkpoint(checkpoint).await?;
        self.checkpointed = checkpoint.seq;
        let upto = Position {
            epoch: checkpoint.epoch,
            seq: checkpoint.seq,
        };
        self.seams.bus.trim(self.partition, upto).await;
        Ok(())
    }

    /// Writes what has changed of these states.
    async fn write(&self, chats: &[ChatKey], users: &[UserId]) -> Result<(), Fault> {
        let mut states = self.chats.writes(chats);
        states.append(&mut self.mailboxes.writes(users));
        self.meters.flushed.increment(states.len() as u64);
        let seams = &self.seams;
        let writes = states
            .into_iter()
            .map(|(actor, parts)| seams.write_state(actor, parts));
        super::concurrently(writes.collect()).await?;
        Ok(())
    }

    /// Writes all states that have changed.
    pub(super) async fn write_states(&self) -> Result<(), Fault> {
        self.write(&self.chats.dirty(), &self.mailboxes.dirty()).await
    }

    /// What says that everything up to and including an entry is done.
    fn checkpoint(&self, seq: u64, entry_id: &EntryId) -> CheckpointRow {
        CheckpointRow {
            epoch: self.epoch,
            seq,
            entry_id: entry_id.clone(),
            logic: self.logic,
        }
    }

    /// Writes that everything up to and including an entry is done.
    pub(super) async fn write_checkpoint(&self, seq: u64, entry_id: &EntryId) -> Result<(), Fault> {
        self.put_checkpoint(&self.checkpoint(seq, entry_id)).await
    }

    async fn put_checkpoint(&self, row: &CheckpointRow) -> Result<(), Fault> {
        let write = Write {
            key: Key::Checkpoint(self.partition),
            timestamp: timestamp(row.epoch, row.seq),
            value: row.encode(),
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

    /// The row that says up to where rows may stand.
    pub(super) fn reach(&self, seq: u64, entry_id: &EntryId) -> Write {
        let row = ReachRow {
            epoch: self.epoch,
            seq,
            entry_id: entry_id.clone(),
        };
        Write {
            key: Key::Reach(self.partition),
            timestamp: timestamp(self.epoch, seq),
            value: row.encode(),
            expires: None,
        }
    }
}
