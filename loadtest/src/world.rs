//! What all connections of a run share. The tool is one thread, so a `RefCell` is all the locking there is; nobody
//! holds it across an await.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::stats::Stats;

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Rc<Plan>,
    pub(crate) ledger: Ledger,
    pub(crate) stats: Stats,
    /// For lengths of texts, and for pauses.
    pub(crate) random: SmallRng,
    /// The shortest and the longest text.
    pub(crate) bytes: [u32; 2],
    pub(crate) acks: bool,
    /// A closed loop goes on: whoever is answered sends again.
    pub(crate) looping: bool,
    /// Requests without a final answer.
    pub(crate) open_requests: u64,
    /// Connections that have been live at least once.
    pub(crate) ready: u32,
    /// Whether each device has a connection.
    there: Vec<bool>,
    /// Slow readers: how many of the first devices, and their pause.
    pub(crate) slow: (u32, Duration),
    /// While the load lasts they are slow.
    pub(crate) pausing: bool,
}

pub(crate) type Shared = Rc<RefCell<World>>;

impl World {
    pub(crate) fn new(scenario: &Scenario, plan: Rc<Plan>, started: Instant) -> Self {
        let slow = scenario
            .slow_readers
            .as_ref()
            .map_or((0, Duration::ZERO), |slow| {
                let count = f64::from(scenario.devices()) * slow.share;
                (count.round() as u32, slow.pause)
            });
        Self {
            ledger: Ledger::new(plan.clone(), scenario.message.bytes[0]),
            plan,
            stats: Stats::new(started),
            random: SmallRng::seed_from_u64(scenario.seed),
            bytes: scenario.message.bytes,
            acks: scenario.users.acks,
            looping: false,
            open_requests: 0,
            ready: 0,
            there: vec![false; scenario.devices() as usize],
            slow,
            pausing: true,
        }
    }

    /// Whether everybody is there, has everything, and every request is answered.
    pub(crate) fn is_settled(&self) -> bool {
        self.open_requests == 0 && self.ledger.owed() == 0 && self.gone() == 0
    }

    /// Connections that are not there.
    pub(crate) fn gone(&self) -> u32 {
        (self.plan.users * self.plan.devices).saturating_sub(self.stats.open)
    }

    /// A device's connection has come about, or has gone.
    pub(crate) fn is_there(&mut self, device: u32, there: bool) {
        self.there[device as usize] = there;
        if there {
            self.stats.open += 1;
        } else {
            self.stats.open -= 1;
        }
    }

    /// An action had no place left to wait in for its device. One with a connection was too slow; one without cannot help it.
    pub(crate) fn dropped(&mut self, device: u32) {
        if self.there[device as usize] {
            self.stats.counts.dropped += 1;
        } else {
            self.stats.counts.unbegun += 1;
        }
    }
}
