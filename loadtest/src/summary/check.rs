//! A summary against the scenario's thresholds.

use serde::{Deserialize, Serialize};

use super::{Summary, Verdict};
use crate::stats::{Point, Timed};

/// One threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Check {
    /// As the scenario names it.
    pub(crate) name: String,
    pub(crate) limit: f64,
    /// None where it was not measured, which counts as missed.
    pub(crate) actual: Option<f64>,
    pub(crate) passed: bool,
}

/// The tool is saturated when one action in a hundred is later than this: the load was another one than planned.
const LATE_MS: f64 = 25.0;

/// And where a time is missed that would have been met without the tool's own lateness, and that was more than this share of it.
const LATE_SHARE: f64 = 0.5;

/// It is one thread: at this much of a core it cannot keep its times either.
const BUSY: f64 = 0.97;

/// And when it made less than all but this share of the load. One action in a hundred moves no percentile that is judged
/// by much; a tool that keeps up drops none at all.
const DROPPED: f64 = 0.01;

/// How the tool itself did.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tool {
    /// It had no CPU to spare.
    busy: bool,
    /// The load was another one than planned.
    off_plan: bool,
}

impl Tool {
    /// In a run of one shard.
    pub(super) fn of(summary: &Summary) -> Self {
        let open = summary.scenario.load.rate.is_some();
        let busy = summary.own_cores > BUSY;
        let dropped = is_much(summary, summary.counts.dropped);
        Self {
            busy,
            off_plan: late(summary).1 > LATE_MS || (open && (busy || dropped)),
        }
    }

    /// In several: as in the worst of them.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            busy: self.busy || other.busy,
            off_plan: self.off_plan || other.off_plan,
        }
    }
}

/// Holds it against its thresholds, and gives the verdict.
pub(crate) fn judge(summary: &mut Summary) {
    let tool = Tool::of(summary);
    judge_with(summary, tool);
}

/// The same, where it is known how the tool did.
pub(super) fn judge_with(summary: &mut Summary, tool: Tool) {
    (summary.checks, summary.not_judged) = checks(summary);
    let missed = summary.checks.iter().any(|check| !check.passed);
    let unfinished = !summary.ledger.settled || is_much(summary, summary.counts.unbegun);
    summary.verdict = if summary.ledger.violations > 0 {
        Verdict::Violated
    } else if tool.off_plan || (missed && !unfinished && may_all_be_met(summary, tool)) {
        Verdict::GeneratorSaturated
    } else if summary.interrupted {
        Verdict::Interrupted
    } else if missed || unfinished {
        Verdict::ThresholdMissed
    } else {
        Verdict::Passed
    };
}

/// Whether of all that was missed nothing says for certain that it was the service's doing.
fn may_all_be_met(summary: &Summary, tool: Tool) -> bool {
    let late = late(summary);
    let mut missed = summary.checks.iter().filter(|check| !check.passed);
    missed
        .all(|check| (tool.busy && check.is_of_speed()) || check.may_be_met(late, summary.late_dials_p99_ms))
}

/// The tool's own lateness in beginning actions: the median, and all but one in a hundred.
fn late(summary: &Summary) -> (f64, f64) {
    let late = summary.times.get(&Timed::Late);
    late.map_or((0.0, 0.0), |late| (late.p50_ms, late.p99_ms))
}

/// Whether so many actions are missing that the load was another one.
fn is_much(summary: &Summary, missing: u64) -> bool {
    let planned = summary.counts.planned;
    planned > 0 && missing as f64 > DROPPED * planned as f64
}

impl Check {
    /// Whether it is about how fast the service is, of which a tool without time to spare sees too little.
    fn is_of_speed(&self) -> bool {
        self.name.ends_with("_ms") || self.name.ends_with("_per_second_min")
    }

