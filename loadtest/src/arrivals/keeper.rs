//! Whoever keeps the times of a schedule: a thread of its own, since a runtime's timers are too coarse for latencies below
//! a millisecond. Whoever is late is late by the clock, and the latency counts from the time in the plan.

use std::thread::{self, JoinHandle};
use std::time::Instant;

use anyhow::{Result, anyhow};
use tokio::sync::mpsc;

use super::{Arrival, Schedule};

/// Batches that wait for the runtime. When it is so far behind, the thread waits for it: what is late is counted, not
/// kept in memory.
const BATCHES: usize = 64;
/// A batch goes out when it is this large, although more is due: who cannot catch up must not wait until it has.
const BATCH: usize = 256;

/// See the module.
pub(crate) struct Keeper {
    batches: mpsc::Receiver<Vec<Arrival>>,
    /// Gives the number of actions that were planned.
    thread: JoinHandle<u64>,
    handed_over: u64,
}

/// How it went with a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) planned: u64,
    /// Those of them that came too late to be handed over.
    pub(crate) dropped: u64,
}

impl Keeper {
    /// Hands each action over at its time, those that are due together in one batch, until `end`.
    ///
    /// # Errors
    ///
    /// Where the system has no thread left.
    pub(crate) fn new(schedule: Schedule, end: Instant) -> Result<Self> {
        let (sender, batches) = mpsc::channel(BATCHES);
        let thread = thread::Builder::new()
            .name("arrivals".to_owned())
            .spawn(move || run(schedule, end, &sender))?;
        Ok(Self {
            batches,
            thread,
            handed_over: 0,
        })
    }

    /// The next batch; none where there is none any more.
    pub(crate) async fn next(&mut self) -> Option<Vec<Arrival>> {
        let batch = self.batches.recv().await?;
        self.handed_over += batch.len() as u64;
        Some(batch)
    }

    /// Nothing is handed over any more.
    ///
    /// # Errors
    ///
    /// Where the thread has panicked: nobody knows then what was planned.
    pub(crate) fn end(mut self) -> Result<Kept> {
        self.batches.close();
        self.thread.thread().unpark();
        let ended = self.thread.join();
        let planned =
            ended.map_err(|_| anyhow!("the thread that keeps the times of the load has panicked"))?;
        Ok(Kept {
            planned,
            dropped: planned.saturating_sub(self.handed_over),
        })
    }
}

/// Until the end, or until nobody takes anything any more: how many were planned until then.
fn run(mut schedule: Schedule, end: Instant, batches: &mpsc::Sender<Vec<Arrival>>) -> u64 {
    let (mut planned, mut due) = (0, Vec::new());
    while schedule.next < end && !batches.is_closed() {
        let early = schedule.next.saturating_duration_since(Instant::now());
        if due.len() == BATCH || (!due.is_empty() && !early.is_zero()) {
            // Where nobody takes it, the loop ends.
            let _ = batches.blocking_send(std::mem::take(&mut due));
        } else if !early.is_zero() {
            thread::park_timeout(early);
        } else {
            due.extend(schedule.next());
            planned += 1;
        }
    }
    if !due.is_empty() {
        let _ = batches.blocking_send(due);
    }
    planned + schedule.left(end.min(Instant::now()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::scenario::Scenario;

    fn schedule(rate: &str) -> Schedule {
        let text = format!(
            "purpose = \"p\"\nusers = {{ count = 2 }}\nchats = {{ dialogs = 1 }}\nload = {{ rate = {rate}, duration = \"1s\", arrivals = \"steady\" }}"
        );
        let scenario: Scenario = toml::from_str(&text).unwrap();
        Schedule::new(&scenario, Instant::now()).unwrap()
    }

    fn keeper(rate: &str, time: Duration) -> Keeper {
        Keeper::new(schedule(rate), Instant::now() + time).unwrap()
    }

    #[tokio::test]
    async fn what_is_due_together_comes_together_and_nothing_is_left_out() {
        let mut keeper = keeper("1000.0", Duration::from_millis(100));
        let mut came = 0;
        while let Some(batch) = keeper.next().await {
            came += batch.len() as u64;
        }
        let kept = keeper.end().unwrap();
        assert_eq!((kept.planned, kept.dropped), (came, 0));
        assert!((99..=101).contains(&came), "{came}");
    }

    #[tokio::test]
    async fn batches_come_in_time_although_it_can_never_catch_up() {
        let mut keeper = keeper("1e10", Duration::from_secs(3600));
        assert_eq!(keeper.next().await.map(|batch| batch.len()), Some(BATCH));
        let kept = keeper.end().unwrap();
        assert!(
            kept.dropped > 0 && kept.planned == kept.dropped + BATCH as u64,
            "{kept:?}"
        );
    }

    #[tokio::test]
    async fn what_nobody_takes_is_not_kept() {
        let keeper = keeper("1e6", Duration::from_secs(3600));
        while keeper.batches.len() < BATCHES {
            tokio::task::yield_now().await;
        }
        let kept = keeper.end().unwrap();
        assert_eq!(kept.planned, kept.dropped);
        assert!(kept.planned >= BATCHES as u64, "{kept:?}");
    }

    #[tokio::test]
    async fn one_that_waits_for_its_time_ends_at_once() {
        let mut keeper = keeper("0.0001", Duration::from_secs(36_000));
        assert_eq!(keeper.next().await.map(|batch| batch.len()), Some(1));
        let kept = keeper.end().unwrap();
        assert_eq!((kept.planned, kept.dropped), (1, 0));
    }

    #[tokio::test]
    async fn a_panic_of_the_thread_is_an_error() {
        // No duration is so long.
        let mut keeper = keeper("1e-300", Duration::from_secs(1));
        while keeper.next().await.is_some() {}
        assert!(keeper.end().unwrap_err().to_string().contains("panicked"));
    }
}
