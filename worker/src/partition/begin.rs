//! Where a loop begins: after its checkpoint, and only if the log is the one that the checkpoint was written for.
//!
//! A log is known by its epoch, by how far it reaches, and by the ids of the entries that the checkpoint and `reach` name,
//! where it still has them. One of a later epoch than the checkpoint was put in the place of a lost one by hand, and is read
//! from its beginning. Whatever else does not fit stops the partition.

use confab_bus::{Bus, PartitionReader, Position, ReadError};
use confab_chat::{EntryId, Partition};
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_store::{Key, Store};

use super::ahead::Ahead;
use super::cache::Cache;
use super::soft::Soft;
use super::{LOGIC, Owner, Shared};
use crate::metrics::Meters;
use crate::seams::{Fault, Seams};

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Hole { .. } => Self::Alarm(error.to_string()),
            ReadError::Closed(why) => Self::Closed(why),
        }
    }
}

/// What the tables say of how far a partition is.
pub(crate) struct Standing {
    checkpoint: Option<Named>,
    reach: Option<Named>,
    logic: u32,
}

impl Standing {
    pub(crate) async fn read<B: Bus, S: Store>(
        seams: &Seams<B, S>,
        partition: Partition,
    ) -> Result<Self, Fault> {
        let checkpoint: Option<CheckpointRow> = seams.get(Key::Checkpoint(partition)).await?;
        let reach: Option<ReachRow> = seams.get(Key::Reach(partition)).await?;
        let logic = checkpoint.as_ref().map_or(LOGIC, |row| row.logic);
        if logic > LOGIC {
            let why = format!("logic {logic} is in force, this worker knows up to {LOGIC}");
            return Err(Fault::Alarm(why));
        }
        let checkpoint =
            checkpoint.map(|row| Named::new("the checkpoint at", row.epoch, row.seq, row.entry_id));
        let reach = reach.map(|row| {
            Named::new(
                "the last entry that rows come of,",
                row.epoch,
                row.seq,
                row.entry_id,
            )
        });
        Ok(Self {
            checkpoint,
            reach,
            logic,
        })
    }

    /// The highest epoch that the rows know of; 0 where nothing was ever written.
    pub(crate) fn epoch(&self) -> u32 {
        let named = self.checkpoint.iter().chain(&self.reach);
        named.map(|named| named.at.epoch).max().unwrap_or(0)
    }

    /// Opens the log where the partition's owner goes on. It must be the log that the tables were made from.
    pub(crate) async fn open<B: Bus>(
        &self,
        bus: &B,
        partition: Partition,
    ) -> Result<(Position, B::Reader), Fault> {
        let log = Log { bus, partition };
        let (start, reader) = log.open(self.checkpoint.as_ref()).await?;
        let end = reader.end_at_open();
        let reach = self
            .reach
            .as_ref()
            .filter(|reach| self.checkpoint.as_ref() != Some(reach));
        for named in self.checkpoint.iter().chain(reach) {
            log.check(named, end).await?;
        }
        Ok((start, reader))
    }
}

/// Opens a partition and makes its owner.
pub(super) async fn begin<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    partition: Partition,
    attempt: u64,
) -> Result<(Owner<B, S>, B::Reader), Fault> {
    let seams = &shared.seams;
    let standing = Standing::read(seams, partition).await?;
    let (start, reader) = standing.open(&seams.bus, partition).await?;
    let end = reader.end_at_open();
    let Standing {
        checkpoint, logic, ..
    } = standing;
    let applied_id = checkpoint.map_or_else(|| EntryId("".into()), |named| named.id);
    // A log without entries may not tell its epoch.
    let epoch = end.epoch.max(start.epoch).max(1);
    let config = &shared.config;
    let owner = Owner {
        seams: seams.clone(),
        config: config.clone(),
        meters: Meters::of(partition.0),
        oldest: shared.oldest.clone(),
        partition,
        partitions: seams.bus.partitions(),
        epoch,
        applied: start.seq,
        applied_id,
        checkpointed: start.seq,
        round: None,
        logic,
        chats: Cache::new(config.cached_states, epoch),
        mailboxes: Cache::new(config.cached_states, epoch),
        ahead: Ahead::after(start.seq),
        soft: Soft::default(),
        prefix: format!("{}.{}.{attempt}", config.name, partition.0),
        appended: 0,
    };
    Ok((owner, reader))
}

