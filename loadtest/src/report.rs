//! `report.html`: one file that needs no network, the verdict first.

mod chart;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::stats::{Point, Timed};
use crate::summary::{Summary, TimesSummary, Verdict};
use chart::{Axis, Chart, Line};

const STYLE: &str = include_str!("report/style.css");

pub(crate) fn html(summary: &Summary) -> String {
    let scenario = &summary.scenario;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width";
                title { (scenario.name) ": " (summary.verdict.words()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header class=(class(summary.verdict)) {
                    h1 { (scenario.name) ": " (summary.verdict.words()) }
                    p { (scenario.purpose) }
                }
                (figures(summary))
                (violations(summary))
                (checks(summary))
                (charts(summary))
                (times(summary))
                (counts(summary))
                (details(summary))
            }
        }
    };
    page.into_string()
}

fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "passed",
        Verdict::ThresholdMissed => "missed",
        Verdict::GeneratorSaturated | Verdict::Interrupted => "saturated",
        Verdict::Violated => "violated",
    }
}

fn figures(summary: &Summary) -> Markup {
    let ledger = &summary.ledger;
    html! {
        ul class="figures" {
            li { b { (whole(summary.messages_per_second)) } " messages/s" }
            li { b { (whole(summary.deliveries_per_second)) } " deliveries/s" }
            li { b { (whole(f64::from(summary.scenario.devices()))) } " connections" }
            li { b { (ledger.violations) } " violations" }
            @if let Some(target) = &summary.target {
                @if let Some(each) = target.cpu_us_per_message {
                    li { b { (format!("{each:.1}")) } " µs of CPU a message" }
                }
                li { b { (format!("{:.1}", target.mb_end)) } " MB resident at the end" }
            }
            @if let (Some(floor), Some(ratio)) = (&summary.floor, summary.floor_ratio()) {
                li {
                    b { (format!("{ratio:.2}")) } " × the floor of "
                    (format!("{:.1}", floor.at(summary.scenario.load.in_flight.unwrap_or(1)).cpu_us_per_message)) " µs"
                }
            }
        }
    }
}

fn violations(summary: &Summary) -> Markup {
    let ledger = &summary.ledger;
    html! {
        @if ledger.violations > 0 {
            h2 { "Broken promises" }
            p { (ledger.violations) " in all, the first " (ledger.kept.len()) ":" }
            table {
                tr { th { "at" } th { "what" } th { "of" } th { "which" } }
                @for one in &ledger.kept {
                    tr {
                        td class="number" { (format!("{:.3} s", one.at_ms as f64 / 1000.0)) }
                        td { (format!("{:?}", one.kind)) }
                        td { (one.of) }
                        td { (one.detail) }
                    }
                }
            }
        }
        @if let Some(missed) = ledger.missed() {
            p class="warning" { "Missed: " (missed) "." }
        }
    }
}

fn checks(summary: &Summary) -> Markup {
    html! {
        @if !summary.not_judged.is_empty() {
            p class="warning" { "Not judged, " (summary.why_not_judged()) ": " (summary.not_judged.join(", ")) "." }
        }
        @if let Some(stolen) = summary.stolen() {
            p { "The load generator's machine had " (stolen) "." }
        }
        @if !summary.read_back {
            p class="warning" { "Not judged: history and lists, which were not read back." }
        }
        @if summary.watched && summary.target.is_none() {
            p class="warning" { "A process of the service ended during the run." }
        }
        @if !summary.checks.is_empty() {
            h2 { "Thresholds" }
            table {
                tr { th {} th { "limit" } th { "found" } th {} }
                @for check in &summary.checks {
                    tr {
                        td { (check.name) }
                        td class="number" { (check.limit) }
                        td class="number" { (check.actual.map_or_else(|| "not measured".to_owned(), |actual| format!("{actual:.2}"))) }
                        td { @if check.passed { "met" } @else { b { "missed" } } }
                    }
                }
            }
        }
    }
}

