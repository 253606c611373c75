//! How full the log is, and making room where nothing else helps.
//!
//! One task looks at the partitions that this process appends to, every few seconds. A log is kept for its whole age, for it is the backup from which a restored database catches up. Only a
//! partition that is nearly full is trimmed: what lies below the checkpoint and is older than an hour.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use confab_chat::Partition;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::api::{ApiError, StreamState};
use super::core::{Core, FULL, Part};
use super::metrics;
use crate::Position;

/// How often a partition that is appended to is looked at.
const LOOK: Duration = Duration::from_secs(2);
/// From this fill on entries are deleted before their time.
const NEARLY_FULL: u32 = FULL / 10 * 9;
/// What is younger stays, whatever happens.
const KEPT: Duration = Duration::from_secs(60 * 60);
/// At most so often.
const BETWEEN_TRIMS: Duration = Duration::from_secs(10);

/// Looks at the partitions this process appends to, for ever.
pub(super) async fn watch(core: Arc<Core>) {
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        core.link.check();
        for (partition, part) in core.partitions() {
            if !core.is_connected() || !part.appended.swap(false, Ordering::Relaxed) {
                continue;
            }
            if let Err(error) = core.look(partition).await {
                part.appended.store(true, Ordering::Relaxed);
                tracing::warn!(partition = partition.0, %error, "it cannot be seen how full the log is");
                break;
            }
        }
    }
}

/// Whether a partition is so full that trimming must be thought of now.
pub(super) fn is_due(core: &Core, partition: Partition) -> bool {
    let Some(part) = core.part(partition) else {
        return false;
    };
    if part.fill.load(Ordering::Relaxed) < NEARLY_FULL {
        return false;
    }
    let mut trimmed = part.trimmed.lock();
    let due = trimmed.is_none_or(|at| at.elapsed() >= BETWEEN_TRIMS);
    if due {
        *trimmed = Some(Instant::now());
    }
    due
}

/// Deletes what lies at or below the checkpoint and is older than an hour, if the partition is nearly full.
pub(super) async fn trim(core: Arc<Core>, partition: Partition, checkpoint: Position) {
    match try_trim(&core, partition, checkpoint, KEPT).await {
        Ok(0) => tracing::error!(
            partition = partition.0,
            checkpoint = checkpoint.seq,
            "the log is nearly full, and holds nothing below the checkpoint that is older than an hour"
        ),
        Ok(entries) => {
            metrics::trimmed(partition, entries);
            tracing::error!(
                partition = partition.0,
                entries,
                "the log was nearly full: entries were deleted before their time, a database restored from an older copy \
                 cannot catch up from it any more; give the log more room (max_bytes), or keep it for less time"
            );
        }
        Err(error) => {
            tracing::error!(partition = partition.0, %error, "the log is nearly full and cannot be trimmed");
        }
    }
}

pub(super) async fn try_trim(
    core: &Core,
    partition: Partition,
    checkpoint: Position,
    kept: Duration,
) -> Result<u64, ApiError> {
    let (info, epoch) = core.look(partition).await?;
    let is_full = |part: &Part| part.fill.load(Ordering::Relaxed) >= NEARLY_FULL;
    if epoch != Some(checkpoint.epoch) || !core.part(partition).is_some_and(is_full) {
        return Ok(0);
    }
    let old = last_old(core, partition, &info.state, kept).await?;
    let upto = old.min(checkpoint.seq);
    if upto < info.state.first_seq {
        return Ok(0);
    }
    let stream = core.subjects.stream(partition);
    let purged = core.api.purge_before(&stream, upto + 1).await?;
    core.look(partition).await?;
    Ok(purged)
}

/// The last entry that is so much older than the last one of all, by the log's own time; 0 for none.
async fn last_old(
    core: &Core,
    partition: Partition,
    state: &StreamState,
    kept: Duration,
) -> Result<u64, ApiError> {
    let stream = core.subjects.stream(partition);
    let limit = state.last_ts - kept;
    // All up to `old` are, all from `young` on are not.
    let (mut old, mut young) = (state.first_seq.saturating_sub(1), state.last_seq + 1);
    while old + 1 < young {
        let middle = old + (young - old) / 2;
        if core.api.time_of(&stream, middle).await? <= limit {
            old = middle;
        } else {
            young = middle;
        }
    }
    Ok(old)
}
