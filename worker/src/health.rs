//! How far each partition's loop is, and which partitions are this worker's.

use confab_chat::Partition;
use tokio::sync::watch;

use crate::metrics;
use crate::placement::Place;

/// A partition cannot go on: its log has a hole, or its store holds what cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("partition {} has stopped: {why}", .partition.0)]
pub struct NotReady {
    /// Which.
    pub partition: Partition,
    /// What is wrong.
    pub why: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// There is no loop.
    #[default]
    Idle,
    /// It has not caught up with the log.
    Starting,
    /// It has, and takes signals.
    AtWork,
    /// It came to an end that needs a person. It stays so: whoever takes the partition elsewhere meets the same, or it
    /// was this process that was ill.
    Stopped(String),
}

#[derive(Clone, Debug, Default)]
struct Slot {
    phase: Phase,
    /// It is this worker's, as far as placement says.
    mine: bool,
}

#[derive(Debug)]
struct Slots {
    /// It is known which partitions are this worker's.
    placed: bool,
    slots: Vec<Slot>,
}

/// What the loops report and the worker's handle reads.
#[derive(Clone, Debug)]
pub(crate) struct Health(watch::Sender<Slots>);

impl Health {
    pub(crate) fn new(partitions: u16) -> Self {
        Self(watch::Sender::new(Slots {
            placed: false,
            slots: vec![Slot::default(); usize::from(partitions)],
        }))
    }

    fn set(&self, partition: Partition, phase: Phase) {
        self.0.send_modify(|slots| {
            if let Some(slot) = slots.slots.get_mut(usize::from(partition.0)) {
                slot.phase = phase;
            }
            let count = |wanted: fn(&Phase) -> bool| {
                let found = slots.slots.iter().filter(|slot| wanted(&slot.phase));
                found.count()
            };
            metrics::partitions_stopped(count(|phase| matches!(phase, Phase::Stopped(_))));
            metrics::partitions_owned(count(|phase| *phase == Phase::AtWork));
        });
    }

    /// The loop begins, or begins again.
    pub(crate) fn starting(&self, partition: Partition) {
        self.set(partition, Phase::Starting);
    }

    /// The loop has applied what its log held when it was opened.
    pub(crate) fn at_work(&self, partition: Partition) {
        self.set(partition, Phase::AtWork);
    }

    /// The loop has ended in order.
    pub(crate) fn ended(&self, partition: Partition) {
        self.set(partition, Phase::Idle);
    }

    /// The loop cannot go on.
    pub(crate) fn stopped(&self, partition: Partition, why: &str) {
        self.set(partition, Phase::Stopped(why.to_owned()));
    }

    /// Which partitions are this worker's. Nobody is woken where nothing is new.
    pub(crate) fn place(&self, places: &[Place]) {
        self.0.send_if_modified(|slots| {
            let mut changed = !slots.placed;
            slots.placed = true;
            for (slot, place) in slots.slots.iter_mut().zip(places) {
                let mine = *place == Place::Mine;
                changed |= slot.mine != mine;
                slot.mine = mine;
            }
            changed
        });
    }

    /// Whether a partition's loop runs, or is about to.
    pub(crate) fn runs(&self, partition: Partition) -> bool {
        self.phase_is(partition, |phase| {
            matches!(phase, Phase::Starting | Phase::AtWork)
        })
    }

    /// Whether a partition has stopped with an alarm.
    pub(crate) fn has_stopped(&self, partition: Partition) -> bool {
        self.phase_is(partition, |phase| matches!(phase, Phase::Stopped(_)))
    }

    fn phase_is(&self, partition: Partition, wanted: impl Fn(&Phase) -> bool) -> bool {
        let slots = self.0.borrow();
        let slot = slots.slots.get(usize::from(partition.0));
        slot.is_some_and(|slot| wanted(&slot.phase))
    }

    /// Those at work.
    pub(crate) fn owned(&self) -> Vec<Partition> {
        let slots = self.0.borrow();
        let numbered = (0u16..).zip(&slots.slots);
        let at_work = numbered.filter(|(_, slot)| slot.phase == Phase::AtWork);
        at_work.map(|(number, _)| Partition(number)).collect()
    }

    /// Whether it is known which partitions are this worker's, and all of them are at work.
    pub(crate) fn is_ready(&self) -> bool {
        self.0.borrow().are_ready()
    }

    /// Waits until every partition that is this worker's is at work, or one of them has stopped.
    pub(crate) async fn ready(&self) -> Result<(), NotReady> {
        let mut changes = self.changes();
        loop {
            {
                let slots = changes.borrow_and_update();
                if let Some(stopped) = slots.first_stopped(|slot| slot.mine) {
                    return Err(stopped);
                }
                if slots.are_ready() {
                    return Ok(());
                }
            }
            // The sender is `self`: it cannot be gone.
            let _changed = changes.0.changed().await;
        }
    }

    /// Waits until a partition stops.
    pub(crate) async fn failure(&self) -> NotReady {
        let mut changes = self.changes();
        loop {
            if let Some(stopped) = changes.borrow_and_update().first_stopped(|_| true) {
                return stopped;
            }
            let _changed = changes.0.changed().await;
        }
    }

    /// Hears of every change.
    pub(crate) fn changes(&self) -> Changes {
        Changes(self.0.subscribe())
    }
}

/// Hears when a loop is further, or another partition is this worker's.
pub(crate) struct Changes(watch::Receiver<Slots>);

impl Changes {
    fn borrow_and_update(&mut self) -> watch::Ref<'_, Slots> {
        self.0.borrow_and_update()
    }

    /// Waits for the next change. Cancel-safe.
    pub(crate) async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Slots {
    fn are_ready(&self) -> bool {
        let mut mine = self.slots.iter().filter(|slot| slot.mine);
        self.placed && mine.all(|slot| slot.phase == Phase::AtWork)
    }

    fn first_stopped(&self, wanted: impl Fn(&Slot) -> bool) -> Option<NotReady> {
        (0u16..)
            .zip(&self.slots)
            .find_map(|(number, slot)| match &slot.phase {
                Phase::Stopped(why) if wanted(slot) => Some(NotReady {
                    partition: Partition(number),
                    why: why.clone(),
                }),
                _ => None,
            })
    }
}
