//! What a seed decides beforehand: how large the world is, what goes wrong how often, and for how long.
//!
//! A plan can be written down, made smaller and run again. What is left out of it changes nothing of what the rest was to
//! do, only when things happen.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::client::Habits;
use crate::faults::{Fault, Rates};

/// What a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Story {
    /// Everything goes wrong but the log, which keeps what it has acknowledged.
    Ordinary,
    /// The log loses what it has acknowledged, and is recreated by hand.
    LostLog,
}

/// A device to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Someone {
    /// Whose.
    pub user: String,
    /// Its name.
    pub device: String,
    /// Decides what comes to its mind.
    pub seed: u64,
    /// How it behaves.
    pub habits: Habits,
    /// What it does of all that comes to its mind, counted from 0; all of it where nothing is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub does: Option<Vec<u32>>,
}

/// What a seed decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// What the run is about.
    pub story: Story,
    /// A log that was lost is lost a second time.
    #[serde(default)]
    pub lost_again: bool,
    /// Partitions of the log.
    pub partitions: u16,
    /// How many gateways.
    pub gateways: usize,
    /// How many workers.
    pub workers: usize,
    /// Whom clients write to.
    pub users: Vec<String>,
    /// Everybody, with every device.
    pub people: Vec<Someone>,
    /// How long things go wrong.
    #[serde(with = "humantime_serde")]
    pub busy: Duration,
    /// The longest between two things that [`chaos`](crate::chaos) does, in milliseconds.
    pub quiet: u64,
    /// What goes wrong by itself.
    pub rates: Rates,
    /// Which of its deeds chaos leaves out.
    pub spared: Vec<Fault>,
    /// How long a mailbox keeps an event.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// The worst that a clock of a process is wrong by, in milliseconds.
    pub skew: i64,
}

/// What chaos does.
pub const DEEDS: [Fault; 9] = [
    Fault::WorkerCrash,
    Fault::WorkerPause,
    Fault::WorkerStop,
    Fault::SecondOwner,
    Fault::ViewsDiffer,
    Fault::GatewayCrash,
    Fault::GatewayDrain,
    Fault::LogTime,
    Fault::ClockSkew,
];

/// What goes wrong by itself, and how often at the most, in a thousand.
const AT_MOST: [(Fault, u32); 25] = [
    (Fault::AckLost, 60),
    (Fault::AppendLost, 60),
    (Fault::AppendLate, 40),
    (Fault::AppendTwice, 40),
    (Fault::AppendRefused, 30),
    (Fault::ReaderLost, 10),
    (Fault::WriteNever, 30),
    (Fault::WriteNow, 30),
    (Fault::WriteLater, 20),
    (Fault::WriteMinutes, 10),
    (Fault::ReplicaMisses, 150),
    (Fault::OneReplica, 20),
    (Fault::ReadFails, 30),
    (Fault::ReadSlow, 15),
    (Fault::DeliverLost, 60),
    (Fault::DeliverLate, 40),
    (Fault::DeliverTwice, 60),
    (Fault::SignalLost, 60),
    (Fault::AnnouncementLost, 100),
    (Fault::QueryFails, 40),
    (Fault::ClientCut, 25),
    (Fault::ClientCrash, 10),
    (Fault::HalfOpen, 8),
    (Fault::SlowReader, 8),
    (Fault::Poison, 10),
];

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5EED);
        let story = match rng.random_range(0..20) {
            0 => Story::LostLog,
            _ => Story::Ordinary,
        };
        let mut rates = Rates::new();
        for (fault, most) in AT_MOST {
            if rng.random_bool(0.6) {
                rates.insert(fault, rng.random_range(1..=most));
            }
        }
        if !confab_service::mistake::can_poison() {
            rates.remove(&Fault::Poison);
        }
        let people = people(&mut rng);
        let mut users: Vec<String> = people.iter().map(|one| one.user.clone()).collect();
        users.dedup();
        let spared = DEEDS.into_iter().filter(|_| rng.random_bool(0.3)).collect();
        Self {
            seed,
            story,
            lost_again: story == Story::LostLog && rng.random_bool(0.4),
            partitions: rng.random_range(3..=8),
            gateways: rng.random_range(2..=3),
            workers: rng.random_range(2..=4),
            users,
            people,
            busy: Duration::from_millis(rng.random_range(10_000..30_000)),
            quiet: rng.random_range(500..6_000),
            rates,
            spared,
            retention: match rng.random_range(0..12) {
                0 => Duration::from_secs(rng.random_range(5..20)),
                _ => Duration::from_secs(7 * 86_400),
            },
            skew: match rng.random_range(0..3) {
                0 => 0,
                1 => 200,
                _ => 5_000,
            },
        }
    }
}

fn people(rng: &mut StdRng) -> Vec<Someone> {
    let users = match rng.random_range(0..10) {
        0 => rng.random_range(8..=14),
        _ => rng.random_range(3..=6),
    };
    let mut people = Vec::new();
    for user in 1..=users {
        for device in 1..=rng.random_range(1..=3) {
            let habits = Habits {
                pause: rng.random_range(200..1_500),
                acks: *[0, 60, 95, 100, 100].get(rng.random_range(0..5)).unwrap_or(&100),
                names_cursor: *[0, 50, 100].get(rng.random_range(0..3)).unwrap_or(&50),
            };
            people.push(Someone {
                user: format!("u{user}"),
                device: format!("d{device}"),
                seed: rng.random(),
                habits,
                does: None,
            });
        }
    }
    people
}
