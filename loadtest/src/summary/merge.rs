//! The summaries of shards become one: as if one tool had made the whole load.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};

use super::check::{Tool, judge_with};
use super::{LedgerSummary, Summary, TargetSummary, TimesSummary};
use crate::scenario::Scenario;
use crate::stats::{Counts, Point, Timed, Times};

/// # Errors
///
/// Where they are not of the same scenario, one comes twice, or one is missing.
pub(crate) fn merge(mut shards: Vec<Summary>) -> Result<Summary> {
    // Of cores that are added up nobody can tell any more who had too few.
    let tool = shards.iter().map(Tool::of).fold(Tool::default(), Tool::or);
    // The earliest first: the others' seconds are counted from its beginning.
    shards.sort_by_key(|shard| shard.started_at);
    let mut shards = shards.into_iter();
    let Some(mut whole) = shards.next() else {
        anyhow::bail!("merge needs a summary")
    };
    let (mut times, first) = (of(&whole)?, whole.clone());
    for shard in shards {
        one_scenario(&first.scenario, &shard.scenario)?;
        one_time(&first, &shard)?;
        one_service(&whole, &shard)?;
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
    judge_with(&mut whole, tool);
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

/// They are parts of one scenario: all but the counts is the same, and of those none has more than one more than another. (A shard with
/// a group may have more users than one without.)
fn one_scenario(one: &Scenario, other: &Scenario) -> Result<()> {
    let near = |(one, other): (u32, u32)| one.abs_diff(other) <= 1;
    let groups = || one.chats.groups.iter().zip(&other.chats.groups);
    let counts = || groups().map(|(one, other)| (one.count, other.count));
    let same_groups = counts().all(|(one, other)| one == other);
    let alike = near((one.chats.dialogs, other.chats.dialogs))
        && counts().all(near)
        && (!same_groups || near((one.users.count, other.users.count)));
    ensure!(
        alike && unsplit(one)? == unsplit(other)?,
        "they are of two scenarios, {} and {}, or of one that was changed between them",
        one.name,
        other.name
    );
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
    Ok(serde_json::to_value(common)?)
}

/// They made their load at the same time, for the most part: rates of two different times are no sum.
fn one_time(one: &Summary, other: &Summary) -> Result<()> {
    let apart = other.measured_at.abs_diff(one.measured_at) as f64 / 1e3;
    let known = one.measured_at > 0 && other.measured_at > 0;
    ensure!(
        !known || apart <= one.seconds / 2.0,
        "shards {} and {} began to measure {apart:.0} s apart, and measured for {:.0} s: start them together",
        one.shards.join(", "),
        other.shards.join(", "),
        one.seconds
    );
    Ok(())
}

/// Those who watched the service watched the same processes: what each used is no part of what all used.
fn one_service(one: &Summary, other: &Summary) -> Result<()> {
    let watched = |summary: &Summary| BTreeSet::from_iter(summary.pids.iter().copied());
    ensure!(
        one.pids.is_empty() || other.pids.is_empty() || watched(one) == watched(other),
        "they watched different processes, {:?} and {:?}: give every shard on the service's machine all of them by --pid",
        one.pids,
        other.pids
    );
    Ok(())
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
    whole.stolen_share = [whole.stolen_share, shard.stolen_share]
        .into_iter()
        .flatten()
        .reduce(f64::max);
    add_scenario(&mut whole.scenario, &shard.scenario);
    whole.counts = add_counts(whole.counts, shard.counts);
    for (code, (count, message)) in shard.refusals {
        whole.refusals.entry(code).or_insert((0, message)).0 += count;
    }
    whole.late_dials_p99_ms = whole.late_dials_p99_ms.max(shard.late_dials_p99_ms);
    add_ledger(&mut whole.ledger, shard.ledger);
    whole.read_back &= shard.read_back;
    whole.interrupted |= shard.interrupted;
    whole.watched |= shard.watched;
    add_hook(whole, shard.chaos_command, shard.chaos_hook);
    let targets = [whole.target, shard.target].into_iter().flatten();
    whole.target = targets.reduce(both).map(|target| shared(target, whole));
    if whole.pids.is_empty() {
        whole.pids = shard.pids;
    }
    whole.floor = whole.floor.take().or(shard.floor);
    let later = match (whole.started_at, shard.started_at) {
        (1.., 1..) => shard.started_at.saturating_sub(whole.started_at),
        _ => 0,
    };
    add_series(
        &mut whole.series,
        &shard.series,
        (later as f64 / 1e3).round() as usize,
    );
}

/// One hook that has not ended is worse than any that has.
fn add_hook(whole: &mut Summary, command: Option<String>, code: Option<i32>) {
    let ended = |command: &Option<String>, code: Option<i32>| command.is_none() || code.is_some();
    let all = ended(&whole.chaos_command, whole.chaos_hook) && ended(&command, code);
    whole.chaos_hook = whole.chaos_hook.max(code).filter(|_| all);
    whole.chaos_command = whole.chaos_command.take().or(command);
}

/// What two saw of the same processes. Each saw its own moments: before any connection was there, and with all of them. Of the CPU,
/// the first one's time counts.
fn both(one: TargetSummary, other: TargetSummary) -> TargetSummary {
    TargetSummary {
        cpu_cores: one.cpu_cores,
        cpu_us_per_message: None,
        mb_before: one.mb_before.min(other.mb_before),
        mb_connected: one.mb_connected.max(other.mb_connected),
        mb_end: one.mb_end.max(other.mb_end),
        kb_per_connection: 0.0,
    }
}

/// What it used is shared by the messages and connections of all shards.
fn shared(target: TargetSummary, whole: &Summary) -> TargetSummary {
    let rate = whole.messages_per_second;
    TargetSummary {
        cpu_us_per_message: (rate > 0.0).then(|| target.cpu_cores * 1e6 / rate),
        kb_per_connection: (target.mb_connected - target.mb_before) * 1e3
            / f64::from(whole.scenario.devices()),
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

/// By the second, of which the shard's first came so many `later`. Of percentiles the highest is taken: they cannot be added.
fn add_series(whole: &mut Vec<Point>, shard: &[Point], later: usize) {
    for (place, point) in (later..).zip(shard) {
        let Some(all) = whole.get_mut(place) else {
            whole.push(Point {
                at: point.at + later as f64,
                ..*point
            });
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
    fn seconds_are_counted_from_the_beginning_of_the_first() {
        let point = |at: f64| Point {
            at,
            messages: 1.0,
            ..Point::default()
        };
        let mut whole = vec![point(1.0), point(2.0), point(3.0)];
        add_series(&mut whole, &[point(1.0), point(2.0)], 2);
        let seen: Vec<_> = whole.iter().map(|point| (point.at, point.messages)).collect();
        assert_eq!(seen, [(1.0, 1.0), (2.0, 1.0), (3.0, 2.0), (4.0, 1.0)]);
    }

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
            add_series(&mut whole, &[second], 0);
            assert_eq!(whole[0].resident_mb, Some(100.0));
            assert_eq!(whole[0].cpu_us_per_message, Some(250_000.0));
        }
    }
}
