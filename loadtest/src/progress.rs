//! How a run goes, while it goes: one line that is written over on a terminal, a line now and then in a log.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::stats::Point;
use crate::world::World;

/// Between two lines, where nothing can be written over.
const LINES: Duration = Duration::from_secs(10);

/// See the module.
pub(crate) struct Progress {
    bar: ProgressBar,
    lines: bool,
    last: Option<(Instant, String)>,
}

impl Progress {
    /// A quiet one says nothing.
    pub(crate) fn new(shown: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(ProgressStyle::default_spinner());
        if !shown || !terminal {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self {
            bar,
            lines: shown && !terminal,
            last: None,
        }
    }

    pub(crate) fn show(&mut self, phase: &str, point: &Point, world: &World) {
        let cpu = point
            .cpu_cores
            .map_or_else(String::new, |cores| format!("  service {cores:.2} cores"));
        let line = format!(
            "{phase:<12} {:>6.1} s  {} connections  {:.0} messages/s  {:.0} deliveries/s  p99 {:.1} ms to response, {:.1} ms to event  {} refused  {} violations{cpu}  tool {:.2} cores",
            point.at,
            point.open,
            point.messages,
            point.deliveries,
            point.response_p99_ms,
            point.event_p99_ms,
            world.stats.counts.refused,
            world.ledger.violations.count,
            point.own_cores,
        );
        let due = self
            .last
            .as_ref()
            .is_none_or(|(when, before)| before != phase || when.elapsed() >= LINES);
        if due {
            self.last = Some((Instant::now(), phase.to_owned()));
            self.note(&line);
        } else {
            self.write_over(line);
        }
    }

    /// Says something without a point: on a terminal until the next line, in a log for good.
    #[allow(clippy::print_stderr, reason = "it is what the tool says to whoever runs it")]
    pub(crate) fn note(&self, line: &str) {
        self.write_over(line.to_owned());
        if self.lines {
            eprintln!("{line}");
        }
    }

    fn write_over(&self, line: String) {
        self.bar.set_message(line);
        self.bar.tick();
    }

    pub(crate) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