    /// Whether a time that was missed would have been met by a tool that is in time. Coming back after a loss is not timed from any plan
    /// of the tool's.
    fn may_be_met(&self, (late_p50, late_p99): (f64, f64), late_dials_p99: f64) -> bool {
        let late = match &*self.name {
            "connect_p99_ms" => late_dials_p99,
            "response_p50_ms" | "event_p50_ms" => late_p50,
            "response_p99_ms" | "event_p99_ms" | "chats_p99_ms" | "history_p99_ms" => late_p99,
            _ => return false,
        };
        let by_the_tool = |actual: f64| late > LATE_SHARE * self.limit && actual - late <= self.limit;
        self.actual.is_some_and(by_the_tool)
    }
}

/// The thresholds that can be judged, and the names of the others.
fn checks(summary: &Summary) -> (Vec<Check>, Vec<String>) {
    let wanted = &summary.scenario.thresholds;
    let p50 = |what| summary.times.get(&what).map(|times| times.p50_ms);
    let p99 = |what| summary.times.get(&what).map(|times| times.p99_ms);
    let counts = &summary.counts;
    let requests = counts.answered + counts.others + counts.refused;
    let at_most = [
        ("response_p50_ms", wanted.response_p50_ms, p50(Timed::Response)),
        ("response_p99_ms", wanted.response_p99_ms, p99(Timed::Response)),
        ("event_p50_ms", wanted.event_p50_ms, p50(Timed::Event)),
        ("event_p99_ms", wanted.event_p99_ms, p99(Timed::Event)),
        ("connect_p99_ms", wanted.connect_p99_ms, p99(Timed::Connect)),
        ("resume_p99_ms", wanted.resume_p99_ms, p99(Timed::Resume)),
        (
            "resume_max_ms",
            wanted.resume_max_ms,
            summary.times.get(&Timed::Resume).map(|times| times.max_ms),
        ),
        ("chats_p99_ms", wanted.chats_p99_ms, p99(Timed::Chats)),
        ("history_p99_ms", wanted.history_p99_ms, p99(Timed::History)),
        (
            "errors_share",
            wanted.errors_share,
            (requests > 0).then(|| counts.refused as f64 / requests as f64),
        ),
        // A disturbance that did not come about proves nothing.
        (
            "chaos_hook_exit",
            summary.chaos_command.as_ref().map(|_| 0.0),
            summary.chaos_hook.map(f64::from),
        ),
    ];
    let at_least = [
        (
            "messages_per_second_min",
            wanted.messages_per_second_min,
            Some(summary.messages_per_second),
        ),
        (
            "deliveries_per_second_min",
            wanted.deliveries_per_second_min,
            Some(summary.deliveries_per_second),
        ),
    ];
    let at_most = at_most.into_iter().chain(of_the_service(summary));
    let at_most = at_most.map(|one| (one, false));
    let all = at_most.chain(at_least.into_iter().map(|one| (one, true)));
    let wanted = all.filter_map(|((name, limit, actual), least)| Some((name, limit?, actual, least)));
    let (judged, not): (Vec<_>, Vec<_>) = wanted.partition(|(name, ..)| is_measured(summary, name));
    let judged = judged
        .into_iter()
        .map(|(name, limit, actual, least)| check(name, limit, actual, least));
    (
        judged.collect(),
        not.into_iter().map(|(name, ..)| name.to_owned()).collect(),
    )
}

