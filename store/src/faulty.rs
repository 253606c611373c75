//! A store that fails as a real one may, as a seed decides: for tests of whoever uses one.
//!
//! All it does the trait allows: a failed write may stand, or not, or in part, or stand later.

use std::sync::Arc;

use confab_chat::ActorKey;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{Key, Range, Record, Store, StoreError, Take, Write, Writes};

/// How often what goes wrong: in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFaults {
    /// A write fails, and nothing of it stands.
    pub write_lost: u32,
    /// A write fails, and stands (of rows that are not written as one batch: some of them).
    pub write_stored: u32,
    /// A write fails, and stands only after some other call.
    pub write_late: u32,
    /// A read fails.
    pub read_failed: u32,
}

/// How often each thing has gone wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFaultCounts {
    /// Failed writes of which nothing stands.
    pub write_lost: u64,
    /// Failed writes that stand.
    pub write_stored: u64,
    /// Failed writes that stand later.
    pub write_late: u64,
    /// Failed reads.
    pub read_failed: u64,
}

/// A store with faults. Clones share its dice.
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    dice: Arc<Mutex<Dice>>,
}

#[derive(Debug)]
struct Dice {
    rng: StdRng,
    faults: StoreFaults,
    counts: StoreFaultCounts,
    /// Writes that are on their way still.
    late: Vec<Rows>,
}

/// A write.
#[derive(Clone, Debug)]
enum Rows {
    Each(Vec<Write>),
    State(ActorKey, Vec<Write>),
}

enum WriteFault {
    Lost,
    Stored,
    Late,
}

impl<S: Store> Faulty<S> {
    /// Wraps a store; what goes wrong when follows from the seed and the order of calls.
    pub fn new(inner: S, seed: u64, faults: StoreFaults) -> Self {
        let rng = StdRng::seed_from_u64(seed);
        let dice = Dice {
            rng,
            faults,
            counts: StoreFaultCounts::default(),
            late: Vec::new(),
        };
        Self {
            inner,
            dice: Arc::new(Mutex::new(dice)),
        }
    }

    /// Changes how often what goes wrong; all zeros heals it, but for the writes that are on their way still.
    pub fn set_faults(&self, faults: StoreFaults) {
        self.dice.lock().faults = faults;
    }

    /// How often what has gone wrong so far.
    #[must_use]
    pub fn counts(&self) -> StoreFaultCounts {
        self.dice.lock().counts
    }

    /// The store behind the faults.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Lets all writes arrive that are on their way still, in any order.
    ///
    /// # Errors
    /// What the store behind says.
    pub async fn settle(&self) -> Result<(), StoreError> {
        while let Some(rows) = self.one_late(1.0) {
            self.store(rows).await?;
        }
        Ok(())
    }

    /// Takes one of the late writes, sometimes.
    fn one_late(&self, chance: f64) -> Option<Rows> {
        let mut dice = self.dice.lock();
        if dice.late.is_empty() || !dice.rng.random_bool(chance) {
            return None;
        }
        let waiting = dice.late.len();
        let nth = dice.rng.random_range(0..waiting);
        dice.counts.write_late += 1;
        Some(dice.late.swap_remove(nth))
    }

    /// Lets a late write arrive, sometimes.
    async fn arrive(&self) -> Result<(), StoreError> {
        match self.one_late(0.3) {
            Some(rows) => self.store(rows).await,
            None => Ok(()),
        }
    }

    async fn store(&self, rows: Rows) -> Result<(), StoreError> {
        match rows {
            Rows::Each(rows) => self.inner.write(rows).await,
            Rows::State(actor, parts) => self.inner.write_state(actor, parts).await,
        }
    }

    fn write_fault(&self) -> Option<WriteFault> {
        let mut dice = self.dice.lock();
        let roll = dice.rng.random_range(0..1000);
        let faults = dice.faults;
        if roll < faults.write_lost {
            dice.counts.write_lost += 1;
            Some(WriteFault::Lost)
        } else if roll < faults.write_lost + faults.write_stored {
            dice.counts.write_stored += 1;
            Some(WriteFault::Stored)
        } else if roll < faults.write_lost + faults.write_stored + faults.write_late {
            Some(WriteFault::Late)
        } else {
            None
        }
    }

    async fn write_with_faults(&self, rows: Rows) -> Result<(), StoreError> {
        self.arrive().await?;
        match self.write_fault() {
            None => return self.store(rows).await,
            Some(WriteFault::Lost) => {}
            Some(WriteFault::Stored) => self.store(self.some_of(rows)).await?,
            Some(WriteFault::Late) => self.dice.lock().late.push(rows),
        }
        Err(StoreError::Unavailable("timed out (injected)".to_owned()))
    }

    /// All of a batch; of rows that stand each by itself, all or some.
    fn some_of(&self, rows: Rows) -> Rows {
        match rows {
            Rows::Each(mut rows) => {
                let mut dice = self.dice.lock();
                if dice.rng.random_bool(0.5) {
                    rows.retain(|_| dice.rng.random_bool(0.5));
                }
                Rows::Each(rows)
            }
            state @ Rows::State(..) => state,
        }
    }

    async fn before_read(&self) -> Result<(), StoreError> {
        self.arrive().await?;
        let mut dice = self.dice.lock();
        if dice.rng.random_range(0..1000) < dice.faults.read_failed {
            dice.counts.read_failed += 1;
            return Err(StoreError::Unavailable("timed out (injected)".to_owned()));
        }
        Ok(())
    }
}

impl<S: Store> Store for Faulty<S> {
    async fn write(&self, rows: impl Writes) -> Result<(), StoreError> {
        self.write_with_faults(Rows::Each(rows.as_ref().to_vec())).await
    }

    async fn write_state(&self, actor: ActorKey, parts: impl Writes) -> Result<(), StoreError> {
        self.write_with_faults(Rows::State(actor, parts.as_ref().to_vec()))
            .await
    }

    async fn get(&self, key: Key) -> Result<Option<Record>, StoreError> {
        self.before_read().await?;
        self.inner.get(key).await
    }

    async fn scan(&self, range: Range, take: Take) -> Result<Vec<Record>, StoreError> {
        self.before_read().await?;
        self.inner.scan(range, take).await
    }
}
