//! A point a second: what the charts show.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Counts, Process, Stats, Timed};

const EVERY: Duration = Duration::from_secs(1);

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// Seconds of the run.
    pub(crate) at: f64,
    /// A second, since the point before; messages are answered ones.
    pub(crate) messages: f64,
    pub(crate) deliveries: f64,
    pub(crate) refused: f64,
    pub(crate) response_p50_ms: f64,
    pub(crate) response_p99_ms: f64,
    pub(crate) event_p50_ms: f64,
    pub(crate) event_p99_ms: f64,
    pub(crate) open: u32,
    /// Of the service, where it is known.
    pub(crate) cpu_cores: Option<f64>,
    pub(crate) cpu_us_per_message: Option<f64>,
    pub(crate) resident_mb: Option<f64>,
    /// Of the tool.
    pub(crate) own_cores: f64,
}

/// Makes the points.
pub(crate) struct Sampler {
    started: Instant,
    last: Instant,
    counts: Counts,
    cpu: Option<f64>,
    own_cpu: f64,
    pub(crate) points: Vec<Point>,
}

impl Sampler {
    pub(crate) fn new(started: Instant, processes: &mut Process) -> Self {
        Self {
            started,
            last: started,
            counts: Counts::default(),
            cpu: processes.target().map(|usage| usage.cpu_seconds),
            own_cpu: processes.own().cpu_seconds,
            points: Vec::new(),
        }
    }

    /// Whether it is time for the next point.
    pub(crate) fn is_due(&self) -> bool {
        self.last.elapsed() >= EVERY
    }

    /// The time since the last point becomes a point.
    pub(crate) fn sample(&mut self, stats: &mut Stats, processes: &mut Process) -> Point {
        let seconds = self.last.elapsed().as_secs_f64().max(1e-3);
        let counts = stats.counts;
        let rate = |now: u64, before: u64| (now - before) as f64 / seconds;
        let usage = processes.target();
        let own = processes.own().cpu_seconds;
        let spent = usage.and_then(|usage| Some(usage.cpu_seconds - self.cpu?));
        let answered = counts.answered - self.counts.answered;
        let ms = |what: Timed, part| stats.lately[what as usize].value_at_quantile(part) as f64 / 1000.0;
        let point = Point {
            at: self.started.elapsed().as_secs_f64(),
            messages: rate(counts.answered, self.counts.answered),
            deliveries: rate(counts.delivered, self.counts.delivered),
            refused: rate(counts.refused, self.counts.refused),
            response_p50_ms: ms(Timed::Response, 0.5),
            response_p99_ms: ms(Timed::Response, 0.99),
            event_p50_ms: ms(Timed::Event, 0.5),
            event_p99_ms: ms(Timed::Event, 0.99),
            open: stats.open,
            cpu_cores: spent.map(|spent| spent / seconds),
            cpu_us_per_message: spent
                .filter(|_| answered > 0)
                .map(|spent| spent * 1e6 / answered as f64),
            resident_mb: usage.map(|usage| usage.resident_bytes as f64 / 1e6),
            own_cores: (own - self.own_cpu) / seconds,
        };
        stats.lately.iter_mut().for_each(hdrhistogram::Histogram::reset);
        self.last = Instant::now();
        self.counts = counts;
        self.cpu = usage.map(|usage| usage.cpu_seconds);
        self.own_cpu = own;
        self.points.push(point);
        point
    }
}
