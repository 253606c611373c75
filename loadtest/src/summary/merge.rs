//! The summaries of shards become one: as if one tool had made the whole load.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{LedgerSummary, Summary, TargetSummary, TimesSummary, Verdict, judge};
use crate::scenario::Scenario;
use crate::stats::{Counts, Point, Timed, Times};

/// # Errors
///
/// Where they are not of the same scenario, one comes twice, or one is missing.
pub(crate) fn merge(shards: Vec<Summary>) -> Result<Summary> {
    // Of cores that are added up nobody can tell any more who had too few.
    let saturated = shards
        .iter()
        .any(|shard| shard.verdict == Verdict::GeneratorSaturated);
    let mut shards = shards.into_iter();
    let Some(mut whole) = shards.next() else {
        anyhow::bail!("merge needs a summary")
    };
    let mut times = of(&whole)?;
    for shard in shards {
        ensure!(
            unsplit(&shard.scenario)? == unsplit(&whole.scenario)?,
            "they are of two scenarios, {} and {}, or of one that was changed between them",
            whole.scenario.name,
            shard.scenario.name
        );
        for one in &shard.shards {
            ensure!(!whole.shards.contains(one), "shard {one} is there twice");
        }
        for (what, more) in of(&shard)? {
            match times.get_mut(&what) {
                Some(all) => all.add(&more)?,
                None => drop(times.insert(what, more)),
            }
        }
        add(&mut whole, shard);
    }
    whole.times = times
        .iter()
        .map(|(what, times)| (*what, TimesSummary::of(times)))
        .collect();
    all_there(&whole.shards)?;
    judge(&mut whole);
    if saturated {
        whole.verdict = whole.verdict.max(Verdict::GeneratorSaturated);
    }
    Ok(whole)
}

/// Every shard of one division is there: each is `index/of`.
fn all_there(shards: &[String]) -> Result<()> {
    let of = |shard: &String| shard.rsplit('/').next().map(str::to_owned);
    let (first, all) = (shards.first().and_then(of), shards.iter().map(of));
    let divided = first.clone().unwrap_or_default();
    for other in all {
        ensure!(
            other == first,
            "they are shards of different divisions: {}",
            shards.join(", ")
        );
    }
    let wanted = 1..=divided.parse::<u32>().unwrap_or(0);
    let missing: Vec<String> = wanted
        .map(|index| format!("{index}/{divided}"))
        .filter(|wanted| !shards.contains(wanted))
        .collect();
    ensure!(missing.is_empty(), "shards are missing: {}", missing.join(", "));
    Ok(())
}

/// What all shards of a scenario have in common.
fn unsplit(scenario: &Scenario) -> Result<serde_json::Value> {
    let mut common = scenario.clone();
    // Each shard has added its index to the upper half.
    common.seed &= u64::from(u32::MAX);
    common.users.count = 0;
    common.chats.dialogs = 0;
    for groups in &mut common.chats.groups {
        groups.count = 0;
    }
    common.connect.rate = 0.0;
    common.load.rate = common.load.rate.map(|_| 0.0);
    if let Some(churn) = &mut common.churn {
        churn.rate = 0.0;
    }
    common.thresholds.messages_per_second_min = None;
    common.thresholds.deliveries_per_second_min = None;
    Ok(serde_json::to_value(common)?)
}

fn of(summary: &Summary) -> Result<BTreeMap<Timed, Times>> {
    let all = summary.times.iter();
    all.map(|(what, times)| Ok((*what, times.times()?))).collect()
}

fn add(whole: &mut Summary, shard: Summary) {
    whole.shards.extend(shard.shards);
    whole.seconds = whole.seconds.max(shard.seconds);
    whole.messages_per_second += shard.messages_per_second;
    whole.deliveries_per_second += shard.deliveries_per_second;
    whole.own_cores += shard.own_cores;
    add_scenario(&mut whole.scenario, &shard.scenario);
    whole.counts = add_counts(whole.counts, shard.counts);
    for (code, (count, message)) in shard.refusals {
        whole.refusals.entry(code).or_insert((0, message)).0 += count;
    }
    add_ledger(&mut whole.ledger, shard.ledger);
    whole.read_back &= shard.read_back;
    whole.interrupted |= shard.interrupted;
    whole.watched |= shard.watched;
    whole.chaos_hook = whole.chaos_hook.max(shard.chaos_hook);
    whole.target = whole
        .target
        .or(shard.target)
        .map(|target| per_message(target, whole.messages_per_second));
    whole.floor = whole.floor.take().or(shard.floor);
    add_series(&mut whole.series, &shard.series);
}