/// An entry that a row names.
struct Named {
    row: &'static str,
    at: Position,
    id: EntryId,
}

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        (self.at, &self.id) == (other.at, &other.id)
    }
}

impl Named {
    fn new(row: &'static str, epoch: u32, seq: u64, id: EntryId) -> Self {
        let at = Position { epoch, seq };
        Self { row, at, id }
    }
}

/// A partition's log, to be looked at.
struct Log<'a, B> {
    bus: &'a B,
    partition: Partition,
}

impl<B: Bus> Log<'_, B> {
    async fn open_after(&self, after: Position) -> Result<B::Reader, ReadError> {
        self.bus.open(self.partition, after).await
    }

    /// Opens the log after the checkpoint; one of a later epoch at its beginning.
    async fn open(&self, checkpoint: Option<&Named>) -> Result<(Position, B::Reader), Fault> {
        let after = checkpoint.map(|named| named.at).unwrap_or_default();
        let epoch = match self.open_after(after).await {
            Ok(reader) if checkpoint.is_none() || reader.end_at_open().epoch <= after.epoch => {
                return Ok((after, reader));
            }
            Ok(reader) => reader.end_at_open().epoch,
            // A position of another epoch may be refused. What the log's own is its beginning tells.
            Err(refused @ ReadError::Hole { .. }) => match self.open_after(Position::default()).await {
                Ok(reader) if reader.end_at_open().epoch > after.epoch => reader.end_at_open().epoch,
                Err(ReadError::Closed(why)) => return Err(Fault::Closed(why)),
                Ok(_) | Err(ReadError::Hole { .. }) => return Err(refused.into()),
            },
            Err(ReadError::Closed(why)) => return Err(Fault::Closed(why)),
        };
        let start = Position { epoch, seq: 0 };
        tracing::warn!(
            partition = self.partition.0,
            epoch,
            checkpoint = ?after,
            "the log before was lost: this one is read from its beginning"
        );
        Ok((start, self.open_after(start).await?))
    }

    /// The log must reach as far as an entry that a row names, and must have that entry there, unless it has let go of it.
    /// Of a row of an earlier epoch it knows nothing.
    async fn check(&self, named: &Named, end: Position) -> Result<(), Fault> {
        if end < named.at {
            let why = format!("the log ends at {end:?}, before {} {:?}", named.row, named.at);
            return Err(Fault::Alarm(why));
        }
        let Some(before) = named
            .at
            .seq
            .checked_sub(1)
            .filter(|_| end.epoch == named.at.epoch)
        else {
            return Ok(());
        };
        let before = Position {
            seq: before,
            ..named.at
        };
        // What is trimmed or has expired cannot be opened; then there is nothing to compare.
        let mut reader = match self.open_after(before).await {
            Ok(reader) => reader,
            Err(ReadError::Hole { .. }) => return Ok(()),
            Err(ReadError::Closed(why)) => return Err(Fault::Closed(why)),
        };
        let entries = match reader.next(1).await {
            Ok(entries) => entries,
            Err(unread) => {
                // It may have been let go of just now. Else it is there, and cannot be read.
                let gone = matches!(self.open_after(before).await, Err(ReadError::Hole { .. }));
                return if gone { Ok(()) } else { Err(unread.into()) };
            }
        };
        match entries.first() {
            Some(found) if found.seq == named.at.seq && found.entry.id == named.id => Ok(()),
            found => Err(Fault::Alarm(format!(
                "the log has {:?}, not {} of {} {:?}: it is another log",
                found.map(|found| (found.seq, &found.entry.id.0)),
                named.id.0,
                named.row,
                named.at
            ))),
        }
    }
}
