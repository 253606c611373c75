//! Two runs beside each other.

use std::fmt::Write as _;

use crate::stats::Timed;
use crate::summary::Summary;

/// One figure, of both where both have it.
pub(crate) struct Line {
    name: String,
    before: f64,
    /// None where the second run has no such figure.
    after: Option<f64>,
    /// Whether more of it is better.
    more_is_better: bool,
}

impl Line {
    /// The change in percent; without end where something comes of nothing.
    fn change(&self) -> Option<f64> {
        let after = self.after?;
        Some(match self.before {
            before if before == after => 0.0,
            0.0 => f64::INFINITY,
            before => (after / before - 1.0) * 100.0,
        })
    }

    /// Whether it became worse by more than so many percent. What is there no more is worse than all.
    pub(crate) fn is_worse_by(&self, percent: f64) -> bool {
        let sign = if self.more_is_better { -1.0 } else { 1.0 };
        self.change().is_none_or(|change| sign * change > percent)
    }
}

/// Every figure that the first has.
pub(crate) fn lines(before: &Summary, after: &Summary) -> Vec<Line> {
    let figures = figures(after);
    let after = |name: &str| figures.iter().find(|(known, ..)| known == name);
    self::figures(before)
        .into_iter()
        .map(|(name, before, more_is_better)| Line {
            after: after(&name).map(|(_, figure, _)| *figure),
            name,
            before,
            more_is_better,
        })
        .collect()
}

/// The figures of a run, and of which of them more is better.
fn figures(summary: &Summary) -> Vec<(String, f64, bool)> {
    let named = |name: &str, figure, more_is_better| (name.to_owned(), figure, more_is_better);
    let mut figures = vec![
        named("messages/s", summary.messages_per_second, true),
        named("deliveries/s", summary.deliveries_per_second, true),
        named("violations", summary.ledger.violations as f64, false),
        named("refused", summary.counts.refused as f64, false),
    ];
    for what in Timed::ALL.iter().filter(|what| **what != Timed::Late) {
        let Some(times) = summary.times.get(what) else {
            continue;
        };
        let name = what.name();
        figures.push(named(&format!("{name}, p50 ms"), times.p50_ms, false));
        figures.push(named(&format!("{name}, p99 ms"), times.p99_ms, false));
    }
    if let Some(target) = &summary.target {
        let each = target.cpu_us_per_message;
        figures.extend(each.map(|each| named("service CPU, µs/message", each, false)));
        figures.push(named("service memory at the end, MB", target.mb_end, false));
        figures.push(named("KB a connection", target.kb_per_connection, false));
    }
    figures
}

/// A table of them.
pub(crate) fn table(before: &Summary, after: &Summary, lines: &[Line]) -> String {
    let mut text = String::new();
    for (name, one) in [("A", before), ("B", after)] {
        let _ = writeln!(
            text,
            "{name}: {} ({}), {}",
            one.scenario.name,
            one.run,
            one.verdict.words()
        );
    }
    if before.scenario.name != after.scenario.name {
        let _ = writeln!(
            text,
            "they are runs of two scenarios: their figures say little about each other"
        );
    }
    let _ = writeln!(text, "{:<30} {:>12} {:>12} {:>9}", "", "A", "B", "change");
    for line in lines {
        let after = line
            .after
            .map_or_else(|| "-".to_owned(), |after| format!("{after:.2}"));
        let change = line
            .change()
            .map_or_else(|| "gone".to_owned(), |change| format!("{change:+.1}%"));
        let _ = writeln!(
            text,
            "{:<30} {:>12.2} {after:>12} {change:>9}",
            line.name, line.before
        );
    }
    text
}