fn charts(summary: &Summary) -> Markup {
    let series = &summary.series;
    let line = |name, of: fn(&Point) -> f64| Line {
        name,
        points: series.iter().map(|point| (point.at, of(point))).collect(),
    };
    let all = [
        Chart {
            title: "A second",
            axis: Axis::Time,
            lines: vec![
                line("messages", |point| point.messages),
                line("deliveries", |point| point.deliveries),
            ],
        },
        Chart {
            title: "Send to response, ms",
            axis: Axis::Time,
            lines: vec![
                line("p50", |point| point.response_p50_ms),
                line("p99", |point| point.response_p99_ms),
            ],
        },
        Chart {
            title: "Send to event, ms",
            axis: Axis::Time,
            lines: vec![
                line("p50", |point| point.event_p50_ms),
                line("p99", |point| point.event_p99_ms),
            ],
        },
        Chart {
            title: "Connections",
            axis: Axis::Time,
            lines: vec![line("open", |point| f64::from(point.open))],
        },
        Chart {
            title: "CPU, µs a message of the service",
            axis: Axis::Time,
            lines: vec![line("service", |point| point.cpu_us_per_message.unwrap_or(0.0))],
        },
        Chart {
            title: "CPU, cores",
            axis: Axis::Time,
            lines: vec![
                line("service", |point| point.cpu_cores.unwrap_or(0.0)),
                line("tool", |point| point.own_cores),
            ],
        },
        Chart {
            title: "Memory of the service, MB",
            axis: Axis::Time,
            lines: vec![line("resident", |point| point.resident_mb.unwrap_or(0.0))],
        },
    ];
    html! {
        h2 { "Over time" }
        div class="charts" {
            @for chart in all.iter().filter(|chart| chart.has_something()) { (chart.svg()) }
        }
        h2 { "Percentiles" }
        div class="charts" {
            (percentiles("Send to response, ms", Timed::Response, summary))
            (percentiles("Send to event, ms", Timed::Event, summary))
        }
    }
}

/// How long so many of the times were at the most.
fn percentiles(title: &'static str, what: Timed, summary: &Summary) -> Markup {
    let Some(Ok(times)) = summary.times.get(&what).map(TimesSummary::times) else {
        return html! {};
    };
    let points = (0..=40).map(|tenth| {
        let nines = f64::from(tenth) / 10.0;
        let below = 1.0 - 10_f64.powf(-nines);
        (nines, times.value_at_quantile(below) as f64 / 1000.0)
    });
    let line = Line {
        name: "at most",
        points: points.collect(),
    };
    let chart = Chart {
        title,
        axis: Axis::Nines,
        lines: vec![line],
    };
    chart.svg()
}

fn times(summary: &Summary) -> Markup {
    html! {
        h2 { "Times, ms" }
        table {
            tr { th {} th { "count" } th { "p50" } th { "p90" } th { "p99" } th { "p99.9" } th { "longest" } }
            @for (what, times) in &summary.times {
                tr {
                    td { (what.name()) }
                    td class="number" { (times.count) }
                    @for ms in [times.p50_ms, times.p90_ms, times.p99_ms, times.p999_ms, times.max_ms] {
                        td class="number" { (format!("{ms:.2}")) }
                    }
                }
            }
        }
    }
}

fn counts(summary: &Summary) -> Markup {
    let counts = &summary.counts;
    let ledger = &summary.ledger;
    let all = [
        ("messages sent", counts.sent),
        ("messages answered", counts.answered),
        ("deliveries", counts.delivered),
        ("other requests answered", counts.others),
        ("requests refused", counts.refused),
        ("requests sent again", counts.repeated),
        ("connections lost", counts.lost),
        ("actions planned", counts.planned),
        ("actions begun", counts.begun()),
        ("actions dropped by the tool", counts.dropped),
        ("actions with nothing to act on", counts.skipped),
        ("actions more than 10 ms late", counts.late),
        ("never answered, and stored", ledger.ambiguous_stored),
        ("never answered, and not stored", ledger.ambiguous_absent),
        ("never answered, and not read back", ledger.ambiguous_unknown),
        ("requests without an answer at the end", ledger.unanswered),
        ("actions never begun, for want of a connection", counts.unbegun),
    ];
    html! {
        h2 { "Counts" }
        table { @for (name, count) in all { tr { td { (name) } td class="number" { (count) } } } }
        @if !summary.refusals.is_empty() {
            h2 { "Refused, closed, sent again" }
            table {
                tr { th { "code" } th { "times" } th { "the first said" } }
                @for (code, (count, message)) in &summary.refusals {
                    tr { td { (code) } td class="number" { (count) } td { (message) } }
                }
            }
        }
    }
}

fn details(summary: &Summary) -> Markup {
    let scenario = toml::to_string_pretty(&summary.scenario).unwrap_or_default();
    html! {
        h2 { "Scenario" }
        p { "Run " (summary.run) ", shards " (summary.shards.join(", ")) "." }
        pre { (scenario) }
    }
}

fn whole(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}
