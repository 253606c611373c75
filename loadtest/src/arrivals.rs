//! When something happens: an open loop, which does not wait for the service.
//!
//! The times are made in advance from the seed, and kept by a thread of their own.

mod keeper;

use std::time::{Duration, Instant};

use rand::distr::weighted::WeightedIndex;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use keeper::Keeper;

use crate::scenario::{Arrivals, Mix, Scenario};

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Send,
    Edit,
    Delete,
    Delivered,
    Read,
    Typing,
    History,
    Chats,
    /// A connection goes, and comes back.
    Churn,
}

/// One action at its time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) act: Act,
    /// Random, for whoever chooses where it happens.
    pub(crate) pick: u64,
}

impl Mix {
    /// Every action and its weight.
    pub(crate) fn weights(&self) -> [(Act, f64); 8] {
        [
            (Act::Send, self.send),
            (Act::Edit, self.edit),
            (Act::Delete, self.delete),
            (Act::Delivered, self.delivered),
            (Act::Read, self.read),
            (Act::Typing, self.typing),
            (Act::History, self.history),
            (Act::Chats, self.chats),
        ]
    }
}

/// The actions of a run, in order of time, without end.
pub(crate) struct Schedule {
    random: ChaCha8Rng,
    rate: f64,
    arrivals: Arrivals,
    acts: Vec<Act>,
    weights: WeightedIndex<f64>,
    next: Instant,
}

impl Schedule {
    /// None where nothing ever happens.
    pub(crate) fn new(scenario: &Scenario, start: Instant) -> Option<Self> {
        let rate = scenario.load.rate.filter(|rate| *rate > 0.0)?;
        let (acts, weights): (Vec<_>, Vec<_>) = scenario.mix.weights().into_iter().unzip();
        Some(Self {
            random: ChaCha8Rng::seed_from_u64(scenario.seed ^ 0x5eed),
            rate,
            arrivals: scenario.load.arrivals,
            acts,
            weights: WeightedIndex::new(weights).ok()?,
            next: start,
        })
    }

    /// Only connections that go, at the scenario's rate.
    pub(crate) fn churn(scenario: &Scenario, start: Instant) -> Option<Self> {
        let churn = scenario.churn.as_ref()?;
        Some(Self {
            random: ChaCha8Rng::seed_from_u64(scenario.seed ^ 0xc4u64),
            rate: churn.rate,
            arrivals: Arrivals::Poisson,
            acts: vec![Act::Churn],
            weights: WeightedIndex::new([1.0]).ok()?,
            next: start,
        })
    }
}

impl Schedule {
    /// About how many there are from the next one on, up to `end`.
    fn left(&self, end: Instant) -> u64 {
        (end.saturating_duration_since(self.next).as_secs_f64() * self.rate).round() as u64
    }
}

impl Iterator for Schedule {
    type Item = Arrival;

    fn next(&mut self) -> Option<Arrival> {
        let at = self.next;
        let gap = match self.arrivals {
            Arrivals::Steady => 1.0,
            Arrivals::Poisson => -(1.0 - self.random.random::<f64>()).ln(),
        };
        self.next += Duration::from_secs_f64(gap / self.rate);
        Some(Arrival {
            at,
            act: self.acts[self.random.sample(&self.weights)],
            pick: self.random.random(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(arrivals: &str) -> Schedule {
        let text = format!(
            "purpose = \"p\"\nusers = {{ count = 2 }}\nchats = {{ dialogs = 1 }}\nmix = {{ send = 3.0, read = 1.0 }}\nload = {{ rate = 1000.0, duration = \"1s\", arrivals = \"{arrivals}\" }}"
        );
        Schedule::new(&toml::from_str(&text).unwrap(), Instant::now()).unwrap()
    }

    #[test]
    fn the_rate_and_the_mix_are_kept() {
        for arrivals in ["poisson", "steady"] {
            let all: Vec<_> = schedule(arrivals).take(20_001).collect();
            let seconds = (all[20_000].at - all[0].at).as_secs_f64();
            assert!((19.0..21.0).contains(&seconds), "{arrivals}: {seconds}");
            let sends = all.iter().filter(|arrival| arrival.act == Act::Send).count();
            assert!((14_500..15_500).contains(&sends), "{arrivals}: {sends}");
            assert!(
                all.iter()
                    .all(|arrival| matches!(arrival.act, Act::Send | Act::Read))
            );
        }
    }
}