/// At the most: what the service's processes may use.
fn of_the_service(summary: &Summary) -> [(&'static str, Option<f64>, Option<f64>); 6] {
    let wanted = &summary.scenario.thresholds;
    let target = summary.target.as_ref();
    [
        (
            "cpu_us_per_message",
            wanted.cpu_us_per_message,
            target.and_then(|target| target.cpu_us_per_message),
        ),
        ("floor_ratio", wanted.floor_ratio, summary.floor_ratio()),
        (
            "cpu_cores",
            wanted.cpu_cores,
            target.map(|target| target.cpu_cores),
        ),
        (
            "kb_per_connection",
            wanted.kb_per_connection,
            target.map(|target| target.kb_per_connection),
        ),
        (
            "memory_growth",
            wanted.memory_growth,
            target.map(|target| target.mb_end / target.mb_connected),
        ),
        (
            "memory_drift",
            wanted.memory_drift,
            target.and_then(|_| drift(&summary.series)),
        ),
    ]
}

/// What the service used is known with `--pid` alone, and the floor with `--calibrate`; a scenario that limits them is run
/// without, too.
fn is_measured(summary: &Summary, name: &str) -> bool {
    // What one message costs, and one connection, is known once those of all shards are counted.
    if summary.is_part() && ["cpu_us_per_message", "floor_ratio", "kb_per_connection"].contains(&name) {
        return false;
    }
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    (summary.watched || summary.target.is_some() || !begins(&["cpu_", "kb_", "memory_", "floor_"]))
        && (summary.floor.is_some() || !begins(&["floor_"]))
}

/// How resident memory grew while messages were answered; none where it is not known.
fn drift(series: &[Point]) -> Option<f64> {
    let loaded = series.iter().filter(|point| point.messages > 0.0);
    let resident: Vec<f64> = loaded.filter_map(|point| point.resident_mb).collect();
    let quarter = resident.len() / 4;
    let mean = |from: usize| resident[from..from + quarter].iter().sum::<f64>() / quarter as f64;
    (quarter > 0).then(|| mean(resident.len() - quarter) / mean(quarter))
}

fn check(name: &str, limit: f64, actual: Option<f64>, least: bool) -> Check {
    let passed = actual.is_some_and(|actual| if least { actual >= limit } else { actual <= limit });
    Check {
        name: name.to_owned(),
        limit,
        actual,
        passed,
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Point, check, drift};

    #[test]
    fn a_time_that_the_tools_lateness_explains_says_nothing_of_the_service() {
        let missed = |name: &str, actual: f64| check(name, 5.0, Some(actual), false);
        let explained = |check: Check, late: (f64, f64)| check.may_be_met(late, 0.0);
        assert!(explained(missed("event_p99_ms", 13.0), (0.1, 12.0)));
        assert!(
            !explained(missed("event_p99_ms", 500.0), (0.1, 12.0)),
            "12 ms are no 500"
        );
        assert!(
            !explained(missed("event_p99_ms", 5.1), (0.1, 1.0)),
            "the service had 4 of the 5"
        );
        assert!(
            !explained(missed("event_p50_ms", 13.0), (0.1, 12.0)),
            "half of all was in time"
        );
        assert!(!explained(missed("cpu_cores", 13.0), (12.0, 12.0)));
        assert!(missed("connect_p99_ms", 13.0).may_be_met((0.0, 0.0), 12.0));
    }

    fn loaded(resident: impl IntoIterator<Item = f64>) -> Vec<Point> {
        let point = |mb| Point {
            messages: 1.0,
            resident_mb: Some(mb),
            ..Point::default()
        };
        resident.into_iter().map(point).collect()
    }

    #[test]
    fn memory_that_rises_while_caches_fill_and_then_stays_does_not_drift() {
        let filling = (0..10).map(|n| 100.0 * f64::from(n));
        assert_eq!(drift(&loaded(filling.chain([1000.0; 30]))), Some(1.0));
    }

    #[test]
    fn memory_that_goes_on_rising_drifts() {
        // The second ten of 40 points are 24.5 on the mean, the last ten 44.5.
        let rising = (0..40).map(|n| 10.0 + f64::from(n));
        assert_eq!(drift(&loaded(rising)), Some(44.5 / 24.5));
    }

    #[test]
    fn neither_what_comes_before_the_load_nor_what_comes_after_it_counts() {
        let idle = Point {
            resident_mb: Some(1.0),
            ..Point::default()
        };
        let mut series = vec![idle; 20];
        series.extend(loaded([100.0; 8]));
        series.extend(vec![idle; 20]);
        assert_eq!(drift(&series), Some(1.0));
        assert_eq!(drift(&vec![idle; 20]), None);
    }
}
