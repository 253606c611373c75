//! The dice: what goes wrong, and when. Every fault that strikes is counted, so that a run shows what it really hit.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Everything that can go wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(into = "&'static str", try_from = "String")]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// As a run prints it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    /// An entry stands, and its acknowledgement is lost.
    AckLost = "append_acknowledgement_lost",
    /// An entry is lost, and nobody says so.
    AppendLost = "append_lost",
    /// An entry stands after a while, its acknowledgement is given up before.
    AppendLate = "append_late",
    /// An entry stands twice.
    AppendTwice = "append_twice",
    /// The log refuses an entry.
    AppendRefused = "append_refused",
    /// A reader loses its consumer and begins again.
    ReaderLost = "consumer_recreated",
    /// The log's clock steps, mostly back.
    LogTime = "log_time_steps",
    /// The end of a log is lost.
    TailLost = "log_tail_lost",
    /// All logs are replaced by new ones of a higher epoch.
    LogRecreated = "log_recreated",
    /// A write fails and does not stand.
    WriteNever = "write_never",
    /// A write fails and stands, or some of it.
    WriteNow = "write_stands_unacknowledged",
    /// A write fails and stands within seconds.
    WriteLater = "write_later",
    /// A write fails and stands after minutes.
    WriteMinutes = "write_minutes_late",
    /// One of three replicas misses a write that is acknowledged.
    ReplicaMisses = "replica_misses_write",
    /// A write fails and stands on one replica only.
    OneReplica = "write_on_one_replica",
    /// A read fails.
    ReadFails = "read_fails",
    /// A read takes long.
    ReadSlow = "read_slow",
    /// A delivery is lost.
    DeliverLost = "deliver_lost",
    /// A delivery is late.
    DeliverLate = "deliver_late",
    /// A delivery comes twice.
    DeliverTwice = "deliver_twice",
    /// A signal is lost.
    SignalLost = "signal_lost",
    /// An announcement does not reach one of its listeners.
    AnnouncementLost = "announcement_lost",
    /// A query fails.
    QueryFails = "query_fails",
    /// A worker dies.
    WorkerCrash = "worker_crash",
    /// A worker stops for a while and goes on.
    WorkerPause = "worker_pause",
    /// A worker stops in order.
    WorkerStop = "worker_stop_in_order",
    /// A second owner of some partitions comes.
    SecondOwner = "second_owner",
    /// One worker does not hear another for a while.
    ViewsDiffer = "placement_views_differ",
    /// A gateway dies.
    GatewayCrash = "gateway_crash",
    /// A gateway drains.
    GatewayDrain = "gateway_drain",
    /// A client loses its connection.
    ClientCut = "client_connection_cut",
    /// A client forgets what it has not stored: what it asked and had no answer to.
    ClientCrash = "client_crash",
    /// A connection of which one end knows nothing any more.
    HalfOpen = "half_open_socket",
    /// A client does not read for a while.
    SlowReader = "slow_reader",
    /// The clock of a process is wrong.
    ClockSkew = "clock_skew",
    /// A worker keeps next to no states in memory.
    TinyCache = "tiny_state_cache",
    /// A chat panics on an entry.
    Poison = "panicking_entry",
}

impl From<Fault> for &'static str {
    fn from(fault: Fault) -> Self {
        fault.name()
    }
}

impl TryFrom<String> for Fault {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|fault| fault.name() == name);
        known.copied().ok_or(format!("there is no fault {name}"))
    }
}

/// How often what goes wrong: in a thousand. What is not named never does.
pub type Rates = BTreeMap<Fault, u32>;

/// The dice of one run.
#[derive(Debug)]
pub struct Faults {
    dice: Mutex<Dice>,
}

#[derive(Debug)]
struct Dice {
    rng: StdRng,
    rates: Rates,
    counts: BTreeMap<Fault, u64>,
    healed: bool,
}

impl Faults {
    /// Dice that fall as a seed decides.
    #[must_use]
    pub fn new(seed: u64, rates: Rates) -> Self {
        Self {
            dice: Mutex::new(Dice {
                rng: StdRng::seed_from_u64(seed),
                rates,
                counts: BTreeMap::new(),
                healed: false,
            }),
        }
    }

    /// From now on nothing goes wrong by itself.
    pub fn heal(&self) {
        self.dice.lock().healed = true;
    }

    /// Things go wrong again.
    pub fn relapse(&self) {
        self.dice.lock().healed = false;
    }

    /// Whether nothing goes wrong any more.
    #[must_use]
    pub fn healed(&self) -> bool {
        self.dice.lock().healed
    }

    /// Whether a fault strikes here; counted if so.
    pub fn strikes(&self, fault: Fault) -> bool {
        let mut dice = self.dice.lock();
        let rate = dice.rates.get(&fault).copied().unwrap_or(0);
        let strikes = rate > 0 && dice.rng.random_range(0..1000) < rate && !dice.healed;
        if strikes {
            *dice.counts.entry(fault).or_default() += 1;
        }
        strikes
    }

    /// A fault was made by plan.
    pub fn count(&self, fault: Fault) {
        *self.dice.lock().counts.entry(fault).or_default() += 1;
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.dice.lock().rng.random_range(low..=high)
    }

    /// A time from `low` to `high` milliseconds.
    pub fn while_of(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    /// True so many times of a hundred.
    pub fn chance(&self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    /// How often each thing has gone wrong.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Fault, u64> {
        self.dice.lock().counts.clone()
    }

    /// The way to a seam and back takes a moment: mostly none, so that much happens at once.
    pub async fn dawdle(&self) {
        let late = match self.between(0, 9) {
            0..=3 => 0,
            4..=7 => self.between(1, 3),
            _ => self.between(3, 12),
        };
        match late {
            0 => tokio::task::yield_now().await,
            late => tokio::time::sleep(Duration::from_millis(late)).await,
        }
    }
}
