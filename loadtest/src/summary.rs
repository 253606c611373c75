//! What a run found: `summary.json`, from which everything else is made.

mod check;
mod merge;
mod times;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

pub(crate) use check::Check;
pub(crate) use check::judge;
pub(crate) use merge::merge;
pub(crate) use times::TimesSummary;

use crate::calibrate::Floor;
use crate::ledger::Violation;
use crate::plan::Shard;
use crate::run::{Findings, Settled, Usages, Window};
use crate::scenario::Scenario;
use crate::stats::{Counts, Point, Timed, Usage};
use crate::world::World;

/// The version of the file's form: fields may be added under one version, not changed.
pub(crate) const VERSION: u32 = 1;

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    pub(crate) version: u32,
    pub(crate) verdict: Verdict,
    pub(crate) run: String,
    pub(crate) scenario: Scenario,
    /// `index/of`, counted from 1; several after a merge.
    pub(crate) shards: Vec<String>,
    pub(crate) seconds: f64,
    /// During the measured time, a second.
    pub(crate) messages_per_second: f64,
    pub(crate) deliveries_per_second: f64,
    /// In the whole run.
    pub(crate) counts: Counts,
    /// By code: how often, and one of the messages.
    pub(crate) refusals: BTreeMap<String, (u64, String)>,
    pub(crate) times: BTreeMap<Timed, TimesSummary>,
    /// How late the tool was in beginning the first connections.
    #[serde(default)]
    pub(crate) late_dials_p99_ms: f64,
    pub(crate) ledger: LedgerSummary,
    pub(crate) target: Option<TargetSummary>,
    /// Whether processes of the service were watched. Without `target` one of them has ended.
    #[serde(default)]
    pub(crate) watched: bool,
    /// Of the tool, during the measured time.
    pub(crate) own_cores: f64,
    /// Of the CPU time of the tool's machine, what its host took during the measured time; none where the system does not tell.
    #[serde(default)]
    pub(crate) stolen_share: Option<f64>,
    pub(crate) checks: Vec<Check>,
    /// Thresholds of what was not watched or not calibrated.
    #[serde(default)]
    pub(crate) not_judged: Vec<String>,
    /// Whether history and lists were read back, all of them.
    #[serde(default = "yes")]
    pub(crate) read_back: bool,
    /// Whether the load was ended before its time.
    #[serde(default)]
    pub(crate) interrupted: bool,
    /// The chaos hook, if there was to be one.
    #[serde(default)]
    pub(crate) chaos_command: Option<String>,
    /// The exit code of the chaos hook, if it has ended.
    #[serde(default)]
    pub(crate) chaos_hook: Option<i32>,
    /// When the run and its measured time began, in milliseconds since 1970; 0 where that is not known.
    #[serde(default)]
    pub(crate) started_at: u64,
    #[serde(default)]
    pub(crate) measured_at: u64,
    /// The processes of the service that were watched.
    #[serde(default)]
    pub(crate) pids: Vec<u32>,
    pub(crate) floor: Option<Floor>,
    pub(crate) series: Vec<Point>,
}

fn yes() -> bool {
    true
}

/// How a run ended. The worst one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Passed,
    /// The service was too slow, or too dear.
    ThresholdMissed,
    /// Somebody ended the load before its time: too little was seen.
    Interrupted,
    /// The tool itself was too slow: nothing can be said of the service.
    GeneratorSaturated,
    /// The service broke a promise.
    Violated,
}

impl Verdict {
    /// The exit code of the command.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::ThresholdMissed => 1,
            Self::Violated => 2,
            Self::GeneratorSaturated => 3,
            Self::Interrupted => crate::FAILED,
        }
    }

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::ThresholdMissed => "a threshold was missed",
            Self::Interrupted => "interrupted before the end of the load",
            Self::GeneratorSaturated => {
                "the load generator was saturated: nothing can be said of the service"
            }
            Self::Violated => "a promise was broken",
        }
    }
}

/// What the ledger says.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct LedgerSummary {
    pub(crate) violations: u64,
    /// The first of them.
    pub(crate) kept: Vec<Violation>,
    /// Sends that were never answered: those that the history has, those that it has not, and those of which nobody
    /// knows, since it was not read back.
    pub(crate) ambiguous_stored: u64,
    pub(crate) ambiguous_absent: u64,
    #[serde(default)]
    pub(crate) ambiguous_unknown: u64,
    /// Whether all was answered and delivered in time after the load, and every connection was there.
    pub(crate) settled: bool,
    /// What is owed to connections that were not there to get it, and how many these are.
    #[serde(default)]
    pub(crate) owed: u64,
    #[serde(default)]
    pub(crate) owed_to: u32,
    /// Requests without an answer.
    #[serde(default)]
    pub(crate) unanswered: u64,
    /// Connections that did not come back.
    #[serde(default)]
    pub(crate) gone: u32,
}

