//! The loop itself: entries, signals, and the clock, each in its turn.

use std::collections::VecDeque;
use std::time::Duration;

use confab_bus::{Bus, Input, PartitionReader, Position};
use confab_chat::Partition;
use confab_proto::message::{Announcement, Logged, Signal};
use confab_service::mistake::{Mistake, is_made};
use confab_store::Store;
use futures_util::future::try_join;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::begin::begin;
use super::signals::Soft;
use super::{Owner, Shared};
use crate::config::Placement;
use crate::seams::Fault;

/// How many signals are handled before the log has its turn again.
const SIGNALS: usize = 256;
/// A loop that begins to write states more often than this would do nothing else.
const SHORTEST_FLUSH: Duration = Duration::from_millis(1);
/// How often sessions are looked through.
const SWEEP: Duration = Duration::from_secs(1);

/// Begins, catches up, and goes on until it is told to stop. Who is connected is taken from `soft`, and left there.
pub(super) async fn run<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    partition: Partition,
    attempt: u64,
    stopping: &CancellationToken,
    soft: &mut Soft,
) -> Result<(), Fault> {
    let begun = tokio::select! {
        () = stopping.cancelled() => return Ok(()),
        begun = begin(shared, partition, attempt) => begun?,
    };
    let (mut owner, mut reader) = begun;
    owner.soft = std::mem::take(soft);
    owner.soft.sessions.forget_last_events();
    let outcome = work(shared, &mut owner, &mut reader, stopping).await;
    *soft = owner.soft;
    outcome
}

async fn work<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    owner: &mut Owner<B, S>,
    reader: &mut B::Reader,
    stopping: &CancellationToken,
) -> Result<(), Fault> {
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
    let partition = owner.partition;
    owner.soft.listen_anew(&owner.config);
    owner.seams.bus.announce(Announcement::Began { partition }).await;
    shared.health.at_work(partition);
    serve(shared, owner, reader, stopping).await?;
    owner.flush().await?;
    if owner.config.placement == Placement::Shared {
        owner.hand_over().await;
    }
    Ok(())
}

/// Entries, signals, and the clock, until it is told to stop.
async fn serve<B: Bus, S: Store>(
    shared: &Shared<B, S>,
    owner: &mut Owner<B, S>,
    reader: &mut B::Reader,
    stopping: &CancellationToken,
) -> Result<(), Fault> {
    let mut flush = owner.flushes();
    let mut swept = Instant::now();
    let mut signals: VecDeque<Signal> = VecDeque::new();
    loop {
        // With signals waiting, or states, the log is only asked for what is there already, which takes it a turn.
        let waiting = !signals.is_empty() || owner.is_writing();
        let input = tokio::select! {
            biased;
            () = stopping.cancelled() => return Ok(()),
            now = flush.tick() => {
                owner.soft.turn(owner.config.missed_after());
                owner.begin_round().await?;
                if now.duration_since(swept) >= SWEEP {
                    swept = now;
                    owner.sweep(&shared.begins).await?;
                }
                continue;
            }
            input = reader.input(owner.config.batch) => input?,
            () = tokio::task::yield_now(), if waiting => Input::default(),
        };
        owner.soft.turn(owner.config.missed_after());
        owner.take(&input.entries).await?;
        reader.settled();
        signals.extend(input.signals);
        if !signals.is_empty() {
            let turn = signals.len().min(SIGNALS);
            owner.signals(signals.drain(..turn)).await?;
        }
        let filling = owner.chats.is_filling() || owner.mailboxes.is_filling();
        if filling && !owner.is_writing() {
            owner.begin_round().await?;
        }
        owner.write_lot().await?;
    }
}

impl<B: Bus, S: Store> Owner<B, S> {
    /// The moments to begin rounds at. Each partition has its own within the period: if all wrote their states at once, everybody
    /// would wait for them.
    fn flushes(&self) -> Interval {
        let period = self.config.flush_every.max(SHORTEST_FLUSH);
        let phase = period * u32::from(self.partition.0) / u32::from(self.partitions.max(1));
        let mut flushes = tokio::time::interval_at(Instant::now() + phase, period);
        flushes.set_missed_tick_behavior(MissedTickBehavior::Skip);
        flushes
    }

    /// How far this owner has come.
    pub(super) fn position(&self) -> Position {
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
        self.ahead.check(entries)?;
        let begun = Instant::now();
        self.oldest.taken(self.partition, first.time);
        let age = self.seams.bus.now().0.saturating_sub(first.time.0);
        self.meters.age.record(Duration::from_millis(age));
        self.meters.batch.record(crate::metrics::number(entries.len()));
        let ((), batch) = try_join(self.reaches(last.seq, &last.entry.id), self.apply(entries)).await?;
        if is_made(Mistake::StateBeforeEffects) {
            self.write_states(&self.chats.dirty(), &self.mailboxes.dirty())
                .await?;
        }
        if is_made(Mistake::CheckpointAhead) {
            let ahead = self.checkpoint(last.seq, &last.entry.id);
            self.write_checkpoint(&ahead).await?;
        }
        self.send(batch, last).await?;
        self.oldest.none_left(self.partition);
        self.meters.batch_seconds.record(begun.elapsed());
        if self.chats.is_full() || self.mailboxes.is_full() {
            self.flush().await?;
        }
        Ok(())
    }
}
