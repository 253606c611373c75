//! From where to where the numbers of a scenario may be. Generous: nobody wants more of one machine; and finite, so that
//! no sum of them is too large for a clock, a counter or the memory.

use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;

use super::Scenario;

/// Of anything, a second.
pub(crate) const RATES: RangeInclusive<f64> = 0.001..=1e7;
/// Of one action, in relation to the others.
const WEIGHTS: RangeInclusive<f64> = 1e-6..=1e6;
const THRESHOLDS: RangeInclusive<f64> = 0.0..=1e9;
const SHARES: RangeInclusive<f64> = 0.0..=1.0;

pub(super) const DEVICES: u64 = 4_000_000;
pub(super) const CHATS: u64 = 10_000_000;
/// Of all chats together.
pub(super) const MEMBERS: u64 = 100_000_000;

/// Longer than any run.
pub(super) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
const MOMENT: Duration = Duration::from_millis(1);

/// Every number that has limits of its own; those of several numbers together are not in here.
pub(super) fn check(scenario: &Scenario) -> Result<()> {
    for (name, value, limits) in counts(scenario) {
        within(name, &value, &limits, u64::to_string)?;
    }
    for (name, value, limits) in times(scenario) {
        within(name, &value, &limits, |time| {
            humantime::format_duration(*time).to_string()
        })?;
    }
    for (name, value, limits) in amounts(scenario)? {
        within(&name, &value, &limits, shown)?;
    }
    for (name, value, limits) in amounts_or_none(scenario)? {
        let fits = value == 0.0 || limits.contains(&value);
        let (least, most) = (shown(limits.start()), shown(limits.end()));
        ensure!(
            fits,
            "{name} is {}: give it 0, or from {least} to {most}",
            shown(&value)
        );
    }
    Ok(())
}

fn counts(scenario: &Scenario) -> Vec<(&'static str, u64, RangeInclusive<u64>)> {
    let (users, chats) = (&scenario.users, &scenario.chats);
    let mut all = vec![
        ("users.count", users.count.into(), 1..=DEVICES),
        ("users.devices", users.devices.into(), 1..=32),
        ("chats.dialogs", chats.dialogs.into(), 0..=CHATS),
    ];
    let groups = chats.groups.iter();
    all.extend(groups.map(|groups| ("chats.groups.count", groups.count.into(), 0..=CHATS)));
    let in_flight = scenario.load.in_flight;
    all.extend(in_flight.map(|in_flight| ("load.in_flight", in_flight.into(), 1..=1_000)));
    all
}

fn times(scenario: &Scenario) -> Vec<(&'static str, Duration, RangeInclusive<Duration>)> {
    let any = Duration::ZERO..=LONGEST;
    let some = MOMENT..=LONGEST;
    let mut all = vec![
        ("load.warm_up", scenario.load.warm_up, any.clone()),
        ("load.duration", scenario.load.duration, some.clone()),
    ];
    for storm in &scenario.storms {
        all.push(("storms.at", storm.at, any.clone()));
        all.push(("storms.over", storm.over, any.clone()));
    }
    all.extend(
        scenario
            .churn
            .iter()
            .map(|churn| ("churn.away", churn.away, any.clone())),
    );
    let slow = scenario.slow_readers.iter();
    all.extend(slow.map(|slow| ("slow_readers.pause", slow.pause, some.clone())));
    all
}

type Amounts = Vec<(String, f64, RangeInclusive<f64>)>;

fn amounts(scenario: &Scenario) -> Result<Amounts> {
    let mut all = vec![("connect.rate".to_owned(), scenario.connect.rate, RATES)];
    if let Some(churn) = &scenario.churn {
        all.push(("churn.rate".to_owned(), churn.rate, RATES));
        all.push(("churn.forget".to_owned(), churn.forget, SHARES));
    }
    let storms = scenario.storms.iter();
    all.extend(storms.map(|storm| ("storms.share".to_owned(), storm.share, SHARES)));
    let slow = scenario.slow_readers.iter();
    all.extend(slow.map(|slow| ("slow_readers.share".to_owned(), slow.share, SHARES)));
    all.extend(named("thresholds", &scenario.thresholds, &THRESHOLDS)?);
    Ok(all)
}

/// Where 0 says that there is none of it.
fn amounts_or_none(scenario: &Scenario) -> Result<Amounts> {
    let mut all = named("mix", &scenario.mix, &WEIGHTS)?;
    all.extend(
        scenario
            .load
            .rate
            .map(|rate| ("load.rate".to_owned(), rate, RATES)),
    );
    Ok(all)
}

/// All numbers of a table, by the names that a scenario gives them.
fn named(table: &str, values: &impl Serialize, limits: &RangeInclusive<f64>) -> Result<Amounts> {
    let values = toml::Table::try_from(values)?;
    let numbers = values.into_iter().filter_map(|(name, value)| {
        let value = value.as_float()?;
        Some((format!("{table}.{name}"), value, limits.clone()))
    });
    Ok(numbers.collect())
}

/// No number is within, that is none.
fn within<T: PartialOrd>(
    name: &str,
    value: &T,
    limits: &RangeInclusive<T>,
    shown: impl Fn(&T) -> String,
) -> Result<()> {
    ensure!(
        limits.contains(value),
        "{name} is {}: give it from {} to {}",
        shown(value),
        shown(limits.start()),
        shown(limits.end())
    );
    Ok(())
}

/// Without hundreds of zeros.
fn shown(number: &f64) -> String {
    if *number == 0.0 || (1e-6..1e15).contains(&number.abs()) {
        format!("{number}")
    } else {
        format!("{number:?}")
    }
}