impl LedgerSummary {
    /// What was not there in the time given after the load. None where everything was.
    pub(crate) fn missed(&self) -> Option<String> {
        let parts = [
            (self.owed > 0).then(|| {
                format!(
                    "{} events are owed to {} connections that were not there all the time",
                    self.owed, self.owed_to
                )
            }),
            (self.unanswered > 0).then(|| format!("{} requests have no answer", self.unanswered)),
            (self.gone > 0).then(|| format!("{} connections did not come back", self.gone)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        let start = "not everything was answered, delivered and read back in the time given after the load";
        let text = match &parts[..] {
            [] => start.to_owned(),
            parts => format!("{start}: {}", parts.join("; ")),
        };
        (!self.settled).then_some(text)
    }
}

/// What the service's processes used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct TargetSummary {
    /// During the measured time.
    pub(crate) cpu_cores: f64,
    pub(crate) cpu_us_per_message: Option<f64>,
    /// Resident.
    pub(crate) mb_before: f64,
    pub(crate) mb_connected: f64,
    pub(crate) mb_end: f64,
    pub(crate) kb_per_connection: f64,
}

/// What a run has found becomes its summary.
pub(crate) fn of(findings: Findings, world: &World) -> Summary {
    let Findings {
        run,
        scenario,
        shard,
        started_at,
        series,
        usages,
        window,
        settled,
        read_back,
        pids,
        unbegun,
        interrupted,
        chaos_command,
        chaos_hook,
    } = findings;
    let times = Timed::ALL
        .into_iter()
        .filter(|what| !world.stats.times(*what).is_empty());
    let mut summary = Summary {
        version: VERSION,
        verdict: Verdict::Passed,
        run,
        shards: vec![format!("{}/{}", shard.index + 1, shard.of)],
        seconds: window.seconds,
        messages_per_second: window.answered as f64 / window.seconds,
        deliveries_per_second: window.delivered as f64 / window.seconds,
        counts: Counts {
            unbegun: unbegun + world.stats.counts.unbegun,
            ..world.stats.counts
        },
        refusals: world.stats.refusals.clone(),
        times: times
            .map(|what| (what, TimesSummary::of(world.stats.times(what))))
            .collect(),
        late_dials_p99_ms: world.stats.late_dials_p99_ms(),
        ledger: ledger(world, settled, read_back),
        target: target(&scenario, &usages, window, shard),
        watched: !pids.is_empty(),
        pids,
        scenario,
        own_cores: window.own_cpu_seconds / window.seconds,
        stolen_share: window.stolen_share,
        checks: Vec::new(),
        not_judged: Vec::new(),
        read_back,
        interrupted,
        chaos_command,
        chaos_hook,
        started_at,
        measured_at: window.began,
        floor: None,
        series,
    };
    judge(&mut summary);
    summary
}

/// What the ledger has found; of what was not read back it knows nothing.
fn ledger(world: &World, settled: Settled, read_back: bool) -> LedgerSummary {
    let ambiguous = world.ledger.ambiguous();
    let known = |count| if read_back { count } else { 0 };
    let violations = &world.ledger.violations;
    LedgerSummary {
        violations: violations.count,
        kept: violations.kept.clone(),
        ambiguous_stored: known(ambiguous.stored),
        ambiguous_absent: known(ambiguous.absent),
        ambiguous_unknown: ambiguous.stored + ambiguous.absent
            - known(ambiguous.stored)
            - known(ambiguous.absent),
        settled: settled.all,
        owed: settled.owed,
        owed_to: settled.devices,
        unanswered: settled.unanswered,
        gone: settled.gone,
    }
}

fn target(scenario: &Scenario, usages: &Usages, window: Window, shard: Shard) -> Option<TargetSummary> {
    let cpu_seconds = window.cpu_seconds?;
    let mb = |usage: Option<Usage>| usage.map(|usage| usage.resident_bytes as f64 / 1e6);
    let (before, connected) = (mb(usages.before)?, mb(usages.connected)?);
    Some(TargetSummary {
        cpu_cores: cpu_seconds / window.seconds,
        // Of several shards none knows how many messages there were.
        cpu_us_per_message: (window.answered > 0 && shard.of == 1)
            .then(|| cpu_seconds * 1e6 / window.answered as f64),
        mb_before: before,
        mb_connected: connected,
        mb_end: mb(usages.end)?,
        kb_per_connection: (connected - before) * 1e3 / f64::from(scenario.devices()),
    })
}

impl Summary {
    /// Whether it is of one shard among several: of the load there is more than it tells.
    pub(crate) fn is_part(&self) -> bool {
        matches!(&self.shards[..], [one] if !one.ends_with("/1"))
    }

    /// Why thresholds could not be judged.
    pub(crate) fn why_not_judged(&self) -> &'static str {
        if self.is_part() {
            "before `merge` or for want of --pid or --calibrate"
        } else {
            "for want of --pid or --calibrate"
        }
    }

    /// What the host took from the machine, where that is known: a slow hour that is not the service's doing.
    pub(crate) fn stolen(&self) -> Option<String> {
        let share = self.stolen_share?;
        Some(format!("{:.1}% of its CPU time taken by its host", share * 100.0))
    }

    /// CPU of a message against that of the floor, at the same number of messages in flight.
    pub(crate) fn floor_ratio(&self) -> Option<f64> {
        let floor = self.floor.as_ref()?.at(self.scenario.load.in_flight.unwrap_or(1));
        Some(self.target?.cpu_us_per_message? / floor.cpu_us_per_message)
    }

    /// # Errors
    ///
    /// Where it cannot be read, or is of another version.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let file = if path.is_dir() {
            path.join("summary.json")
        } else {
            path.to_owned()
        };
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {shown}"))?;
        let value: serde_json::Value =
            serde_json::from_str(&text).with_context(|| format!("{shown} is no summary"))?;
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        ensure!(
            version == Some(u64::from(VERSION)),
            "{shown} is {}, and this tool reads version {VERSION}",
            version.map_or_else(
                || "no summary of a run".to_owned(),
                |version| format!("of version {version}")
            )
        );
        serde_json::from_value(value).with_context(|| format!("{shown} is no summary"))
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}
