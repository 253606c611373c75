//! Where a loop begins: after its checkpoint, and only if the log is the one that the checkpoint was written for.

use confab_bus::{Bus, PartitionReader, Position, ReadError};
use confab_chat::{EntryId, Partition};
use confab_proto::row::{CheckpointRow, ReachRow};
use confab_store::{Key, Store};

use super::cache::Cache;
use super::signals::Soft;
use super::{LOGIC, Owner, Shared};
use crate::metrics::Meters;
use crate::seams::Fault;

impl From<ReadError> for Fault {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Hole { .. } => Self::Alarm(error.to_string()),
            ReadError::Closed(why) => Self::Closed(why),
        }
    }
}

/// Opens a partition and makes its owner.
pub(super) async fn begin<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    partition: Partition,
    attempt: u64,
) -> Result<(Owner<B, S>, B::Reader), Fault> {
    let seams = &shared.seams;
    let checkpoint: Option<CheckpointRow> = seams.get(Key::Checkpoint(partition)).await?;
    let reach: Option<ReachRow> = seams.get(Key::Reach(partition)).await?;
    let logic = checkpoint.as_ref().map_or(LOGIC, |row| row.logic);
    if logic > LOGIC {
        let why = format!("logic {logic} is in force, this worker knows up to {LOGIC}");
        return Err(Fault::Alarm(why));
    }
    let after = checkpoint.as_ref().map(position).unwrap_or_default();
    if let Some(row) = &checkpoint {
        check_entry(&seams.bus, partition, row).await?;
    }
    let mut reader = seams.bus.open(partition, after).await?;
    let mut start = after;
    let end = reader.end_at_open();
    if end.epoch > after.epoch && after != Position::default() {
        // The log before was lost, and given up by hand: the new one is read from its beginning.
        start = Position {
            epoch: end.epoch,
            seq: 0,
        };
        reader = seams.bus.open(partition, start).await?;
    }
    check_end(end, start, reach.as_ref())?;
    let applied_id = checkpoint.map_or_else(|| EntryId("".into()), |row| row.entry_id);
    let config = &shared.config;
    let owner = Owner {
        seams: seams.clone(),
        config: config.clone(),
        meters: Meters::of(partition.0),
        partition,
        partitions: seams.bus.partitions(),
        epoch: end.epoch.max(start.epoch).max(1),
        applied: start.seq,
        applied_id,
        checkpointed: start.seq,
        logic,
        chats: Cache::new(config.cached_states),
        mailboxes: Cache::new(config.cached_states),
        soft: Soft::default(),
        prefix: format!("{}.{}.{attempt}", config.name, partition.0),
        appended: 0,
    };
    Ok((owner, reader))
}

fn position(row: &CheckpointRow) -> Position {
    Position {
        epoch: row.epoch,
        seq: row.seq,
    }
}

/// The log must still have the checkpoint's entry where it was, if it has anything there: else it is another log.
async fn check_entry<B: Bus>(bus: &B, partition: Partition, row: &CheckpointRow) -> Result<(), Fault> {
    let Some(before) = row.seq.checked_sub(1) else {
        return Ok(());
    };
    let before = Position {
        epoch: row.epoch,
        seq: before,
    };
    // What is trimmed cannot be opened; then there is nothing to compare.
    let Ok(mut reader) = bus.open(partition, before).await else {
        return Ok(());
    };
    if reader.end_at_open() < position(row) {
        return Ok(());
    }
    let Ok(entries) = reader.next(1).await else {
        return Ok(());
    };
    match entries.first() {
        Some(found) if found.seq == row.seq && found.entry.id != row.entry_id => Err(Fault::Alarm(format!(
            "the log has entry {} at {}, where the checkpoint has {}: it is another log",
            found.entry.id.0, found.seq, row.entry_id.0
        ))),
        _ => Ok(()),
    }
}

/// The log must reach as far as the checkpoint and the rows do.
fn check_end(end: Position, start: Position, reach: Option<&ReachRow>) -> Result<(), Fault> {
    if end < start {
        let why = format!("the log ends at {end:?}, before the checkpoint at {start:?}");
        return Err(Fault::Alarm(why));
    }
    let Some(reach) = reach else {
        return Ok(());
    };
    let reach = Position {
        epoch: reach.epoch,
        seq: reach.seq,
    };
    if end < reach {
        let why = format!("the log ends at {end:?}, but rows were written up to {reach:?}");
        return Err(Fault::Alarm(why));
    }
    Ok(())
}