/// Every shard that watched the service saw the same processes; the messages are those of all shards.
fn per_message(target: TargetSummary, messages_per_second: f64) -> TargetSummary {
    TargetSummary {
        cpu_us_per_message: (messages_per_second > 0.0).then(|| target.cpu_cores * 1e6 / messages_per_second),
        ..target
    }
}

fn add_scenario(whole: &mut Scenario, shard: &Scenario) {
    let sum = |one: Option<f64>, other: Option<f64>| one.zip(other).map(|(one, other)| one + other);
    whole.users.count += shard.users.count;
    whole.chats.dialogs += shard.chats.dialogs;
    for (groups, more) in whole.chats.groups.iter_mut().zip(&shard.chats.groups) {
        groups.count += more.count;
    }
    whole.connect.rate += shard.connect.rate;
    whole.load.rate = sum(whole.load.rate, shard.load.rate);
    if let (Some(churn), Some(more)) = (&mut whole.churn, &shard.churn) {
        churn.rate += more.rate;
    }
    let (wanted, more) = (&mut whole.thresholds, &shard.thresholds);
    wanted.messages_per_second_min = sum(wanted.messages_per_second_min, more.messages_per_second_min);
    wanted.deliveries_per_second_min = sum(wanted.deliveries_per_second_min, more.deliveries_per_second_min);
}

fn add_counts(one: Counts, other: Counts) -> Counts {
    Counts {
        sent: one.sent + other.sent,
        answered: one.answered + other.answered,
        delivered: one.delivered + other.delivered,
        others: one.others + other.others,
        refused: one.refused + other.refused,
        repeated: one.repeated + other.repeated,
        lost: one.lost + other.lost,
        planned: one.planned + other.planned,
        dropped: one.dropped + other.dropped,
        skipped: one.skipped + other.skipped,
        late: one.late + other.late,
        unbegun: one.unbegun + other.unbegun,
    }
}

fn add_ledger(whole: &mut LedgerSummary, shard: LedgerSummary) {
    whole.violations += shard.violations;
    whole.kept.extend(shard.kept);
    whole.ambiguous_stored += shard.ambiguous_stored;
    whole.ambiguous_absent += shard.ambiguous_absent;
    whole.ambiguous_unknown += shard.ambiguous_unknown;
    whole.settled &= shard.settled;
    whole.owed += shard.owed;
    whole.owed_to += shard.owed_to;
    whole.unanswered += shard.unanswered;
    whole.gone += shard.gone;
}

/// By the second of the run. Of percentiles the highest is taken: they cannot be added.
fn add_series(whole: &mut Vec<Point>, shard: &[Point]) {
    for (place, point) in shard.iter().enumerate() {
        let Some(all) = whole.get_mut(place) else {
            whole.push(*point);
            continue;
        };
        all.messages += point.messages;
        all.deliveries += point.deliveries;
        all.refused += point.refused;
        all.open += point.open;
        all.own_cores += point.own_cores;
        all.response_p50_ms = all.response_p50_ms.max(point.response_p50_ms);
        all.response_p99_ms = all.response_p99_ms.max(point.response_p99_ms);
        all.event_p50_ms = all.event_p50_ms.max(point.event_p50_ms);
        all.event_p99_ms = all.event_p99_ms.max(point.event_p99_ms);
        // The service is one and the same: whichever shard was beside it knows.
        all.resident_mb = all.resident_mb.or(point.resident_mb);
        all.cpu_cores = all.cpu_cores.or(point.cpu_cores);
        all.cpu_us_per_message = all
            .cpu_cores
            .filter(|_| all.messages > 0.0)
            .map(|cores| cores * 1e6 / all.messages);
    }
}

#[cfg(test)]
mod tests {
    use super::{Point, add_series};

    #[test]
    fn what_one_shard_knows_of_the_service_is_kept_whichever_it_is() {
        let blind = Point {
            messages: 1.0,
            ..Point::default()
        };
        let beside = Point {
            resident_mb: Some(100.0),
            cpu_cores: Some(0.5),
            ..blind
        };
        for (first, second) in [(blind, beside), (beside, blind)] {
            let mut whole = vec![first];
            add_series(&mut whole, &[second]);
            assert_eq!(whole[0].resident_mb, Some(100.0));
            assert_eq!(whole[0].cpu_us_per_message, Some(250_000.0));
        }
    }
}
