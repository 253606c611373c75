//! A summary against the scenario's thresholds.

use serde::{Deserialize, Serialize};

use super::{Summary, Verdict};
use crate::stats::Timed;

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

/// The tool is saturated when one action in a hundred is later than this. It would then measure itself.
const LATE_MS: f64 = 25.0;

/// It is one thread: at this much of a core it cannot keep its times either.
const BUSY: f64 = 0.97;

/// Holds it against its thresholds, and gives the verdict.
pub(crate) fn judge(summary: &mut Summary) {
    summary.checks = checks(summary);
    let missed = summary.checks.iter().any(|check| !check.passed);
    summary.verdict = if summary.ledger.violations > 0 {
        Verdict::Violated
    } else if saturated(summary) {
        Verdict::GeneratorSaturated
    } else if missed || !summary.ledger.settled {
        Verdict::ThresholdMissed
    } else {
        Verdict::Passed
    };
}

fn saturated(summary: &Summary) -> bool {
    let open = summary.scenario.load.rate.is_some();
    let busy = summary.own_cores > BUSY * summary.shards.len() as f64;
    open && (busy || late(summary))
}

fn late(summary: &Summary) -> bool {
    summary
        .times
        .get(&Timed::Late)
        .is_some_and(|late| late.p99_ms > LATE_MS)
}

fn checks(summary: &Summary) -> Vec<Check> {
    let wanted = &summary.scenario.thresholds;
    let p50 = |what| summary.times.get(&what).map(|times| times.p50_ms);
    let p99 = |what| summary.times.get(&what).map(|times| times.p99_ms);
    let target = summary.target.as_ref();
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
    let at_most = at_most.into_iter().map(|one| (one, false));
    let all = at_most.chain(at_least.into_iter().map(|one| (one, true)));
    all.filter_map(|((name, limit, actual), least)| check(name, limit?, actual, least))
        .collect()
}

/// What the service used is only known with `--pid`; a scenario that limits it is run without, too.
fn check(name: &str, limit: f64, actual: Option<f64>, least: bool) -> Option<Check> {
    let of_the_process = ["cpu_", "kb_", "memory_", "floor_"]
        .iter()
        .any(|start| name.starts_with(start));
    if of_the_process && actual.is_none() {
        return None;
    }
    let passed = actual.is_some_and(|actual| if least { actual >= limit } else { actual <= limit });
    Some(Check {
        name: name.to_owned(),
        limit,
        actual,
        passed,
    })
}
