//! How it is with a partition, for those who look at a deployment from outside of its workers.

use std::time::Duration;

use confab_bus::{Bus, PartitionReader, Position};
use confab_chat::Partition;
use confab_store::Store;

use crate::partition::begin::Standing;
use crate::seams::{Fault, Seams};

/// How long the engines may take to answer all that is asked of one partition.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries read at a time.
const BATCH: usize = 512;

/// How it is with a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which.
    pub partition: Partition,
    /// The highest epoch that its rows know of; 0 for one that nothing was ever written for.
    pub epoch: u32,
    /// How many entries of its log are not done yet.
    pub behind: u64,
    /// What is wrong with its log. A worker that owns the partition has stopped it, or will.
    pub fault: Option<String>,
}

/// It cannot be told how it is with a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unknown(String);

/// Looks whether a partition's log is the one that its rows were made from, and whole from where its owner goes on.
///
/// # Errors
/// The log or the tables are out of reach, or a row cannot be read.
pub async fn examine<B: Bus, S: Store>(
    bus: &B,
    store: &S,
    partition: Partition,
) -> Result<Condition, Unknown> {
    let seams = Seams {
        bus: bus.clone(),
        store: store.clone(),
    };
    let looking = tokio::time::timeout(PATIENCE, look(&seams, partition)).await;
    looking.map_err(|_| Unknown(format!("no answer within {PATIENCE:?}")))?
}

async fn look<B: Bus, S: Store>(seams: &Seams<B, S>, partition: Partition) -> Result<Condition, Unknown> {
    let standing = Standing::read(seams, partition)
        .await
        .map_err(|fault| Unknown(fault.to_string()))?;
    let mut condition = Condition {
        partition,
        epoch: standing.epoch(),
        behind: 0,
        fault: None,
    };
    match read_through(&seams.bus, partition, &standing).await {
        Ok(behind) => condition.behind = behind,
        Err(Fault::Alarm(why)) => condition.fault = Some(why),
        Err(fault @ Fault::Closed(_)) => return Err(Unknown(fault.to_string())),
    }
    Ok(condition)
}

/// Reads all that is not done yet: so a hole is found wherever it is.
async fn read_through<B: Bus>(bus: &B, partition: Partition, standing: &Standing) -> Result<u64, Fault> {
    let (start, mut reader) = standing.open(bus, partition).await?;
    let end = reader.end_at_open();
    let mut at = Position {
        epoch: end.epoch,
        ..start
    };
    while at < end {
        let entries = reader.next(BATCH).await?;
        at.seq = entries.last().map_or(at.seq, |last| last.seq);
    }
    Ok(end.seq - start.seq)
}
