//! Two runs beside each other.

use std::fmt::Write as _;

use crate::stats::Timed;
use crate::summary::Summary;

/// One figure of both.
pub(crate) struct Line {
    name: String,
    before: f64,
    after: f64,
    /// Whether more of it is better.
    more_is_better: bool,
}

impl Line {
    /// By how many percent it became worse; below 0 where it became better.
    pub(crate) fn worse(&self) -> f64 {
        if self.before == 0.0 {
            return 0.0;
        }
        let change = (self.after / self.before - 1.0) * 100.0;
        if self.more_is_better { -change } else { change }
    }
}

/// Every figure that both have.
pub(crate) fn lines(before: &Summary, after: &Summary) -> Vec<Line> {
    let line = |name: &str, before, after, more_is_better| Line {
        name: name.to_owned(),
        before,
        after,
        more_is_better,
    };
    let mut lines = vec![
        line(
            "messages/s",
            before.messages_per_second,
            after.messages_per_second,
            true,
        ),
        line(
            "deliveries/s",
            before.deliveries_per_second,
            after.deliveries_per_second,
            true,
        ),
    ];
    for what in Timed::ALL {
        let (Some(one), Some(other)) = (before.times.get(&what), after.times.get(&what)) else {
            continue;
        };
        let name = what.name();
        lines.push(line(&format!("{name}, p50 ms"), one.p50_ms, other.p50_ms, false));
        lines.push(line(&format!("{name}, p99 ms"), one.p99_ms, other.p99_ms, false));
    }
    if let (Some(one), Some(other)) = (&before.target, &after.target) {
        let each = one.cpu_us_per_message.zip(other.cpu_us_per_message);
        lines.extend(each.map(|(one, other)| line("service CPU, µs/message", one, other, false)));
        lines.push(line(
            "service memory at the end, MB",
            one.mb_end,
            other.mb_end,
            false,
        ));
        lines.push(line(
            "KB a connection",
            one.kb_per_connection,
            other.kb_per_connection,
            false,
        ));
    }
    lines
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
    let _ = writeln!(text, "{:<30} {:>12} {:>12} {:>9}", "", "A", "B", "change");
    for line in lines {
        let change = if line.before == 0.0 {
            0.0
        } else {
            (line.after / line.before - 1.0) * 100.0
        };
        let _ = writeln!(
            text,
            "{:<30} {:>12.2} {:>12.2} {change:>+8.1}%",
            line.name, line.before, line.after
        );
    }
    text
}
