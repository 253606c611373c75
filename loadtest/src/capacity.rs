//! The highest rate at which a scenario meets its thresholds.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use crate::run::{self, Options};
use crate::scenario::Scenario;
use crate::summary::{Summary, Verdict};

/// From where, and how exactly.
pub(crate) struct Search {
    /// Actions a second to begin with.
    pub(crate) from: f64,
    /// It ends when what holds and what does not are this close: 1.05 is five percent.
    pub(crate) closeness: f64,
}

/// Doubles the rate until it does not hold, then halves the distance.
///
/// # Errors
///
/// Where a run could not be made, or the scenario is no open loop.
pub(crate) async fn search(
    scenario: &Scenario,
    options: &Options,
    search: &Search,
    told: impl Fn(&str),
) -> Result<Option<Summary>> {
    ensure!(
        scenario.load.rate.is_some(),
        "capacity needs an open loop: the scenario has load.in_flight, and no load.rate"
    );
    let (mut holds, mut fails) = (None::<Summary>, None::<f64>);
    let mut rate = search.from;
    loop {
        let mut step = scenario.clone();
        step.load.rate = Some(rate);
        let found = run::run(&step, options, run::new_id()).await?;
        told(&line(rate, &found));
        match found.verdict {
            Verdict::Passed => holds = Some(found),
            // At no rate may this happen.
            Verdict::Violated => return Ok(Some(found)),
            Verdict::Interrupted => return Ok(holds),
            Verdict::ThresholdMissed | Verdict::GeneratorSaturated => fails = Some(rate),
        }
        let held = holds.as_ref().and_then(|summary| summary.scenario.load.rate);
        rate = match (held.map(|held| held * f64::from(options.shard.of)), fails) {
            (Some(held), None) => held * 2.0,
            (Some(held), Some(failed)) if failed / held > search.closeness => (held * failed).sqrt(),
            (None, Some(failed)) if failed > 1.0 => failed / 2.0,
            _ => return Ok(holds),
        };
    }
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
