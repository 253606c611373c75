//! The loop itself: entries, signals, and the clock, each in its turn.

use std::collections::VecDeque;
use std::time::Duration;

use confab_bus::{Bus, Input, PartitionReader, Position};
use confab_chat::Partition;
use confab_proto::message::{Announcement, Logged, Signal};
use confab_store::Store;
use tokio::time::{Instant, MissedTickBehavior};

use super::begin::begin;
use super::{Owner, Shared};
use crate::seams::Fault;

/// How many signals are handled before the log has its turn again.
const SIGNALS: usize = 256;
/// A flush more often than this would do nothing else.
const SHORTEST_FLUSH: Duration = Duration::from_millis(1);
/// How often sessions are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Begins, catches up, and goes on until the worker stops.
pub(super) async fn run<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    partition: Partition,
    attempt: u64,
) -> Result<(), Fault> {
    let stopping = &shared.stopping;
    let begun = tokio::select! {
        () = stopping.cancelled() => return Ok(()),
        begun = begin(shared, partition, attempt) => begun?,
    };
    let (mut owner, mut reader) = begun;
    let end = reader.end_at_open();
    // Until it has caught up the loop knows too little to answer: a mailbox may be behind what its devices have seen.
    while owner.position() < end {
        let entries = tokio::select! {
            biased;
            () = stopping.cancelled() => return owner.flush().await,
            entries = reader.next(owner.config.batch) => entries?,
        };
        owner.take(&entries).await?;
    }
    owner.seams.bus.announce(Announcement::Began { partition }).await;
    shared.health.caught_up(partition);
    serve(shared, owner, reader).await
}

async fn serve<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    mut owner: Owner<B, S>,
    mut reader: B::Reader,
) -> Result<(), Fault> {
    let mut flush = tokio::time::interval(owner.config.flush_every.max(SHORTEST_FLUSH));
    flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut swept = Instant::now();
    let mut signals: VecDeque<Signal> = VecDeque::new();
    loop {
        // With signals waiting the log is only asked for what is there already.
        let waiting = !signals.is_empty();
        let input = tokio::select! {
            biased;
            () = shared.stopping.cancelled() => break,
            now = flush.tick() => {
                owner.flush().await?;
                if now.duration_since(swept) >= SWEEP {
                    swept = now;
                    owner.sweep().await?;
                }
                continue;
            }
            input = reader.input(owner.config.batch) => input?,
            () = std::future::ready(()), if waiting => Input::default(),
        };
        owner.take(&input.entries).await?;
        signals.extend(input.signals);
        if !signals.is_empty() {
            let turn = signals.len().min(SIGNALS);
            owner.signals(signals.drain(..turn)).await?;
        }
    }
    owner.flush().await
}

impl<B: Bus, S: Store> Owner<B, S> {
    fn position(&self) -> Position {
        Position {
            epoch: self.epoch,
            seq: self.applied,
        }
    }

    /// Takes entries through all the steps of a batch, or of several.
    async fn take(&mut self, mut entries: &[Logged]) -> Result<(), Fault> {
        while !entries.is_empty() {
            let (now, later) = entries.split_at(Self::batch_end(entries));
            self.take_batch(now).await?;
            entries = later;
        }
        Ok(())
    }

    async fn take_batch(&mut self, entries: &[Logged]) -> Result<(), Fault> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        if first.seq != self.applied + 1 {
            let why = format!(
                "entry {} must come next, the reader gives {}",
                self.applied + 1,
                first.seq
            );
            return Err(Fault::Alarm(why));
        }
        let begun = Instant::now();
        let age = self.seams.bus.now().0.saturating_sub(first.time.0);
        self.meters.age.record(Duration::from_millis(age));
        self.meters.batch.record(crate::metrics::number(entries.len()));
        let batch = self.apply(entries).await?;
        self.send(batch, last).await?;
        self.meters.batch_seconds.record(begun.elapsed());
        if self.chats.is_full() || self.mailboxes.is_full() {
            self.flush().await?;
        }
        Ok(())
    }
}
