//! The highest rate at which a scenario meets its thresholds.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use crate::plan::Shard;
use crate::run::{self, Options};
use crate::scenario::{RATES, Scenario};
use crate::summary::{Summary, Verdict};

/// Where no rate is said at all.
const FROM: f64 = 100.0;

/// From where, and how exactly.
pub(crate) struct Search {
    /// Actions a second to begin with.
    from: f64,
    /// It ends when what holds and what does not are this close: 1.05 is five percent.
    closeness: f64,
}

impl Search {
    /// Begins at the scenario's own rate unless told otherwise. Ends when it is so many percent close.
    ///
    /// # Errors
    ///
    /// Where the scenario cannot be run at that rate: it is no open loop, or there is nothing to act in.
    pub(crate) fn new(scenario: &Scenario, shard: Shard, from: Option<f64>, percent: f64) -> Result<Self> {
        ensure!(
            scenario.load.in_flight.is_none(),
            "capacity needs an open loop: {} has load.in_flight, and no load.rate",
            scenario.name
        );
        let own = scenario.load.rate.filter(|rate| *rate > 0.0);
        let from = from.or(own).unwrap_or(FROM);
        shard.of(&at(scenario, from))?;
        Ok(Self {
            from,
            closeness: 1.0 + percent / 100.0,
        })
    }

    /// The rate to try next; none where the search is over: from the highest that held and the lowest that failed.
    fn next(&self, held: Option<f64>, failed: Option<f64>) -> Option<f64> {
        match (held, failed) {
            (Some(held), None) => (held < *RATES.end()).then_some((held * 2.0).min(*RATES.end())),
            (Some(held), Some(failed)) => (failed / held > self.closeness).then_some((held * failed).sqrt()),
            (None, Some(failed)) => (failed > 1.0).then_some(failed / 2.0),
            (None, None) => Some(self.from),
        }
    }
}

fn at(scenario: &Scenario, rate: f64) -> Scenario {
    let mut step = scenario.clone();
    step.load.rate = Some(rate);
    step
}

/// What a search has found.
pub(crate) struct Found {
    /// The run at the highest rate that holds; one that broke a promise, at whatever rate.
    pub(crate) best: Option<Summary>,
    /// How the run at the lowest rate ended that does not hold, and how one that was interrupted.
    pub(crate) bound: Option<Verdict>,
}

impl Found {
    /// The exit code of the search.
    pub(crate) fn code(&self) -> u8 {
        match (&self.best, self.bound) {
            (Some(best), _) if best.verdict == Verdict::Violated => best.verdict.code(),
            (_, Some(Verdict::Interrupted)) => Verdict::Interrupted.code(),
            (Some(best), _) => best.verdict.code(),
            (None, bound) => bound.unwrap_or(Verdict::ThresholdMissed).code(),
        }
    }

    /// What is to be said of it beside the best run.
    pub(crate) fn words(&self) -> Option<&'static str> {
        match (&self.best, self.bound) {
            (Some(_), Some(Verdict::Interrupted)) => {
                Some("interrupted: this is the highest rate that held so far")
            }
            (None, Some(Verdict::Interrupted)) => Some("interrupted before any rate held"),
            (Some(_), Some(Verdict::GeneratorSaturated)) => {
                Some("above that the load generator was saturated: the service may hold more")
            }
            (None, Some(Verdict::GeneratorSaturated)) => {
                Some("the load generator was saturated: nothing can be said of the service")
            }
            (None, _) => Some("no rate meets the thresholds"),
            (Some(_), _) => None,
        }
    }
}

/// Doubles the rate until it does not hold, or cannot be doubled any more, then halves the distance.
///
/// # Errors
///
/// Where a run could not be made.
pub(crate) async fn search(
    scenario: &Scenario,
    options: &Options,
    search: &Search,
    told: impl Fn(&str),
) -> Result<Found> {
    let (mut best, mut bound) = (None, None);
    let (mut held, mut failed) = (None, None);
    while let Some(rate) = search.next(held, failed) {
        let found = run::run(&at(scenario, rate), options, run::new_id()).await;
        let interrupted = options.interrupt.has_come();
        let found = match found {
            Ok(found) => found,
            // Connections that do not come about after that are nobody's fault.
            Err(_) if interrupted => {
                bound = Some(Verdict::Interrupted);
                break;
            }
            Err(error) => return Err(error),
        };
        told(&line(rate, &found));
        match found.verdict {
            Verdict::Passed => (held, best) = (Some(rate), Some(found)),
            // At no rate may this happen.
            Verdict::Violated => {
                best = Some(found);
                break;
            }
            Verdict::Interrupted => {}
            Verdict::ThresholdMissed | Verdict::GeneratorSaturated => {
                (failed, bound) = (Some(rate), Some(found.verdict));
            }
        }
        if interrupted {
            bound = Some(Verdict::Interrupted);
            break;
        }
    }
    Ok(Found { best, bound })
}

fn line(rate: f64, found: &Summary) -> String {
    let mut text = format!("{rate:>9.0}/s: {}", found.verdict.words());
    for check in found.checks.iter().filter(|check| !check.passed) {
        let actual = check
            .actual
            .map_or_else(|| "nothing".to_owned(), |actual| format!("{actual:.2}"));
        let _ = write!(text, "; {} is {actual}, limit {}", check.name, check.limit);
    }
    if let Some(missed) = found.ledger.missed() {
        let _ = write!(text, "; {missed}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates that are tried where all up to `capacity` hold.
    fn tried(from: f64, capacity: f64) -> Vec<f64> {
        let scenario = Scenario::load("smoke", &[]).unwrap();
        let search = Search::new(&scenario, Shard::WHOLE, Some(from), 10.0).unwrap();
        let (mut held, mut failed, mut all) = (None, None, Vec::new());
        while let Some(rate) = search.next(held, failed) {
            let end = if rate <= capacity { &mut held } else { &mut failed };
            *end = Some(rate);
            all.push(rate);
            assert!(all.len() < 100, "it never ends: {all:?}");
        }
        all
    }

    #[test]
    fn the_search_ends_wherever_the_capacity_is() {
        assert_eq!(tried(100.0, 250.0)[..3], [100.0, 200.0, 400.0]);
        assert_eq!(tried(3e6, f64::INFINITY), [3e6, 6e6, 1e7]);
        assert_eq!(tried(1e7, f64::INFINITY), [1e7]);
        assert_eq!(tried(4.0, 0.0), [4.0, 2.0, 1.0]);
        assert_eq!(tried(0.001, 0.0), [0.001]);
    }
}
