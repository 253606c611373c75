//! How far each partition's loop is: starting, caught up, or stopped with an alarm.

use confab_chat::Partition;
use tokio::sync::watch;

use crate::metrics;

/// A partition cannot go on: its log has a hole, or its store holds what cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition {} has stopped: {why}", .partition.0)]
pub struct NotReady {
    /// Which.
    pub partition: Partition,
    /// What is wrong.
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    CaughtUp,
    Stopped(String),
}

/// What the loops report and the worker's handle reads.
#[derive(Clone, Debug)]
pub(crate) struct Health(watch::Sender<Vec<Phase>>);

impl Health {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(watch::Sender::new(vec![Phase::Starting; usize::from(partitions)]))
    }

    fn set(&self, partition: Partition, phase: Phase) {
        self.0.send_modify(|phases| {
            if let Some(slot) = phases.get_mut(usize::from(partition.0)) {
                *slot = phase;
            }
            let stopped = phases.iter().filter(|phase| matches!(phase, Phase::Stopped(_)));
            metrics::partitions_stopped(stopped.count());
        });
    }

    /// The loop begins, or begins again.
    pub(crate) fn starting(&self, partition: Partition) {
        self.set(partition, Phase::Starting);
    }

    /// The loop has applied what its log held when it was opened.
    pub(crate) fn caught_up(&self, partition: Partition) {
        self.set(partition, Phase::CaughtUp);
    }

    /// The loop cannot go on.
    pub(crate) fn stopped(&self, partition: Partition, why: &str) {
        self.set(partition, Phase::Stopped(why.to_owned()));
    }

    /// Whether every partition is caught up.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.borrow().iter().all(|phase| *phase == Phase::CaughtUp)
    }

    /// Those that are at work.
    pub(crate) fn at_work(&self) -> Vec<Partition> {
        let phases = self.0.borrow();
        let numbered = (0u16..).zip(phases.iter());
        let at_work = numbered.filter(|(_, phase)| !matches!(phase, Phase::Stopped(_)));
        at_work.map(|(number, _)| Partition(number)).collect()
    }

    /// Waits until every partition is caught up, or one has stopped.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        let mut changes = self.0.subscribe();
        loop {
            {
                let phases = changes.borrow_and_update();
                if let Some(stopped) = first_stopped(&phases) {
                    return Err(stopped);
                }
                if phases.iter().all(|phase| *phase == Phase::CaughtUp) {
                    return Ok(());
                }
            }
            // The sender is `self`: it cannot be gone.
            let _changed = changes.changed().await;
        }
    }

    /// Waits until a partition stops.
    pub(crate) async fn failure(&self) -> NotReady {
        let mut changes = self.0.subscribe();
        loop {
            if let Some(stopped) = first_stopped(&changes.borrow_and_update()) {
                return stopped;
            }
            let _changed = changes.changed().await;
        }
    }
}

fn first_stopped(phases: &[Phase]) -> Option<NotReady> {
    (0u16..).zip(phases).find_map(|(number, phase)| match phase {
        Phase::Stopped(why) => Some(NotReady {
            partition: Partition(number),
            why: why.clone(),
        }),
        Phase::Starting | Phase::CaughtUp => None,
    })
}
