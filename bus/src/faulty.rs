//! A bus that fails as a real one may, as a seed decides: for tests of whoever uses one.
//!
//! All it does the trait allows: an append whose acknowledgement is lost (stored or not, or twice), one that is refused, soft
//! messages that are lost or late. The order of one sender's messages stays.

use std::sync::Arc;
use std::time::Duration;

use confab_chat::{GatewayId, Partition, Timestamp};
use confab_proto::message::{Announcement, Answer, LogEntry, Query, Signal, ToGateway};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::{AppendError, Bus, GatewayEnd, Position, QueryError, ReadError, WorkerEnd};

/// How often what goes wrong: in a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusFaults {
    /// An append stands, and its acknowledgement is lost.
    pub append_stored_unknown: u32,
    /// An append is lost, and nobody says so.
    pub append_lost_unknown: u32,
    /// An append stands twice.
    pub append_doubled: u32,
    /// An append is refused.
    pub append_refused: u32,
    /// A signal is lost.
    pub signal_lost: u32,
    /// A delivery is lost.
    pub delivery_lost: u32,
    /// An announcement is lost.
    pub announcement_lost: u32,
    /// A query fails.
    pub query_failed: u32,
    /// A call takes a while.
    pub late: u32,
}

/// How often each thing has gone wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusFaultCounts {
    /// Appends that stand, reported as unknown.
    pub append_stored_unknown: u64,
    /// Appends that do not stand, reported as unknown.
    pub append_lost_unknown: u64,
    /// Appends that stand twice.
    pub append_doubled: u64,
    /// Appends refused.
    pub append_refused: u64,
    /// Signals, deliveries and announcements lost.
    pub lost: u64,
    /// Queries failed.
    pub query_failed: u64,
    /// Calls that took a while.
    pub late: u64,
}

/// Longest that a late call takes.
const LATE: Duration = Duration::from_millis(20);

/// A bus with faults. Clones share its dice.
#[derive(Clone, Debug)]
pub struct Faulty<B> {
    inner: B,
    dice: Arc<Mutex<Dice>>,
}

#[derive(Debug)]
struct Dice {
    rng: StdRng,
    faults: BusFaults,
    counts: BusFaultCounts,
}

enum AppendFault {
    StoredUnknown,
    LostUnknown,
    Doubled,
    Refused,
}

impl<B> Faulty<B> {
    /// Wraps a bus; what goes wrong when follows from the seed and the order of calls.
    pub fn new(inner: B, seed: u64, faults: BusFaults) -> Self {
        let dice = Dice {
            rng: StdRng::seed_from_u64(seed),
            faults,
            counts: BusFaultCounts::default(),
        };
        Self {
            inner,
            dice: Arc::new(Mutex::new(dice)),
        }
    }

    /// Changes how often what goes wrong; all zeros heals it.
    pub fn set_faults(&self, faults: BusFaults) {
        self.dice.lock().faults = faults;
    }

    /// How often what has gone wrong so far.
    #[must_use]
    pub fn counts(&self) -> BusFaultCounts {
        self.dice.lock().counts
    }

    /// The bus behind the faults.
    pub fn inner(&self) -> &B {
        &self.inner
    }

    fn append_fault(&self) -> Option<AppendFault> {
        let mut dice = self.dice.lock();
        let Dice { rng, faults, counts } = &mut *dice;
        let cases = [
            (faults.append_stored_unknown, AppendFault::StoredUnknown),
            (faults.append_lost_unknown, AppendFault::LostUnknown),
            (faults.append_doubled, AppendFault::Doubled),
            (faults.append_refused, AppendFault::Refused),
        ];
        let mut roll = rng.random_range(0..1000);
        for (often, fault) in cases {
            if roll < often {
                let count = match fault {
                    AppendFault::StoredUnknown => &mut counts.append_stored_unknown,
                    AppendFault::LostUnknown => &mut counts.append_lost_unknown,
                    AppendFault::Doubled => &mut counts.append_doubled,
                    AppendFault::Refused => &mut counts.append_refused,
                };
                *count += 1;
                return Some(fault);
            }
            roll -= often;
        }
        None
    }

    fn is_lost(&self, often: impl Fn(&BusFaults) -> u32) -> bool {
        let mut dice = self.dice.lock();
        let lost = dice.rng.random_range(0..1000) < often(&dice.faults);
        dice.counts.lost += u64::from(lost);
        lost
    }

    /// Takes a while, sometimes.
    async fn dawdle(&self) {
        let late = {
            let mut dice = self.dice.lock();
            let late = dice.rng.random_range(0..1000) < dice.faults.late;
            dice.counts.late += u64::from(late);
            late.then(|| LATE.mul_f64(dice.rng.random_range(0.0..1.0)))
        };
        if let Some(late) = late {
            tokio::time::sleep(late).await;
        }
    }
}

fn unknown() -> AppendError {
    AppendError::Unknown("the acknowledgement was lost (injected)".to_owned())
}

impl<B: Bus> Bus for Faulty<B> {
    type Reader = B::Reader;

    fn partitions(&self) -> u16 {
        self.inner.partitions()
    }

    async fn append(
        &self,
        partition: Partition,
        entry: impl Into<Arc<LogEntry>> + Send,
    ) -> Result<Position, AppendError> {
        let entry = entry.into();
        self.dawdle().await;
        match self.append_fault() {
            None => self.inner.append(partition, entry).await,
            Some(AppendFault::StoredUnknown) => {
                self.inner.append(partition, entry).await?;
                Err(unknown())
            }
            Some(AppendFault::LostUnknown) => Err(unknown()),
            Some(AppendFault::Doubled) => {
                let first = self.inner.append(partition, Arc::clone(&entry)).await?;
                self.inner.append(partition, entry).await?;
                Ok(first)
            }
            Some(AppendFault::Refused) => Err(AppendError::Refused("refused (injected)".to_owned())),
        }
    }

    async fn open(&self, partition: Partition, after: Position) -> Result<B::Reader, ReadError> {
        self.inner.open(partition, after).await
    }

    async fn trim(&self, partition: Partition, upto: Position) {
        self.inner.trim(partition, upto).await;
    }

    async fn signal(&self, partition: Partition, signal: Signal) {
        self.dawdle().await;
        if !self.is_lost(|faults| faults.signal_lost) {
            self.inner.signal(partition, signal).await;
        }
    }

    async fn deliver(&self, partition: Partition, seq: u64, gateway: &GatewayId, message: ToGateway) {
        self.dawdle().await;
        if !self.is_lost(|faults| faults.delivery_lost) {
            self.inner.deliver(partition, seq, gateway, message).await;
        }
    }

    async fn query(&self, query: Query) -> Result<Answer, QueryError> {
        self.dawdle().await;
        let fails = {
            let mut dice = self.dice.lock();
            let fails = dice.rng.random_range(0..1000) < dice.faults.query_failed;
            dice.counts.query_failed += u64::from(fails);
            fails
        };
        if fails {
            return Err(QueryError("failed (injected)".to_owned()));
        }
        self.inner.query(query).await
    }

    async fn announce(&self, announcement: Announcement) {
        self.dawdle().await;
        if !self.is_lost(|faults| faults.announcement_lost) {
            self.inner.announce(announcement).await;
        }
    }

    async fn join_as_gateway(&self, gateway: &GatewayId) -> GatewayEnd {
        self.inner.join_as_gateway(gateway).await
    }

    async fn join_as_worker(&self) -> WorkerEnd {
        self.inner.join_as_worker().await
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }
}
